from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def movierank() -> Callable[..., Done]:
    """Run a command in a separate process, in the folder `cwd`, with a cache there."""

    def run(*arguments: str | Path, cwd: Path, **variables: str) -> Done:
        # One thread: PyTorch's wait for each other at every step, some twenty times as long where a core is busy.
        ours = {"PYTHONPATH": str(ROOT), "MOVIERANK_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
        environment = {**os.environ, **ours, **variables}
        command = [sys.executable, "-m", "movierank", *map(str, arguments)]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run
