"""The memory that millions of ratings take, measured in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[2]
RATINGS = 4_000_000
CHUNKS = 100 * 2**20  # a million ratings at a time are made up, with their taste vectors
HIGH_WATER = """
import re, sys
from pathlib import Path
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings

def high_water_bytes():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])

before = high_water_bytes()
split = split_ratings(load_dataset(sys.argv[1]), "0.8:42")
print(len(split.train) + len(split.test), high_water_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports a process's own high-water mark")
def test_preparing_and_splitting_take_few_bytes_a_rating(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HIGH_WATER, f"synthetic:2000x3000x{RATINGS}"],
        cwd=ROOT,
        env={**os.environ, "MOVIERANK_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ratings, grown = map(int, done.stdout.split())
    assert ratings == RATINGS
    # 12 bytes in the cache's mapped pages, 12 in the split's arrays, 4 in its permutation; and chunks of a fixed size.
    assert grown < 28 * RATINGS + CHUNKS
