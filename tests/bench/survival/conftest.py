from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.report.file import load_report
from bench.report.predictions import key_of, load_arrays
from bench.schema.report import Report

HERE = Path(__file__).parent
RUNNER = HERE / "forking_runner.py"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE.parents[2]), "OPENBLAS_NUM_THREADS": "1"}
ROUNDS = 3


@dataclass
class Started:
    """A measurement that runs in a process of its own."""

    pid: int
    runner: subprocess.Popen
    output: Path
    code: int | None = None

    def signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Returns its exit code, minus the signal that ended it, or None while it runs."""
        if self.code is None and select.select([self.runner.stdout], [], [], 0)[0]:
            self.code = int(self.runner.stdout.readline())
        return self.code

    def wait(self) -> int:
        deadline = time.monotonic() + 60
        while self.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.output.read_text()}"
            time.sleep(0.002)
        return self.code


class Runners:
    """Starts measurements without the second that importing takes."""

    program = RUNNER
    environment = ENVIRONMENT

    def __init__(self) -> None:
        self.all: list[subprocess.Popen] = []
        self.started: list[Started] = []

    def start(self, request: dict) -> Started:
        busy = [one.runner for one in self.started if one.poll() is None]
        runner = next((runner for runner in self.all if runner not in busy), None) or self._another()
        runner.stdin.write(json.dumps(request) + "\n")
        self.started.append(Started(int(runner.stdout.readline()), runner, Path(request["output"])))
        return self.started[-1]

    def close(self) -> None:
        for one in self.started:
            one.signal(signal.SIGKILL)
        for runner in self.all:
            runner.stdin.close()
            runner.wait()
            runner.stdout.close()

    def _another(self) -> subprocess.Popen:
        pipe = subprocess.PIPE
        command = [sys.executable, str(RUNNER)]
        self.all.append(subprocess.Popen(command, env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True, bufsize=1))
        return self.all[-1]


class Scene:
    """A folder with a script for the workers, what they wrote down, and the report."""

    def __init__(self, folder: Path, runners: Runners) -> None:
        self.folder = folder
        self.runners = runners
        self.report = folder / "report"
        self.output = folder / "output.txt"
        self._events = folder / "script.events"
        self.script()

    def script(self, **of_process: dict) -> None:
        """Sets how workers behave, by `jax` or `jax:1`; the others do as they are asked."""
        parts = {name: {"own": True} | part for name, part in ({"jax": {}, "torch": {}} | of_process).items()}
        (self.folder / "script.json").write_text(json.dumps(parts))

    def start(self, *options: str, **how) -> Started:
        return self.runners.start(self.request(*options, **how))

    def request(
        self, *options: str, processes: int = 2, output: Path | None = None, file_bytes: int | None = None
    ) -> dict:
        arguments = [
            *("run", "--backends", "jax,torch", "--dataset", "synthetic:40x30x2000", "--batch-size", "100"),
            *("--processes", str(processes), "--seeds", "1", "--rounds", str(ROUNDS), "--no-parity"),
            *("--output", str(self.report), *options),
        ]
        worker = [sys.executable, str(HERE.parent / "fake_worker.py"), str(self.folder / "script.json")]
        log = str(output or self.output)
        return {"arguments": arguments, "worker": worker, "output": log, "file_bytes": file_bytes}

    def events(self) -> list[dict]:
        """What workers were asked and answered, in order."""
        return [json.loads(line) for line in self._events.read_text().splitlines()] if self._events.exists() else []

    def count(self) -> int:
        return self._events.read_bytes().count(b"\n") if self._events.exists() else 0

    def load(self) -> Report:
        """Loads report and predictions; they belong together and hold nothing that no worker has said."""
        report = load_report(self.report)
        said = {event["value"]: event["pid"] for event in self.events() if event["value"] is not None}
        path = self.report / "predictions.npz"
        arrays = load_arrays(path) if path.exists() else {}
        for run in report.runs:
            pids = {said[value] for value in run.step_time_ms}
            assert len(pids) <= 1
            if run.test_rmse is not None:
                assert pids <= {int(run.test_rmse)}
                assert all(arrays[key_of(run, stage)] == np.float32(run.test_rmse) for stage in ("forward", "epoch 5"))
        return report

    def assert_finished(self, processes: int = 2) -> Report:
        """Everything was measured, and nothing but the report is left."""
        report = self.load()
        assert [(run.backend, run.process, run.status, len(run.step_time_ms)) for run in report.runs] == [
            (backend, process, "ok", ROUNDS) for backend in ("jax", "torch") for process in range(processes)
        ]
        names = sorted(path.name for path in self.report.iterdir())
        assert names == [".lock", "logs", "predictions.npz", "report.json"]
        self.assert_no_worker_left()
        return report

    def assert_no_worker_left(self) -> None:
        pids = {event["pid"] for event in self.events()}
        deadline = time.monotonic() + 10
        while left := [pid for pid in pids if self._is_worker(pid)]:
            assert time.monotonic() < deadline, f"still running: {left}"
            time.sleep(0.002)

    def _is_worker(self, pid: int) -> bool:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            return process.status() != "zombie" and str(self.folder / "script.json") in process.cmdline()
        return False


@pytest.fixture(scope="session")
def runners() -> Iterator[Runners]:
    runners = Runners()
    yield runners
    runners.close()


@pytest.fixture
def scene(tmp_path: Path, runners: Runners) -> Scene:
    return Scene(tmp_path, runners)
