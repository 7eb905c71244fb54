"""The cache under real processes: at the same time, interrupted, killed, and where nothing can be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from movierank.data.datasets import load_dataset
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free

LOAD = """
import sys
from pathlib import Path
from movierank.data.datasets import load_dataset
name, source, path, times, refresh = sys.argv[1:]
for _ in range(int(times)):
    dataset = load_dataset(
        name, source=source, path=Path(path) if path else None, refresh=bool(refresh),
        progress=lambda line: print(line, flush=True),
    )
print(dataset.sha256, flush=True)
"""


def start(
    name: str,
    *,
    source: str = "auto",
    path: Path | None = None,
    times: int = 1,
    refresh: bool = False,
    before: str = "",
) -> subprocess.Popen[str]:
    options = [name, source, str(path or ""), str(times), "yes" if refresh else ""]
    command = [sys.executable, "-c", before + LOAD, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_that_prepare_the_same_data_do_it_once(empty_cache: Path) -> None:
    name = "synthetic:2000x1000x400000"
    processes = [start(name) for _ in range(4)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], results
    lines = [line for output, _ in results for line in output.splitlines()]
    assert sum(line.startswith("Preparing") for line in lines) == 1
    assert {line for line in lines if len(line) == 64} == {load_dataset(name).sha256}


def test_loading_works_while_another_process_replaces_the_data(empty_cache: Path) -> None:
    name = "synthetic:50x40x5000"
    load_dataset(name)
    processes = [start(name, times=30, refresh=True), start(name, times=300), start(name, times=300)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], results


def test_an_interrupt_leaves_no_half_prepared_data(empty_cache: Path, folder_100k: Path) -> None:
    process = start("100k", source="local", path=folder_100k)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Preparing")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert [path.name for path in empty_cache.rglob("*")] == ["100k", ".lock"]


def test_what_a_killed_process_left_is_cleared_away(empty_cache: Path) -> None:
    left = empty_cache / "synthetic-5x5x50" / ".building-killed"
    left.mkdir(parents=True)
    (left / "user_id.npy").write_bytes(b"half")
    load_dataset("synthetic:5x5x50")
    assert not left.exists()


def test_a_full_disk_is_said_and_leaves_nothing(empty_cache: Path) -> None:
    # A limit on the size of files fails the write as a full disk does.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    process = start("synthetic:50x40x500000", before=limit)
    _, errors = process.communicate(timeout=30)
    assert f"MovierankError: Cannot use the data cache {empty_cache}" in errors
    assert "set MOVIERANK_CACHE to another folder" in errors
    assert [path.name for path in empty_cache.rglob("*")] == ["synthetic-50x40x500000", ".lock"]


def test_a_cache_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MOVIERANK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(MovierankError, match=r"Cannot use the data cache .*Not a directory"):
        load_dataset("synthetic:5x5x50")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_said_but_what_it_has_is_used(empty_cache: Path) -> None:
    load_dataset("synthetic:5x5x50")
    empty_cache.chmod(0o500)
    try:
        assert load_dataset("synthetic:5x5x50").num_users == 5
        with pytest.raises(MovierankError, match=r"Cannot use the data cache .*Permission denied"):
            load_dataset("synthetic:6x6x60")
    finally:
        empty_cache.chmod(0o700)
