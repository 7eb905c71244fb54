from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.commands.cli import main
from bench.comparison.benchmark_files import is_benchmarks, load_benchmarks
from bench.comparison.drift import Drift
from bench.comparison.files import compare_files
from bench.comparison.limits import Allowances
from bench.errors import BenchError
from bench.report.file import save_report
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]
Write = Callable[..., Path]

SUITE = """
import pytest

@pytest.mark.parametrize("size", [10, 4000])
def test_sum(benchmark, size):
    benchmark.extra_info.update(device="cpu", keras="3.15.1", size=size)
    benchmark.pedantic(sum, (range(size),), rounds=5, iterations=20)
"""
STEADY = (1.0, 1.01, 0.99, 1.0)
STILL = Allowances(drift=Drift(sd=0.0, origin="given"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that pytest-benchmark itself wrote."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py",
               "--benchmark-json", "out.json"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out.json"


@pytest.fixture
def write(written: Path, tmp_path: Path) -> Write:
    """Writes one file a process, as pytest-benchmark would have with other medians, in seconds, and machines."""

    def files(name: str, factors: Sequence[float], change: Callable[[Any], None] = lambda content: None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number, factor in enumerate(factors):
            content = json.loads(written.read_text())
            content["datetime"] = f"2025-11-24T20:00:{number:02}+00:00"
            for place, benchmark in enumerate(content["benchmarks"]):
                benchmark["stats"]["median"] = factor * (place + 1) / 1000
            change(content)
            (folder / f"{number}.json").write_text(json.dumps(content))
        return folder

    return files


def told(content: Any, **facts: object) -> None:
    for benchmark in content["benchmarks"]:
        benchmark["extra_info"].update(facts)


def test_one_file_alone_is_undecided_with_the_reason(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comparison = compare_files(written, written)
    assert [row.verdict for row in comparison.step_time] == ["undecided", "undecided"]
    assert {(row.base.processes, row.base.rounds) for row in comparison.step_time} == {(1, 5)}
    assert main(["compare", str(written), str(written)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "test_sum[10], test_sum[4000]: one process (base and new) gives no interval" in printed
    assert "Time of a round" in printed


def test_the_median_of_the_rounds_is_the_number_that_counts(written: Path) -> None:
    stored = json.loads(written.read_text())["benchmarks"]
    rows = compare_files(written, written).step_time
    assert sorted(row.new.median_ms for row in rows) == pytest.approx(
        sorted(1e3 * benchmark["stats"]["median"] for benchmark in stored)
    )


def test_each_file_of_a_folder_is_a_process(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = write("base", STEADY), write("new", [1.2 * factor for factor in STEADY])
    comparison = compare_files(base, new, allowances=STILL)
    assert [(row.cell, row.verdict, row.regression) for row in comparison.step_time] == [
        ("test_sum[10]", "slower", True),
        ("test_sum[4000]", "slower", True),
    ]
    assert comparison.step_time[0].ratio == pytest.approx(1.2)
    assert (comparison.step_time[0].base.processes, comparison.step_time[0].base.rounds) == (4, 20)
    assert comparison.step_confidence == pytest.approx(0.975)
    assert main(["compare", str(base), str(new), "--drift", "0%"]) == 1
    assert main(["compare", str(base), str(base)]) == 0
    assert main(["compare", str(base), str(new), "--markdown", "--max-regression", "50%"]) == 0
    capsys.readouterr()


def test_two_named_benchmarks_are_compared(write: Write) -> None:
    folder = write("one", STEADY)
    (row,) = compare_files(folder, folder, cells=("test_sum[10]", "test_suite.py::test_sum[4000]")).step_time
    assert (row.cell, row.ratio) == ("test_sum[10] -> test_sum[4000]", pytest.approx(2.0))
    with pytest.raises(BenchError, match=r"NEW did not measure test_none; it has test_suite.py::test_sum"):
        compare_files(folder, folder, cells=("test_sum[10]", "test_none"))


def test_a_name_that_several_files_of_tests_share_must_be_given_in_full(write: Write) -> None:
    def add_another(content: Any) -> None:
        first = content["benchmarks"][0]
        content["benchmarks"].append(first | {"fullname": "other.py::test_sum[10]"})

    folder = write("one", STEADY, add_another)
    assert "other.py::test_sum[10]" in [row.cell for row in compare_files(folder, folder).step_time]
    with pytest.raises(BenchError, match="several benchmarks"):
        compare_files(folder, folder, cells=("test_sum[10]", "test_sum[4000]"))


def test_a_report_is_never_mixed_with_benchmarks(write: Write, make_report: MakeReport, tmp_path: Path) -> None:
    folder, report = write("one", STEADY), tmp_path / "report"
    report.mkdir()
    save_report(make_report(), report)
    for pair in ((folder, report), (report, folder)):
        with pytest.raises(BenchError, match="compare two of a kind"):
            compare_files(*pair)
    shutil.copy(next(folder.glob("*.json")), report)
    assert not is_benchmarks(report)  # a report's folder stays one, whatever else lies in it


def test_other_machines_are_refused_unless_forced(write: Write) -> None:
    def other_cpu(content: Any) -> None:
        content["machine_info"]["cpu"]["brand_raw"] = "Other CPU"

    def other_device(content: Any) -> None:
        content["benchmarks"][0]["extra_info"]["device"] = "gpu"

    base = write("base", STEADY)
    for name, change in (("Other CPU", other_cpu), ("cpu -> gpu", other_device)):
        new = write(name.replace(" ", ""), STEADY, change)
        comparison = compare_files(base, new)
        assert comparison.not_comparable is not None
        assert name in comparison.not_comparable
        assert {row.verdict for row in comparison.step_time} == {"not comparable"}
        assert compare_files(base, new, allowances=replace(STILL, force=True)).step_time[0].verdict == "same"


def test_a_folder_of_two_machines_is_refused(write: Write) -> None:
    folder = write("one", STEADY)
    content = json.loads((folder / "0.json").read_text())
    content["machine_info"]["cpu"]["count"] = 99
    (folder / "0.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match=r"different machines: cores 99 ->"):
        load_benchmarks(folder)


@pytest.mark.parametrize(
    ("facts", "python", "words"),
    [
        ({"keras": "3.14.1"}, {}, r"0\.json and .*3\.json differ: keras 3\.15\.1 -> 3\.14\.1\."),
        ({}, {"python_version": "2.7.18"}, r"differ: python_version [0-9.]+ -> 2\.7\.18\."),
        ({"threads": 1}, {}, r"differ: threads 2 -> 1\."),
    ],
)
def test_a_folder_of_two_versions_is_refused(
    write: Write, facts: dict[str, object], python: dict[str, str], words: str
) -> None:
    """--benchmark-save puts what is measured before an upgrade and after it into one folder."""
    folder = write("one", STEADY, lambda content: told(content, threads=2))
    content = json.loads((folder / "3.json").read_text())
    told(content, **facts)
    content["machine_info"].update(python)
    (folder / "3.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match=words) as refused:
        compare_files(folder, folder)
    assert "folders of their own" in str(refused.value)


def test_what_an_older_file_of_a_folder_does_not_tell_is_not_compared(write: Write) -> None:
    folder = write("one", STEADY)
    content = json.loads((folder / "3.json").read_text())
    told(content, threads=2, torch="2.13.0", size=11)
    (folder / "3.json").write_text(json.dumps(content))
    assert len(load_benchmarks(folder).files) == 4
    two, one = (write(f"{n}", STEADY, lambda content, n=n: told(content, threads=n)) for n in (2, 1))
    assert compare_files(folder, two).not_comparable is None
    comparison = compare_files(folder, one)
    assert comparison.not_comparable is not None
    assert "threads 2 -> 1" in comparison.not_comparable


def test_other_numbers_of_threads_are_other_machines(write: Write) -> None:
    """As under `taskset`, which moves no number that pytest-benchmark itself writes."""
    two, one = (write(f"{n}", STEADY, lambda content, n=n: told(content, threads=n)) for n in (2, 1))
    for cells in (None, ("test_sum[10]", "test_sum[4000]")):
        comparison = compare_files(two, one, cells=cells)
        assert comparison.not_comparable is not None
        assert "threads 2 -> 1" in comparison.not_comparable
        assert {row.verdict for row in comparison.step_time} == {"not comparable"}
    assert compare_files(two, write("older", STEADY), allowances=STILL).step_time[0].verdict == "same"


def test_a_side_whose_cores_were_apart_is_not_believed(write: Write) -> None:
    """Of five rounds a process; in one process of the newer side two of them, in another one alone."""
    counts = iter([0, 2, 1, None])
    base = write("base", STEADY, lambda content: told(content, apart_rounds=0))
    slower = [1.2 * factor for factor in STEADY]
    new = write("new", slower, lambda content: told(content, apart_rounds=next(counts)))
    for row in compare_files(base, new, allowances=STILL).step_time:
        assert (row.verdict, row.regression) == ("undecided", False)
        assert row.why_undecided is not None
        assert row.why_undecided.startswith(
            "in 1 of 4 processes (new) the machine's cores shared no cache for more than"
        )
    assert {row.verdict for row in compare_files(new, new).step_time} == {"same"}
    believed = compare_files(base, new, allowances=replace(STILL, ignore_noise=True))
    assert {row.verdict for row in believed.step_time} == {"slower"}
    few = write("few", slower, lambda content: told(content, apart_rounds=1))
    assert compare_files(base, few, allowances=STILL).step_time[0].verdict == "slower"


def test_a_device_that_changed_is_told_once(write: Write) -> None:
    new = write("new", STEADY, lambda content: told(content, device="gpu", keras="3.16.0"))
    comparison = compare_files(write("base", STEADY), new)
    assert "device cpu -> gpu" in (comparison.not_comparable or "")
    assert comparison.changes == ["keras 3.15.1 -> 3.16.0"]


def test_the_same_measurement_twice_is_refused(write: Write) -> None:
    """A copy would count as a process of its own and narrow the interval."""
    folder = write("one", STEADY)
    shutil.copy(folder / "0.json", folder / "copy.json")
    with pytest.raises(BenchError, match="the same measurement"):
        load_benchmarks(folder)


def test_versions_that_changed_are_named(write: Write) -> None:
    def newer(content: Any) -> None:
        for benchmark in content["benchmarks"]:
            benchmark["extra_info"]["keras"] = "3.16.0"

    assert compare_files(write("a", STEADY), write("b", STEADY, newer)).changes == ["keras 3.15.1 -> 3.16.0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"machine_info": {}, "benchmarks": [{"name": 1}], "datetime": ""}', "no file of pytest-benchmark"),
        ('{"machine_info": {}, "benchmarks": [{"name": "a", "fullname": "b", "stats": {"median": 0, "rounds": 1}}], '
         '"datetime": ""}', "impossible time"),
        ('{"benchmarks": []}', "not a movierank-bench report"),
        ("[1]", "not a movierank-bench report"),
        ("{", "not a report"),
    ],
)  # fmt: skip
def test_what_is_neither_kind_is_a_clear_word(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(BenchError, match=words):
        compare_files(file, file)


def test_one_cell_alone_cannot_be_compared(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(written), str(written), "--base-cell", "test_sum[10]"]) == 2
    assert "--base-cell and --new-cell go together" in capsys.readouterr().err
