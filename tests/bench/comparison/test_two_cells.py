"""Two cells compared instead of two reports, by `--base-cell` and `--new-cell`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bench.comparison.drift import ASSUMED
from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.report.summary import summarise
from bench.schema.machine import Conditions
from bench.schema.parity import ParityResult
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = (1.0, 1.01, 0.99, 1.0)


def test_two_cells_of_one_report_are_compared_as_it_compares_them(make_report: MakeReport) -> None:
    report = make_report({"jax": (1.0, 1.1, 0.9), "torch": (3.0, 3.4, 2.7)})
    comparison = compare_reports(report, report, cells=("jax/cpu/fit", "torch/cpu/fit"))
    (row,), (expected,) = comparison.step_time, summarise(report.runs).ratios
    assert (row.cell, row.base.name, row.new.name) == ("jax/cpu/fit -> torch/cpu/fit", "jax/cpu/fit", "torch/cpu/fit")
    assert row.ratio == pytest.approx(expected.ratio)
    assert row.ci95 == pytest.approx(expected.ci95)
    assert (row.verdict, comparison.exit_code) == ("slower", 1)
    assert [each.cell for each in comparison.rmse] == ["jax/cpu/fit -> torch/cpu/fit"]
    assert comparison.only_in_base == comparison.only_in_new == {}


def test_two_cells_of_two_reports_are_compared(make_report: MakeReport) -> None:
    base, new = make_report({"torch": [3 * v for v in BASE]}), make_report({"jax": BASE})
    comparison = compare_reports(base, new, cells=("torch/cpu/fit", "jax/cpu/fit"))
    assert comparison.step_time[0].ratio == pytest.approx(1 / 3)
    assert (comparison.step_time[0].verdict, comparison.exit_code) == ("faster", 0)


def outside(cell: str) -> ParityResult:
    return ParityResult(
        a=cell, b="oracle", stage="epoch 1", rms=1e-3, max_abs=1e-2, envelope=1e-5, verdict="outside", known=None
    )


def test_only_the_new_cells_faults_count_between_two_cells(make_report: MakeReport) -> None:
    faults = [outside("jax/cpu/fit"), outside("torch/cpu/fit")]
    medians = {"jax": BASE, "torch": BASE}
    sound, faulty = make_report(medians, parity=[]), make_report(medians, parity=faults)

    def found(base: Report) -> list[str]:
        return [row.a for row in compare_reports(base, faulty, cells=("torch/cpu/fit", "jax/cpu/fit")).parity]

    assert found(sound) == ["jax/cpu/fit"]
    assert found(faulty) == []  # jax has the fault that torch had


def test_a_cell_that_was_not_measured_is_named_with_those_that_were(make_report: MakeReport) -> None:
    report = make_report({"jax": BASE})
    with pytest.raises(BenchError, match=r"--base-cell: BASE did not measure tpu/cpu/fit; it has jax/cpu/fit"):
        compare_reports(report, report, cells=("tpu/cpu/fit", "jax/cpu/fit"))
    with pytest.raises(BenchError, match="--new-cell: NEW did not measure"):
        compare_reports(report, report, cells=("jax/cpu/fit", "torch"))


def test_two_cells_of_one_report_share_what_others_do(make_report: MakeReport) -> None:
    report = make_report({"jax": (1.0, 1.01, 0.99), "torch": (2.0, 2.02, 1.98)})
    report = msgspec.structs.replace(report, conditions=Conditions(others_cpu_run_percent=40))
    (row,) = compare_reports(report, report, cells=("jax/cpu/fit", "torch/cpu/fit")).step_time
    assert row.verdict == "slower"


def with_torch_later(report: Report, processes: set[int]) -> Report:
    """The report as a `--resume` leaves it that first measured torch, in these processes, after all else."""
    runs = [
        msgspec.structs.replace(run, turns=[1000 + turn for turn in run.turns])
        if run.backend == "torch" and run.process in processes
        else run
        for run in report.runs
    ]
    return msgspec.structs.replace(report, runs=runs)


def test_two_cells_of_one_report_that_never_took_turns_may_have_drifted(make_report: MakeReport) -> None:
    report = make_report({"jax": (1.0, 1.01, 0.99), "torch": (1.06, 1.071, 1.049)})
    later = with_torch_later(report, {0, 1, 2})
    cells = ("jax/cpu/fit", "torch/cpu/fit")
    beside, apart = (compare_reports(each, each, cells=cells) for each in (report, later))
    assert (beside.drift.origin, beside.step_time[0].verdict) == ("none", "slower")
    assert (apart.drift, apart.step_time[0].verdict) == (ASSUMED, "undecided")
    assert apart.step_time[0].hidden_by_drift
    busy = msgspec.structs.replace(later, conditions=Conditions(others_cpu_run_percent=40))
    assert "other processes used" in str(compare_reports(busy, busy, cells=cells).step_time[0].disturbed)


def test_two_cells_of_one_report_are_compared_by_the_processes_that_took_turns(make_report: MakeReport) -> None:
    torch = (9.0, 9.9, 2.0, 2.02, 1.98)  # the first two of another day
    report = with_torch_later(make_report({"jax": (1.0, 1.01, 0.99, 1.0, 1.01), "torch": torch}), {0, 1})
    comparison = compare_reports(report, report, cells=("jax/cpu/fit", "torch/cpu/fit"))
    (row,), (expected,) = comparison.step_time, summarise(report.runs).ratios
    assert expected.pairs == 3
    assert (row.ratio, row.ci95) == (pytest.approx(expected.ratio), pytest.approx(expected.ci95))
    assert comparison.drift.origin == "none"
