from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.report.file import save_report
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.schema.run import Run

MakeReport = Callable[..., Report]
REAL = Path(__file__).parents[3] / "results" / "loops-2cores"


@pytest.fixture
def real() -> Path:
    """A report that was measured: nine cells of five processes with five rounds each."""
    return REAL


@pytest.fixture
def broken(make_report: MakeReport, tmp_path: Path) -> Path:
    """A report with all that can be missing.

    jax is whole, but one of its processes lost its training; torch has a process that timed out before anything was
    measured; tensorflow failed altogether; the GPU was skipped. Parity has a known and an unexplained deviation.
    """
    cell = {"device": "cpu", "loop": "fit", "process": 0, "seed": 0}
    extra = [
        Run(backend="torch", device="cpu", loop="fit", process=2, seed=2, status="timeout", error="no answer in 120 s"),
        Run(**{**cell, "backend": "tensorflow", "status": "failed"}, import_s=1.5, error="out of <memory>\x1b"),  # type: ignore[arg-type]
        Run(**{**cell, "backend": "jax", "device": "gpu", "status": "skipped"}, error="jax sees no GPU"),  # type: ignore[arg-type]
    ]
    stage = {"a": "jax/cpu/fit", "stage": "step 1", "max_abs": 1.0, "envelope": 1e-6}
    parity = [
        ParityResult(**stage, b="oracle", rms=1e-7, verdict="within"),  # type: ignore[arg-type]
        ParityResult(**stage, b="torch/cpu/fit", rms=1e-3, verdict="outside", known="a-known-one"),  # type: ignore[arg-type]
        ParityResult(**stage | {"a": "torch/cpu/fit"}, b="oracle", rms=None, verdict="outside"),  # type: ignore[arg-type]
    ]
    report = make_report({"jax": (0.8, 0.9), "torch": (3.0, 3.1)}, extra_runs=extra, parity=parity)
    runs = [
        msgspec.structs.replace(run, train_rmse=[], test_rmse=None, train_s=None, evaluate_s=None)
        if run.backend == "jax" and run.process == 1
        else run
        for run in report.runs
    ]
    folder = tmp_path / "broken"
    folder.mkdir()
    save_report(msgspec.structs.replace(report, runs=runs), folder)
    return folder
