from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.commands.cli import main
from bench.comparison.benchmark_files import load_benchmarks
from bench.comparison.drift import Drift
from bench.comparison.files import compare_files
from bench.comparison.limits import Allowances
from bench.errors import BenchError
from bench.export.pytest_benchmark import _stats, as_one_file
from bench.report.file import load_report, save_report
from bench.report.rounds import process_medians
from bench.report.view import load_views

pytestmark = pytest.mark.backend_free

STILL = Allowances(drift=Drift(sd=0.0, origin="given"))


def export(*arguments: Path | str) -> int:
    return main(["export", *map(str, arguments), "--to", "pytest-benchmark"])


def test_a_folder_reads_back_as_the_same_processes_and_gives_the_same_verdicts(real: Path, tmp_path: Path) -> None:
    assert export(real, "-o", tmp_path / "out") == 0
    benchmarks = load_benchmarks(tmp_path / "out")
    medians = {name.partition("::")[2]: found for name, found in benchmarks.medians().items()}
    expected = {str(cell): found for cell, found in process_medians(load_report(real).runs).items()}
    assert medians == {cell: pytest.approx(found) for cell, found in expected.items()}
    assert {timed.rounds for timed in benchmarks.timed().values()} == {25}
    there = compare_files(tmp_path / "out", tmp_path / "out", allowances=STILL)
    here = compare_files(real, real, allowances=STILL)
    for one, other in zip(there.step_time, here.step_time, strict=True):
        assert (one.cell, one.verdict, one.processes_needed) == (other.cell, other.verdict, other.processes_needed)
        assert one.ci95 == pytest.approx(other.ci95)


def test_pytest_benchmark_itself_compares_the_files(real: Path, tmp_path: Path) -> None:
    assert export(real, "-o", tmp_path / "one.json") == 0
    assert export(real, "-o", tmp_path / "several") == 0
    # In a process of its own: its command reads sys.argv, and looks for a conftest.py in the working directory.
    program = "import sys; from pytest_benchmark.cli import main; main()"
    files = [tmp_path / "one.json", *sorted((tmp_path / "several").iterdir())]
    command = [sys.executable, "-c", program, "compare", *files, "--csv=table.csv", "--columns=median,rounds,ops"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Failed to load" not in done.stdout + done.stderr
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + 9 * 6


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5, 7, 10, 41])
def test_statistics_are_those_that_pytest_benchmark_computes(rounds: int) -> None:
    from pytest_benchmark.stats import Stats

    seconds = [random.Random(rounds).lognormvariate(-7, 0.5) for _ in range(rounds)]
    theirs = Stats()
    for value in seconds:
        theirs.update(value)
    expected = {**theirs.as_dict(), "data": seconds}
    ours = _stats(seconds)
    assert ours.pop("outliers") == expected.pop("outliers")
    assert ours == {name: pytest.approx(value) for name, value in expected.items()}


def test_one_file_has_processes_for_rounds_and_what_other_tools_look_for(real: Path) -> None:
    file = json.loads(as_one_file(load_views([real])))
    steps = {(row.backend, row.loop): row for row in load_report(real).step_time}
    assert len(file["benchmarks"]) == 9
    for benchmark in file["benchmarks"]:
        row = steps[benchmark["extra_info"]["backend"], benchmark["extra_info"]["loop"]]
        assert 1e3 * benchmark["stats"]["median"] == pytest.approx(row.median_ms)
        assert benchmark["stats"]["rounds"] == row.processes
        assert benchmark["stats"]["ops"] == pytest.approx(1 / benchmark["stats"]["mean"])
        # github-action-benchmark takes fullname, ops, stddev, mean and rounds.
        assert {"stddev", "mean"} <= benchmark["stats"].keys()
        assert "process" not in benchmark["extra_info"]
        assert benchmark["extra_info"]["threads"] == load_report(real).settings.threads


def test_what_was_not_measured_is_absent(broken: Path, tmp_path: Path) -> None:
    assert export(broken, "-o", tmp_path / "out") == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == ["process-0000.json", "process-0001.json"]
    names = [[each["name"] for each in json.loads(path.read_text())["benchmarks"]] for path in files]
    assert names == [["jax/cpu/fit", "torch/cpu/fit"]] * 2
    (lost, kept) = json.loads(files[1].read_text())["benchmarks"]
    assert "test_rmse" not in lost["extra_info"]
    assert kept["extra_info"]["test_rmse"] == pytest.approx(0.25775)


def test_rounds_and_processes_that_do_not_count_are_left_out(real: Path, tmp_path: Path) -> None:
    report = load_report(real)
    # Of process 0 every round, and of process 1 the first, was timed while the cores shared no cache.
    looks = {0: [9.0] * 5, 1: [9.0, 1.0, 1.0, 1.0, 1.0]}
    runs = [
        msgspec.structs.replace(
            run,
            handover=looks.get(run.process, [1.0] * 5),
            **{name: getattr(run, name)[:5] for name in ("step_time_ms", "fit_setup_ms", "turns")},
        )
        for run in report.runs
    ]
    (tmp_path / "apart").mkdir()
    save_report(msgspec.structs.replace(report, runs=runs), tmp_path / "apart")
    assert export(tmp_path / "apart", "-o", tmp_path / "out") == 0
    benchmarks = load_benchmarks(tmp_path / "out")
    assert [len(file.benchmarks) for file in benchmarks.files] == [9] * 4
    assert {benchmark.stats.rounds for benchmark in benchmarks.files[0].benchmarks} == {4}
    assert main(["export", str(tmp_path / "apart"), "--to", "csv", "-o", str(tmp_path / "rounds.csv")]) == 0
    rows = (tmp_path / "rounds.csv").read_text().splitlines()
    assert sum(row.endswith(",9.0,no") for row in rows) == 9 * 6
    assert sum(row.endswith(",1.0,yes") for row in rows) == 9 * 19


def test_several_reports_have_folders_of_their_own_and_nothing_is_mixed(
    real: Path, broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "elsewhere" / "broken"
    shutil.copytree(broken, copy)
    assert export(real, broken, copy, "-o", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["broken", "broken-2", "loops-2cores"]
    assert export(real, "-o", tmp_path / "out") == 2
    assert "already holds something; choose another -o" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
    with pytest.raises(BenchError, match="one REPORT, or -o FOLDER"):
        as_one_file(load_views([real, broken]))
