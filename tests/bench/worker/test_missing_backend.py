"""Commands where the backend that was asked for is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from movierank.install_hint import install_hint

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
MISSING = "jax is not installed"


@pytest.fixture
def bench(tmp_path: Path):
    """Runs a command in a process of its own, whose workers find no jax."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'bench.worker' in ' '.join(sys.orig_argv): sys.modules['jax'] = None\n"
    )
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "MOVIERANK_CACHE": str(tmp_path / "cache")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bench", *arguments]
        environment = {**os.environ, **paths, "COLUMNS": "400"}
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_mutants_end_at_once_and_leave_nothing(bench, tmp_path: Path, form: list[str]) -> None:
    output = tmp_path / "new" / "mutants.json"
    done = bench("mutants", "--backend", "jax", "--output", str(output), *form)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bench: {MISSING}: {install_hint('jax', for_report=True)}\n"
    assert not output.parent.exists()
    assert not (tmp_path / "cache").exists(), "not even data was prepared"


def test_a_scoring_of_nothing_says_why_instead_of_an_empty_table(bench, tmp_path: Path) -> None:
    output = tmp_path / "score.json"
    done = bench("score", "--backends", "jax", "--size", "5x5", "--quick", "--output", str(output))
    assert done.returncode == 3, done.stderr
    assert done.stdout == (
        "No backend could be measured here:\n"
        f"jax/cpu: skipped: {MISSING}: {install_hint('jax', for_report=True)}\n"
        f"Result: {output}\n"
    )
    assert {run["status"] for run in json.loads(output.read_text())["runs"]} == {"skipped"}
