"""The pytest-benchmark suite, run as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.comparison.benchmark_files import load_benchmarks
from bench.system.environment import usable_cores

ROOT = Path(__file__).parents[2]


@pytest.mark.one_backend
def test_a_file_tells_with_how_many_threads_it_was_measured(tmp_path: Path) -> None:
    """Which pytest-benchmark's own part of it does not: its number of cores is the machine's, also under `taskset`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "bench/suite", "-k", "test_predict",
               "--benchmark-only", "--benchmark-json", str(tmp_path / "out.json")]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.setdefault("KERAS_BACKEND", "tensorflow")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (benchmark,) = load_benchmarks(tmp_path / "out.json").files[0].benchmarks
    assert benchmark.extra_info["threads"] == usable_cores()
    assert "keras" in benchmark.extra_info
