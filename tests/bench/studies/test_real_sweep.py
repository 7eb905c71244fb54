"""A sweep with real workers under the current backend."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.studies.sweep.records import load_sweep

pytestmark = pytest.mark.one_backend

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
ROOT = Path(__file__).parents[3]


def test_a_real_sweep_cut_off_by_ctrl_c_goes_on_where_it_was(tmp_path):
    output = tmp_path / "sweep"
    command = [sys.executable, "-m", "bench", "sweep", "--over", "batch-size", "--values", "16,64,256"]
    command += ["--ratings", "3000", "--backends", BACKEND, "--processes", "1", "--rounds", "2"]
    command += ["--round-seconds", "0.02", "--threads", "1", "-o", str(output)]
    environment = {**os.environ, "MOVIERANK_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "(2 of 3)" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 3
    cut = load_sweep(output)
    (first,) = [one for one in cut.measured if one.step_time_ms is not None]
    assert cut.finished is None

    done = subprocess.run(
        [*command, "--resume"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    whole = load_sweep(output)
    assert whole.finished is not None
    assert first in whole.measured
    assert f"batch-size {first.value}, " not in done.stderr
    for one in whole.measured:
        assert one.step_time_ms > 0
        assert 100 < one.peak_rss_mib < 3000
        assert one.examples_per_s == pytest.approx(1000 * one.value / one.step_time_ms)
    assert whole.models[0].model.points == 3
    (output / "sweep.svg").unlink()
    shown = subprocess.run([*command[:4], "--show", str(output)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[0] in done.stdout
    assert (output / "sweep.svg").exists()
