from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench.measure.matrix import parse_cells
from bench.measure.options import Options
from bench.measure.versus import measure_versus
from bench.studies.power import main

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


@pytest.mark.one_backend
def test_rounds_of_the_prolonged_side_take_longer_by_that_share(tmp_path: Path) -> None:
    options = Options(
        cells=parse_cells(BACKEND, "cpu", "fit"), output=tmp_path / "both", dataset="synthetic:50x40x2000",
        batch_size=100, processes=1, seeds=1, rounds=3, round_s=0.05, trains=False, parity=False, watch_s=0.0,
        patience_s=0.0,
    )  # fmt: skip
    python = sys.executable
    base, new = measure_versus(options, (python, python), Console(quiet=True), slowdown=9.0)
    older, newer = (statistics.median(report.runs[0].step_time_ms) for report in (base, new))
    assert newer > 3 * older  # ten times, but for noise


@pytest.mark.backend_free
def test_a_file_of_something_else_is_refused_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"backend": "jax"}\n')
    assert main([str(other), "--trials", "1"]) == 2
    assert f"{other} does not hold trials" in capsys.readouterr().err
    assert other.read_text() == '{"backend": "jax"}\n'
    other.write_bytes(b'{"backend": "\xff"}\n')
    assert main([str(other), "--trials", "0"]) == 2
    assert f"{other} does not hold trials" in capsys.readouterr().err
