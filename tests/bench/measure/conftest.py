"""Measurements with scripted workers (`fake_worker.py`)."""

from __future__ import annotations

import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from rich.console import Console

from bench.measure.matrix import parse_cells
from bench.measure.options import Options
from bench.measure.run import measure
from bench.schema.report import Report
from bench.system.watch import StateWatch

FAKE_WORKER = Path(__file__).parents[1] / "fake_worker.py"


@dataclass(frozen=True)
class Fake:
    """Measures with scripted workers into `folder`/report."""

    folder: Path
    worker = FAKE_WORKER

    def __call__(self, script: dict[str, Any], **changes: Any) -> Report:
        return measure(self.options(script, **changes), Console(file=io.StringIO()))

    def options(self, script: dict[str, Any], **changes: Any) -> Options:
        """Writes the script; `changes` are to the options of a short measurement without parity."""
        path = self.folder / "script.json"
        path.write_text(json.dumps(script))
        settings = {
            "cells": parse_cells("jax,torch,tensorflow", "cpu", "fit"),
            "output": self.folder / "report",
            "dataset": "synthetic:40x30x2000",
            "batch_size": 100,
            "processes": 3,
            "seeds": 2,
            "rounds": 4,
            "parity": False,
            "watch_s": 0.0,
            "patience_s": 0.0,
            "worker_command": (sys.executable, str(FAKE_WORKER), str(path)),
        }
        return Options(**{**settings, **changes})

    def started(self) -> list[str]:
        """The workers that were started, each as backend:process."""
        path = self.folder / "script.started"
        return [line.rpartition(":")[0] for line in path.read_text().splitlines()] if path.exists() else []

    def no_worker_is_left(self) -> bool:
        pids = [int(line.rpartition(":")[2]) for line in (self.folder / "script.started").read_text().splitlines()]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
                return True
            time.sleep(0.05)
        return False


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setattr("bench.measure.run.watch_of", lambda threads, patience: StateWatch(lambda: None, patience))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    for seed in range(2):
        stages = ("forward", *(f"epoch {epoch}" for epoch in range(1, 6)))
        np.savez(tmp_path / f"seed{seed}.npz", **{stage: np.full(3, seed, np.float32) for stage in stages})
    return Fake(tmp_path)
