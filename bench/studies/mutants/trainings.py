"""Train with and without a planted fault in processes of their own, and judge what they leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.parity.distances import TestPart
from bench.parity.judge import judge
from bench.parity.numpy_process import SINGLE_THREADED, EnvelopeRequest, measure_in_process
from bench.parity.rules import NumpyRules
from bench.parity.trainings import Reference, Trajectory
from bench.report.predictions import load_arrays
from bench.schema.messages import Ready, Stop, Stopped, Train, Trained
from bench.studies.mutants.catalogue import FAULTS
from bench.studies.mutants.clean_copies import CopiesRequest
from bench.studies.mutants.records import CleanTrainings, FaultResult, StageRatio, earliest_stage, ratios
from bench.studies.mutants.workload import ReferenceKey, Workload
from bench.system.environment import worker_environment


class MutantTrainings:
    """Carry out trainings, several at a time where it is called from several threads.

    Args:
        workload: workload of all trainings.
        seed: seed of the initial weights of trainings with a fault.
    """

    def __init__(self, workload: Workload, seed: int = 0) -> None:
        self.workload = workload
        self.seed = seed
        self.references: dict[ReferenceKey, Reference] = {}
        self._requests: dict[ReferenceKey, EnvelopeRequest] = {}
        self._rules = NumpyRules(test=TestPart.stored(workload.split), epochs=workload.epochs)
        self._clean_rmse: dict[ReferenceKey, float] = {}
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def add_reference(self, key: ReferenceKey) -> None:
        """Train the oracle and its float32 copies for a seed and batch size; needed before anything is judged.

        Raises:
            BenchError: it cannot be measured.
        """
        if not self._stopped:
            self._requests[key] = self.workload.reference_request(key)
            self.references[key] = measure_in_process(self._requests[key])

    def with_fault(self, name: str) -> FaultResult:
        """Train with a fault of the catalogue, after `clean` trained the same without it.

        Raises:
            BenchError: the backend is not to be had.
        """
        fault = FAULTS[name]
        stages: list[StageRatio] = []
        test_rmse = error = None
        try:
            test_rmse, stages = self._train((self.seed, fault.batch_size), name)
        except WorkerLostError as lost:
            error = lost.error
        return FaultResult(
            name=name,
            what=fault.what,
            earliest=earliest_stage(fault.earliest, self.workload.epochs),
            batch_size=fault.batch_size,
            seed=self.seed,
            invisible=fault.reason(self.workload.backend),
            stages=stages,
            test_rmse=test_rmse,
            clean_test_rmse=self._clean_rmse[self.seed, fault.batch_size],
            error=error,
        )

    def clean(self, key: ReferenceKey) -> CleanTrainings:
        """Train without a fault.

        Raises:
            BenchError: it broke off.
        """
        try:
            test_rmse, stages = self._train(key, None)
        except WorkerLostError as lost:
            raise BenchError(f"a training without a fault broke off: {lost.error}") from lost
        self._clean_rmse[key] = test_rmse
        return CleanTrainings(
            trained_by=self.workload.backend,
            seed=key[0],
            batch_size=key[1],
            trainings=1,
            flipped=0,
            stages=stages,
            alarms=[stage for stage in stages if stage.alarms],
            test_rmse=test_rmse,
        )

    def clean_copies(self, key: ReferenceKey, copies: int) -> CleanTrainings:
        """Train float32 copies of the oracle.

        Raises:
            BenchError: the process that does so failed.
        """
        request, answer = (self.workload.folder / f"copies-{key[0]}-{key[1]}.{name}.json" for name in ("ask", "answer"))
        request.write_bytes(msgspec.json.encode(CopiesRequest(reference=self._requests[key], copies=copies)))
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.studies.mutants.clean_copies", str(request), str(answer)],
            env={**os.environ, **SINGLE_THREADED},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with self._noted(process.pid):
            _, errors = process.communicate()
        if process.returncode != 0:
            lines = errors.strip().splitlines() or [f"exit status {process.returncode}"]
            raise BenchError(f"copies of the oracle could not be trained: {lines[-1]}")
        return msgspec.json.decode(answer.read_bytes(), type=CleanTrainings)

    def stop(self) -> None:
        """End all that runs, and let nothing more start."""
        with self._lock:
            self._stopped = True
            for pid in self._running:
                _kill(pid)

    def _train(self, key: ReferenceKey, fault: str | None) -> tuple[float, list[StageRatio]]:
        """Return the test RMSE that the training reports, and its ratios by stage.

        Raises:
            WorkerLostError: the training broke off.
            BenchError: the backend is not available.
        """
        seed, _ = key
        name = f"{fault or 'clean'}-{seed}".replace(" ", "-").replace("/", "")
        job = self.workload.job(key, fault, self.workload.folder / f"{name}-{key[1]}.npz")
        environment = worker_environment(self.workload.backend, "cpu", self.workload.threads)
        log = self.workload.folder / f"{name}.log"
        try:
            with (
                WorkerProcess(self.workload.worker_command, environment, log, self.workload.timeout_s) as worker,
                self._noted(worker.process.pid),
            ):
                worker.ask(job, Ready)
                trained = worker.ask(Train(), Trained)
                worker.ask(Stop(), Stopped)
        except WorkerLostError as lost:
            if lost.status == "skipped":
                raise BenchError(lost.error) from lost
            raise
        if trained.test_rmse is None:
            raise TypeError("the built-in workload has a test RMSE")
        arrays: dict[str, npt.NDArray[Any]] = load_arrays(Path(job.predictions))
        Path(job.predictions).unlink()
        values = {**arrays, "training rmse": np.array(trained.train_rmse)}
        trajectory = Trajectory(self.workload.cell, seed, 0, values)
        sides = self._rules.sides([trajectory], {(None, seed): self.references[key]})
        return trained.test_rmse, ratios(judge(sides, self._rules))

    @contextlib.contextmanager
    def _noted(self, pid: int) -> Iterator[None]:
        with self._lock:
            self._running.add(pid)
            if self._stopped:
                _kill(pid)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
