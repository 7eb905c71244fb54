from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.measure.process import WorkerProcess

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_a_log_is_not_written_through_a_link(tmp_path: Path, linked: str) -> None:
    """A report's folder may have come from somebody else, with a link in it to a file of the user's."""
    (tmp_path / "mine").mkdir()
    mine = tmp_path / "mine" / "worker.log"
    mine.write_text("keep me")
    logs = tmp_path / "report" / "logs"
    logs.parent.mkdir()
    if linked == "folder":
        logs.symlink_to(mine.parent)
    else:
        logs.mkdir()
        (logs / "worker.log").symlink_to(mine)
    with pytest.raises(BenchError, match=r"cannot start a worker that logs to .*worker\.log: "):
        WorkerProcess([sys.executable, "-c", "print(1)"], os.environ, logs / "worker.log", 5.0)
    assert mine.read_text() == "keep me"
