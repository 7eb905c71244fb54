"""No verdict where something beside the software may have made a difference, or hidden one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from bench.comparison.drift import Drift
from bench.comparison.limits import Allowances
from bench.comparison.reports import compare_reports
from bench.schema.machine import Conditions
from bench.schema.report import Report, Together
from bench.schema.run import Run

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]
Processes = Sequence[tuple[float, float]]  # of each its step time in ms and the handover ratio of its rounds

STILL = Allowances(drift=Drift(sd=0.0, origin="given"))
NEAR, APART = 1.35, 3.3
CALM = [(1.0, NEAR), (1.01, NEAR), (0.99, NEAR), (1.0, NEAR), (1.0, NEAR)]
MOSTLY_APART = [(1.0, NEAR), *[(1.4, APART)] * 4]


def runs_of(processes: Processes, backend: str = "jax") -> list[Run]:
    return [
        Run(
            backend=backend, device="cpu", loop="fit", process=process, seed=0, status="ok",
            step_time_ms=[factor * step_time for factor in (0.99, 1.0, 1.01)], handover=[ratio] * 3,
        )
        for process, (step_time, ratio) in enumerate(processes)
    ]  # fmt: skip


def report_of(make_report: MakeReport, processes: Processes, torch: Processes = ()) -> Report:
    report = make_report({"jax": [1.0]})
    return msgspec.structs.replace(report, runs=[*runs_of(processes), *runs_of(torch, "torch")])


def busy(report: Report, percent: float = 40) -> Report:
    return msgspec.structs.replace(report, conditions=Conditions(others_cpu_run_percent=percent))


def test_no_difference_is_believed_where_other_programs_were_busy(make_report: MakeReport) -> None:
    base, new = make_report({"jax": (1.0, 1.01, 0.99)}), make_report({"jax": (2.0, 2.02, 1.98)})
    (row,) = compare_reports(base, busy(new, 40)).step_time
    assert (row.verdict, row.regression, row.processes_needed) == ("undecided", False, None)
    assert row.ratio == pytest.approx(2.0, rel=0.01)
    assert row.why_undecided is not None
    assert row.why_undecided.startswith("other processes used 40 % of a core (new)")
    killed = msgspec.structs.replace(new, conditions=Conditions(others_cpu_percent=80))  # before its first look
    (early,) = compare_reports(base, killed).step_time
    assert early.why_undecided is not None
    assert early.why_undecided.startswith(
        "other processes used 80 % of a core (new) while it was measured or just before"
    )
    (forced,) = compare_reports(base, busy(new, 40), allowances=Allowances(ignore_noise=True)).step_time
    (quiet,) = compare_reports(base, busy(new, 3)).step_time
    assert forced.verdict == quiet.verdict == "slower"


@pytest.mark.parametrize("apart", ["base", "new"])
def test_rounds_with_cores_apart_that_count_on_one_side_alone_decide_nothing(
    make_report: MakeReport, apart: str
) -> None:
    """One process of five saw the usual state: too few to go by, and enough to be the usual state of the report."""
    reports = {name: report_of(make_report, MOSTLY_APART if name == apart else CALM) for name in ("base", "new")}
    comparison = compare_reports(reports["base"], reports["new"], allowances=STILL)
    (row,) = comparison.step_time
    assert (row.verdict, row.regression, comparison.exit_code) == ("undecided", False, 0)
    assert f"cores shared no cache count in {apart}, which has too few others" in str(row.why_undecided)
    (believed,) = compare_reports(
        reports["base"], reports["new"], allowances=replace(STILL, ignore_noise=True)
    ).step_time
    assert (believed.verdict, believed.regression) == (("slower", True) if apart == "new" else ("faster", False))


def test_a_cell_whose_rounds_with_cores_apart_count_leaves_the_others_their_verdicts(make_report: MakeReport) -> None:
    base, new = (report_of(make_report, processes, torch=CALM) for processes in (CALM, MOSTLY_APART))
    verdicts = {row.cell: row.verdict for row in compare_reports(base, new, allowances=STILL).step_time}
    assert verdicts == {"jax/cpu/fit": "undecided", "torch/cpu/fit": "same"}


def test_two_sides_that_both_count_rounds_with_cores_apart_are_compared(make_report: MakeReport) -> None:
    base, new = (report_of(make_report, [(factor * time, ratio) for time, ratio in MOSTLY_APART]) for factor in (1, 3))
    assert compare_reports(base, new, allowances=STILL).step_time[0].verdict == "slower"


def test_side_by_side_all_cancels_but_rounds_with_cores_apart_that_count_on_one_side(make_report: MakeReport) -> None:
    def beside(name: str, processes: Processes) -> Report:
        report = busy(report_of(make_report, processes))
        return msgspec.structs.replace(report, together=Together(id="a", side=name))  # type: ignore[arg-type]

    base = beside("base", [(time, NEAR if process < 2 else APART) for process, (time, _) in enumerate(CALM)])
    apart, calm = beside("new", MOSTLY_APART), beside("new", CALM)
    (row,) = compare_reports(base, apart).step_time
    assert "cores shared no cache count in new" in str(row.why_undecided)
    (other,) = compare_reports(beside("base", CALM), calm).step_time
    assert (other.verdict, other.disturbed) == ("same", None)


def test_same_is_not_believed_of_a_report_in_which_other_programs_were_busy(make_report: MakeReport) -> None:
    """BASE took longer for what others did, and NEW does by itself: a regression must not pass as the same."""
    base, new = busy(report_of(make_report, CALM)), report_of(make_report, CALM)
    comparison = compare_reports(base, new, allowances=STILL)
    (row,) = comparison.step_time
    assert (row.ratio, row.verdict) == (pytest.approx(1.0), "undecided")
    assert str(row.why_undecided).startswith("other processes used 40 % of a core (base)")
    assert compare_reports(base, new, allowances=replace(STILL, ignore_noise=True)).step_time[0].verdict == "same"


def test_same_is_not_believed_where_cores_shared_a_cache_in_one_report_alone(make_report: MakeReport) -> None:
    base, new = (report_of(make_report, [(time, ratio) for time, _ in CALM]) for ratio in (NEAR, APART))
    (row,) = compare_reports(base, new, allowances=STILL).step_time
    assert row.verdict == "undecided"
    assert "not in the other (new)" in str(row.why_undecided)


def test_a_report_in_which_other_programs_were_busy_is_the_same_as_itself(make_report: MakeReport) -> None:
    report = busy(report_of(make_report, CALM))
    assert compare_reports(report, report).step_time[0].verdict == "same"
