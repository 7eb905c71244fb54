"""docs/reproductions/rows_or_tables.py finds where the ratio of two step times crosses 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]


def test_the_crossing_is_where_rows_become_faster(tmp_path: Path) -> None:
    """Whole tables take 1 ms and 1 ms more for each 10,000 rows; rows take 2 ms, give or take what a process does."""
    lines = [
        {
            "backend": backend,
            "loop": "fused",
            "batch_size": 1000,
            "process": process,
            "rows": rows,
            "by_rows": [2 * speed * slow for slow in rounds],
            "by_tables": [(1 + rows / 10_000) * speed * slow for slow in rounds],
        }
        for backend, speed in (("jax", 1), ("torch", 3))
        for process, rounds in enumerate(((1, 1.1), (1.4, 1.3), (0.8, 0.9)))
        for rows in (2_000, 8_000, 12_500, 100_000)
    ]
    (tmp_path / "lines").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [sys.executable, ROOT / "docs" / "reproductions" / "rows_or_tables.py", "--show", tmp_path / "lines"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(" = ") for line in done.stdout.splitlines() if " = " in line)
    for backend in ("jax", "torch"):
        assert printed[f"{backend} fused: processes in which rows are faster somewhere"] == "3 of 3"
        crossing = float(printed[f"{backend} fused: rows of both tables from which on they are"].split()[0])
        assert crossing == pytest.approx(10_000, rel=0.02)
        assert printed[f"{backend} fused: rows of one table for each id of a batch, there"] == f"{crossing / 2000:.2f}"
    assert [line.split()[0] for line in done.stdout.splitlines() if "1.11 [1.11, 1.11]" in line] == ["8,000"] * 2
