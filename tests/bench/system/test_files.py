from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.system.files import add_line, read_lines, write_text

pytestmark = pytest.mark.backend_free


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.json", tmp_path / "link.json"
    link.symlink_to(target)
    for text in ("new", "newer"):
        write_text(text, link)
        assert link.is_symlink()
        assert target.read_text() == text
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["real.json"]


def test_a_link_around_a_circle_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(link)
    with pytest.raises(BenchError, match=r"cannot write .*link\.json: "):
        write_text("new", link)
    assert link.is_symlink()


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()))
    reader.start()
    write_text("new", fifo)
    reader.join(30)
    assert read == ["new"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


def test_standard_output_is_written_to_through_its_device() -> None:
    program = "from pathlib import Path; from bench.system.files import write_text; write_text('new', Path('{}'))"
    for device in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        done = subprocess.run(
            [sys.executable, "-c", program.format(device)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "new", device
    write_text("new", Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_full_device_is_said(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(BenchError, match="cannot write /dev/full: No space left on device"):
        write_text("new", full)
    assert stat.S_ISCHR(full.stat().st_mode)


def test_a_new_file_has_the_permissions_of_the_umask_and_another_keeps_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text("new", tmp_path / "new")
        (tmp_path / "old").write_text("old")
        (tmp_path / "old").chmod(0o604)
        write_text("newer", tmp_path / "old")
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "new"), mode_of(tmp_path / "old")) == (0o640, 0o604)


def test_a_folder_that_may_not_be_written_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write .*: "):
        write_text("new", tmp_path)
    assert tmp_path.is_dir()


class Record(msgspec.Struct):
    number: int
    words: str = ""


@given(
    records=st.lists(st.builds(Record, st.integers(-(2**63), 2**63 - 1), st.text()), min_size=1, max_size=4),
    cut=st.integers(0, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_within_a_line_loses_that_line_alone(tmp_path: Path, records: list[Record], cut: int) -> None:
    file = tmp_path / "records.jsonl"
    file.unlink(missing_ok=True)
    for record in records:
        add_line(record, file)
    assert read_lines(file, Record, "records") == records
    last = len(msgspec.json.encode(records[-1])) + 1
    with file.open("r+b") as lines:
        lines.truncate(file.stat().st_size - 1 - min(cut, last - 1))
    kept = records if cut == 0 else records[:-1]
    assert read_lines(file, Record, "records") == kept
    add_line(Record(7), file)
    assert read_lines(file, Record, "records") == [*kept, Record(7)]


def test_another_line_that_is_no_record_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    for content in ('{"number": 1}\n{"num\n', '{"num\n{"number": 1}\n', '{"number": "one"}\n', '{"number": "one"}'):
        file.write_text(content)
        with pytest.raises(BenchError, match="does not hold records"):
            read_lines(file, Record, "records")


def test_a_text_of_somebody_else_is_refused_and_nothing_of_it_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my only note")
    with pytest.raises(BenchError, match="does not hold records"):
        read_lines(file, Record, "records")
    add_line(Record(7), file)
    assert file.read_text().startswith("my only note\n")
