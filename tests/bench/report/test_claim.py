"""One run at a time writes to a report's directory."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.report.file import claimed

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from bench.report.file import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def another_run(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed `directory`."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, directory], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_claimed_directory_is_closed_to_others_until_its_holder_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "report"
    with another_run(directory) as holder:
        with (
            pytest.raises(BenchError, match=r"another run is writing to .*; choose another --output"),
            claimed(directory),
        ):
            pytest.fail("claimed twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with claimed(directory):
            pass
    with claimed(directory):
        pass


def test_a_claim_ends_with_its_body_also_when_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claimed(tmp_path):
        raise RuntimeError
    with another_run(tmp_path):
        pass


def test_an_output_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(BenchError, match=r"cannot write to .*; choose another --output"), claimed(path):
            pytest.fail("claimed a file")
    assert (tmp_path / "file").read_text() == "mine"
