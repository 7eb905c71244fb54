"""A Python whose workers take longer by a known share, and what is told of the trials with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.schema.messages import MeasureRound, Rounded
from bench.studies.power import main, slowed_python
from bench.studies.validate.options import Options
from bench.studies.validate.sides import warm_worker
from movierank.data.datasets import load_dataset

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


@pytest.mark.one_backend
def test_rounds_of_the_slowed_python_take_longer_by_that_share(tmp_path: Path) -> None:
    python = slowed_python(tmp_path, 9.0)
    options = Options(
        backend=BACKEND, output=tmp_path / "unused", dataset="synthetic:50x40x2000", round_s=0.05,
        worker_command=(str(python), "-m", "bench.worker"),
    )  # fmt: skip
    with warm_worker(options, load_dataset(options.dataset).sha256, str(tmp_path)) as (worker, steady):
        longer = [worker.ask(MeasureRound(), Rounded).step_time_ms for _ in range(3)]
    assert min(longer) > 3 * min(steady.warmup_ms)  # ten times, but for noise


@pytest.mark.backend_free
def test_the_slowed_python_is_this_one_for_all_else(tmp_path: Path) -> None:
    python = slowed_python(tmp_path, 9.0)
    done = subprocess.run([python, "-m", "bench", "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert "versus" in done.stdout


@pytest.mark.backend_free
def test_what_is_no_file_of_trials_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"backend": "jax"}\n')
    assert main([str(other), "--trials", "1"]) == 2
    assert f"{other} does not hold trials" in capsys.readouterr().err
    assert other.read_text() == '{"backend": "jax"}\n'
    other.write_bytes(b'{"backend": "\xff"}\n')
    assert main([str(other), "--trials", "0"]) == 2
    assert f"{other} does not hold trials" in capsys.readouterr().err
