from __future__ import annotations

import contextlib
import errno
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import BenchError
from bench.report.file import REPORT_NAME, claimed, load_report, save_report, with_unknown_keys
from bench.schema.report import SCHEMA, Report
from bench.system.files import atomic_write

pytestmark = pytest.mark.backend_free

HOLD = """
import sys, time
from pathlib import Path
from bench.report.file import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(600)
"""

MakeReport = Callable[..., Report]

GOLDEN = Path(__file__).parents[1] / "golden" / "report-1.json"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A report's directory that holds the golden report."""
    shutil.copyfile(GOLDEN, tmp_path / REPORT_NAME)
    return tmp_path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_golden_report_loads_with_what_it_says() -> None:
    report = load_report(GOLDEN)
    assert report.schema == SCHEMA
    assert (report.workload.dataset, report.workload.num_train, report.workload.init) == ("100k", 80_000, "shared")
    assert [(run.backend, run.device, run.process, run.status) for run in report.runs] == [
        ("jax", "cpu", 0, "ok"),
        ("jax", "cpu", 1, "ok"),
        ("torch", "cpu", 0, "ok"),
        ("torch", "cpu", 1, "failed"),
        ("tensorflow", "cpu", 0, "ok"),
        ("tensorflow", "cpu", 1, "ok"),
        ("torch", "gpu", 0, "skipped"),
    ]
    assert report.runs[0].step_time_ms[0] == pytest.approx(3.5446, abs=5e-5)
    assert report.runs[0].test_rmse == pytest.approx(0.25776, abs=5e-6)
    assert "could not create a primitive" in str(report.runs[3].error)
    assert report.machine.gpus[0].name == "NVIDIA H100 80GB HBM3"
    assert {result.known for result in report.parity if result.verdict == "outside"} == {
        "tensorflow-indexed-slices",
        None,
    }
    assert [result.stage for result in report.parity if result.rms is None] == ["step 10"]


def test_a_report_is_found_by_its_directory_and_by_its_file(stored: Path) -> None:
    assert load_report(stored) == load_report(stored / REPORT_NAME) == load_report(GOLDEN)


def assert_holds(found: Any, wanted: Any, place: str = "$") -> None:
    """Checks that `found` has all of `wanted`; it may have more keys, which have come since."""
    if isinstance(wanted, dict):
        assert wanted.keys() <= found.keys(), place
        for key, value in wanted.items():
            assert_holds(found[key], value, f"{place}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), place
        for index, value in enumerate(wanted):
            assert_holds(found[index], value, f"{place}[{index}]")
    else:
        assert found == wanted, place


def filled(value: Any) -> Any:
    """Leaves out what says nothing, such as optional keys that are newer than the golden report."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items() if item not in (None, [])}
    return [filled(item) for item in value] if isinstance(value, list) else value


def test_saving_keeps_the_keys_of_a_later_version_at_every_depth(stored: Path) -> None:
    for _ in range(2):
        save_report(load_report(stored), stored)
        assert_holds(json.loads((stored / REPORT_NAME).read_text()), json.loads(GOLDEN.read_text()))


def test_a_run_measured_anew_does_not_inherit_what_was_said_of_the_old_one(stored: Path) -> None:
    report = load_report(stored)
    first, *others = report.runs
    again = msgspec.structs.replace(first, step_time_ms=[1.0, 1.1])
    save_report(msgspec.structs.replace(report, runs=[*others, again]), stored)
    runs = json.loads((stored / REPORT_NAME).read_text())["runs"]
    assert [run["backend"] for run in runs if "allocator" in run] == ["tensorflow"], "moved, otherwise as stored"
    assert [run for run in runs if "energy_j" in run] == [], "measured anew"


def test_known_keys_are_never_taken_from_the_stored_report() -> None:
    fresh = {"a": None, "b": [], "c": {"d": 1}, "e": [{"f": 1}, {"f": 2}]}
    stored = {"a": 1, "b": [{"x": 1}], "c": {"d": 2, "y": 3}, "e": [{"f": 2, "z": 4}], "w": 5}
    merged = {"a": None, "b": [], "c": {"d": 1, "y": 3}, "e": [{"f": 1}, {"f": 2, "z": 4}], "w": 5}
    assert with_unknown_keys(fresh, stored) == merged
    assert with_unknown_keys(fresh, ["something else"]) == fresh


def test_a_damaged_report_is_replaced_by_a_fresh_one(tmp_path: Path, make_report: MakeReport) -> None:
    (tmp_path / REPORT_NAME).write_text("{half")
    save_report(make_report(), tmp_path)
    assert load_report(tmp_path) == make_report()


def changed(**values: Any) -> bytes:
    return json.dumps({**json.loads(GOLDEN.read_text()), **values}).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOLDEN.read_bytes()[:5000], "is not a report: "),
        (b"", "is not a report: "),
        (b"\xff\xfe\x00", "is not a report: "),
        (b"[" * 100_000, "is not a report: "),
        (b"user_id,movie_id\n1,2\n", "is not a report: "),
        (b"[1, 2, 3]", "is not a movierank-bench report"),
        (b'{"benchmarks": []}', "is not a movierank-bench report"),
        (changed(schema="other-tool/1"), "is not a movierank-bench report"),
        (changed(schema=1), "is not a movierank-bench report"),
        (changed(schema="movierank-bench/2"), f"schema movierank-bench/2, and this version reads {SCHEMA}; upgrade"),
        (changed(schema="movierank-bench/10"), "schema movierank-bench/10"),
        (changed(runs=[{"backend": "jax"}]), r"is damaged: .*missing required field.*\$\.runs\[0\]"),
        (changed(workload=None), r"is damaged: .*\$\.workload"),
        (changed(runs={"jax": 1}), r"is damaged: .*\$\.runs"),
    ],
    ids=[
        *("truncated", "empty", "no UTF-8", "nested without end", "CSV"),
        *("a list", "pytest-benchmark's", "another tool's", "a number as schema", "a later schema", "schema 10"),
        *("a run without its keys", "no workload", "runs that are no list"),
    ],
)
def test_what_is_no_report_is_refused_in_a_line_that_names_the_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / REPORT_NAME).write_bytes(content)
    with pytest.raises(BenchError, match=message) as caught:
        load_report(tmp_path)
    assert str(tmp_path / REPORT_NAME) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_where_no_report_is_the_message_says_what_should_be_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "nowhere.json"):
        with pytest.raises(BenchError, match=r"no report at .*: it should hold a report\.json"):
            load_report(path)
    (tmp_path / REPORT_NAME).mkdir()
    with pytest.raises(BenchError, match=r"cannot read .*Is a directory"):
        load_report(tmp_path)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "figure.svg"
    with atomic_write(target) as temporary:
        assert temporary.suffix == ".svg", "writers choose the format by it"
        temporary.write_text("<svg/>")
        assert not target.exists()
    assert target.read_text() == "<svg/>"
    assert names(tmp_path) == ["figure.svg"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_write_that_breaks_off_leaves_the_old_file_and_no_other(stored: Path, error: BaseException) -> None:
    def write_half() -> None:
        with atomic_write(stored / REPORT_NAME) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert (stored / REPORT_NAME).read_bytes() == GOLDEN.read_bytes()
    assert names(stored) == [REPORT_NAME]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from bench.errors import BenchError
from bench.report.file import load_report, save_report
directory = Path(sys.argv[1])
report = load_report(directory)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_report(report, directory)
except BenchError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_leaves_the_old_file_and_no_other(stored: Path) -> None:
    # A limit on the size of files fails the write as a full disk does.
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, stored], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"cannot write {stored / REPORT_NAME}: File too large\n"
    assert (stored / REPORT_NAME).read_bytes() == GOLDEN.read_bytes()
    assert names(stored) == [REPORT_NAME]


def test_a_disk_that_fills_up_at_the_last_moment_leaves_the_old_file(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    report = load_report(stored)
    monkeypatch.setattr("os.fsync", no_space)  # some file systems find out only here
    with pytest.raises(BenchError, match=r"cannot write .*: No space left on device"):
        save_report(report, stored)
    assert (stored / REPORT_NAME).read_bytes() == GOLDEN.read_bytes()
    assert names(stored) == [REPORT_NAME]


def test_a_directory_that_is_not_there_is_said(tmp_path: Path, make_report: MakeReport) -> None:
    with pytest.raises(BenchError, match=r"cannot write .*: No such file or directory"):
        save_report(make_report(), tmp_path / "gone")


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
