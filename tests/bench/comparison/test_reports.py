from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparison.drift import Drift
from bench.comparison.limits import Allowances, Limits
from bench.comparison.records import Comparison, Timed
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.comparison.words import as_json
from bench.errors import BenchError
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = (1.0, 1.01, 0.99, 1.0)
STILL = Allowances(drift=Drift(sd=0.0, origin="given"))


def shown(comparison: Comparison) -> str:
    console = LastingConsole(file=io.StringIO(), width=200)
    console.print(render(comparison))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def against(make_report: MakeReport, medians: Sequence[float], **options: float) -> Comparison:
    base, new = make_report({"jax": BASE}), make_report({"jax": medians})
    return compare_reports(base, new, Limits(**options), STILL)


def parity(verdict: str, known: str | None = None, stage: str = "epoch 1") -> ParityResult:
    fields = {"a": "jax/cpu/fit", "b": "oracle", "stage": stage, "rms": 1e-3, "max_abs": 1e-2, "envelope": 1e-5}
    return ParityResult(**fields, verdict=verdict, known=known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("factor", "verdict", "regression"),
    [
        (1.0, "same", False),
        (1.02, "same", False),
        (1.2, "slower", True),
        (0.8, "faster", False),
        (1.055, "slower", False),
        (1.045, "slower", False),
    ],
)
def test_verdict_follows_the_whole_interval(
    make_report: MakeReport, factor: float, verdict: str, regression: bool
) -> None:
    comparison = against(make_report, [factor * value for value in BASE])
    (row,) = comparison.step_time
    assert row.ratio == pytest.approx(factor)
    assert (row.verdict, row.regression) == (verdict, regression)
    assert comparison.exit_code == int(regression)


def test_scattered_processes_leave_it_undecided(make_report: MakeReport) -> None:
    comparison = against(make_report, [0.8, 1.4, 1.0, 1.3])
    assert comparison.step_time[0].verdict == "undecided"
    assert comparison.exit_code == 0


def test_a_report_is_the_same_as_itself(make_report: MakeReport) -> None:
    """With scatter between processes, yet a difference of nothing."""
    report = make_report({"jax": BASE})
    comparison = compare_reports(report, report)
    assert [row.verdict for row in comparison.step_time] == ["same"]
    assert [row.verdict for row in comparison.rmse] == ["same"]
    assert comparison.changes == []
    assert comparison.exit_code == 0


def test_one_process_is_undecided_however_large_the_ratio(make_report: MakeReport) -> None:
    comparison = compare_reports(make_report({"jax": (1.0,)}), make_report({"jax": (9.0,)}))
    assert comparison.step_time[0].ratio == pytest.approx(9.0)
    assert (comparison.step_time[0].ci95, comparison.step_time[0].verdict) == (None, "undecided")
    assert comparison.rmse[0].verdict == "undecided"
    assert comparison.exit_code == 0


def test_a_wider_limit_lets_a_regression_pass(make_report: MakeReport) -> None:
    slower = [1.2 * value for value in BASE]
    assert against(make_report, slower, max_regression=0.1).exit_code == 1
    assert against(make_report, slower, max_regression=0.5).exit_code == 0


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=6), st.floats(0, 0.5))
def test_swapping_the_reports_mirrors_the_verdict(make_report: MakeReport, medians: list[float], limit: float) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": medians})
    forth = compare_reports(base, new, limits=Limits(max_regression=limit)).step_time[0]
    back = compare_reports(new, base, limits=Limits(max_regression=limit)).step_time[0]
    assert forth.ratio is not None
    assert back.ratio is not None
    assert forth.ratio * back.ratio == pytest.approx(1)
    mirror = {"faster": "slower", "slower": "faster"}
    assert mirror.get(forth.verdict, forth.verdict) == back.verdict


@pytest.mark.parametrize(
    ("rise", "verdict", "code"),
    [(0.0, "same", 0), (0.0005, "same", 0), (0.003, "worse", 1), (-0.003, "better", 0)],
)
def test_rmse_is_compared_seed_by_seed(make_report: MakeReport, rise: float, verdict: str, code: int) -> None:
    base = make_report({"jax": BASE}, rmse={"jax": 0.2577})
    new = make_report({"jax": BASE}, rmse={"jax": 0.2577 + rise})
    comparison = compare_reports(base, new)
    assert comparison.rmse[0].difference == pytest.approx(rise)
    assert (comparison.rmse[0].verdict, comparison.exit_code) == (verdict, code)


def test_rmse_of_other_seeds_is_compared_as_two_samples(make_report: MakeReport) -> None:
    base = make_report({"jax": BASE})
    runs = [msgspec.structs.replace(run, seed=run.seed + 100, test_rmse=0.3 + 1e-4 * run.seed) for run in base.runs]
    comparison = compare_reports(base, msgspec.structs.replace(base, runs=runs))
    assert comparison.rmse[0].verdict == "worse"
    assert comparison.rmse[0].ci95 is not None


def test_means_are_of_the_seeds_that_the_difference_is_of(make_report: MakeReport) -> None:
    """As where one side was measured with --quick: a seed more moves the mean by far more than any backend."""
    base, new = make_report({"jax": BASE[:3]}), make_report({"jax": BASE[:2]})
    hard = msgspec.structs.replace(base.runs[2], test_rmse=0.29)
    base = msgspec.structs.replace(base, runs=[*base.runs[:2], hard])
    for comparison in (compare_reports(base, new), compare_reports(new, base)):
        (row,) = comparison.rmse
        assert row.base == pytest.approx(row.new)
        assert row.difference == pytest.approx(row.new - row.base)
        assert row.verdict == "same"


def test_a_margin_of_its_own_decides_what_worse_means(make_report: MakeReport) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": BASE}, rmse={"jax": 0.2587})
    assert compare_reports(base, new, limits=Limits(rmse_margin=0.0001)).exit_code == 1
    assert compare_reports(base, new, limits=Limits(rmse_margin=0.01)).exit_code == 0


def test_newly_out_of_parity_fails_and_the_rest_does_not(make_report: MakeReport) -> None:
    def code(old: list[ParityResult], new: list[ParityResult]) -> int:
        return compare_reports(make_report(parity=old), make_report(parity=new)).exit_code

    assert code([parity("within")], [parity("outside")]) == 1
    assert code([], [parity("outside")]) == 1
    assert code([parity("outside", "slices-squared")], [parity("outside")]) == 1
    assert code([parity("outside")], [parity("outside", stage="epoch 2")]) == 1
    assert code([parity("within")], [parity("outside", "slices-squared")]) == 0
    assert code([parity("outside")], [parity("outside")]) == 0
    assert code([parity("outside")], [parity("within")]) == 0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cpu_model": "Other CPU"}, "cpu_model"),
        ({"threads": 1}, "threads"),
        ({"gpus": ["NVIDIA H100"]}, "gpus none -> NVIDIA H100"),
    ],
)
def test_another_machine_gives_no_step_time_verdict_but_compares_rmse(
    make_report: MakeReport, change: dict[str, object], word: str
) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": [9.0] * 4}, rmse={"jax": 0.3}, **change)
    comparison = compare_reports(base, new)
    assert comparison.not_comparable is not None
    assert word in comparison.not_comparable
    (row,) = comparison.step_time
    assert (row.verdict, row.ratio, row.regression) == ("not comparable", None, False)
    assert comparison.rmse[0].verdict == "worse"
    assert word in shown(comparison)


@pytest.mark.parametrize("change", [{"sha256": "00" * 32}, {"epochs": 7}])
def test_another_workload_compares_neither(make_report: MakeReport, change: dict[str, object]) -> None:
    comparison = compare_reports(make_report({"jax": BASE}), make_report({"jax": BASE}, rmse={"jax": 0.3}, **change))
    assert comparison.not_comparable == comparison.rmse_not_comparable
    assert comparison.not_comparable is not None
    assert next(iter(change)) in comparison.not_comparable
    assert comparison.nothing_compared
    assert (comparison.exit_code, comparison.is_worse) == (2, False)
    assert "nothing that can be compared" in shown(comparison)


def test_the_same_ratings_from_another_source_are_the_same_workload(make_report: MakeReport) -> None:
    comparison = compare_reports(make_report(source="tfds"), make_report(source="wheel"))
    assert comparison.not_comparable is None


def test_force_compares_step_times_and_keeps_the_reason(make_report: MakeReport) -> None:
    new = make_report({"jax": [2 * value for value in BASE]}, cpu_model="Other CPU")
    comparison = compare_reports(make_report({"jax": BASE}), new, allowances=Allowances(force=True))
    assert comparison.not_comparable is not None
    assert (comparison.step_time[0].verdict, comparison.exit_code) == ("slower", 1)
    assert "Other CPU" in shown(comparison)


def test_cells_of_one_report_only_are_listed_with_the_reason(make_report: MakeReport) -> None:
    died = Run(
        backend="torch", device="cpu", loop="fit", process=0, seed=0, status="timeout", error="no answer in 60 s"
    )
    base = make_report({"jax": BASE, "torch": BASE})
    new = make_report({"jax": BASE, "tensorflow": BASE}, extra_runs=[died])
    comparison = compare_reports(base, new)
    assert comparison.only_in_base == {"torch/cpu/fit": "timeout: no answer in 60 s"}
    assert comparison.only_in_new == {"tensorflow/cpu/fit": None}
    assert [row.cell for row in comparison.step_time] == ["jax/cpu/fit"]
    assert "Only in base: torch/cpu/fit (timeout: no answer in 60 s)" in shown(comparison)


def test_software_that_changed_is_named(make_report: MakeReport) -> None:
    base = make_report(packages={"keras": "3.15.1", "jax": "0.10.2"})
    new = make_report(packages={"keras": "3.16.0", "jax": "0.10.2", "torch": "2.13.0"})
    assert compare_reports(base, new).changes == ["keras 3.15.1 -> 3.16.0", "torch absent -> 2.13.0"]


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_impossible_limits_are_refused(make_report: MakeReport, bad: float) -> None:
    report = make_report()
    with pytest.raises(BenchError, match="max-regression"):
        compare_reports(report, report, limits=Limits(max_regression=bad))
    with pytest.raises(BenchError, match="rmse-margin"):
        compare_reports(report, report, limits=Limits(rmse_margin=bad))


def test_an_impossible_step_time_is_a_clear_word(make_report: MakeReport) -> None:
    report = make_report({"jax": (1.0, -1.0)})
    with pytest.raises(BenchError, match="impossible step time"):
        compare_reports(make_report(), report)


def test_json_holds_every_verdict_and_the_exit_code(make_report: MakeReport) -> None:
    comparison = against(make_report, [1.2 * value for value in BASE])
    data = json.loads(json.dumps(as_json(comparison)))
    assert data["exit_code"] == 1
    assert data["step_time"][0]["verdict"] == "slower"
    assert msgspec.convert(data["step_time"][0]["new"], Timed) == comparison.step_time[0].new


def test_the_table_shows_numbers_with_intervals_and_reads_no_markup(make_report: MakeReport) -> None:
    strange = Run(backend="[red]x[/red]", device="cpu", loop="fit", process=0, seed=0, status="ok", step_time_ms=[1.0])
    base = make_report({"jax": BASE}, extra_runs=[strange])
    new = make_report({"jax": [1.2 * v for v in BASE]}, parity=[parity("outside")])
    text = shown(compare_reports(base, new, allowances=STILL))
    assert "1.20 [1.1" in text
    assert "slower, regression" in text
    assert "up to 5 % longer is fine" in text
    assert "Newly out of parity: jax/cpu/fit and oracle at stage epoch 1, rms 0.001 beside 1e-05" in text
    assert "Only in base: [red]x[/red]/cpu/fit" in text
    assert "Something is slower, worse or out of parity." in text


def test_undecided_says_how_many_processes_would_decide(make_report: MakeReport) -> None:
    comparison = against(make_report, [0.97, 1.13, 1.02, 1.10])
    (row,) = comparison.step_time
    assert row.verdict == "undecided"
    assert row.processes_needed is not None
    assert 4 < row.processes_needed <= 100
    assert f"some {row.processes_needed} processes on each side would decide; there are 4" in shown(comparison)
    assert as_json(comparison)["step_time"][0]["processes_needed"] == row.processes_needed
    as_many = [value for value in (0.97, 1.13, 1.02, 1.10) for _ in range(row.processes_needed)]
    assert against(make_report, as_many).step_time[0].processes_needed is None


def test_a_difference_at_the_margin_would_need_more_than_anyone_runs(make_report: MakeReport) -> None:
    comparison = against(make_report, [0.5, 1.9, 0.6, 1.85])
    assert comparison.step_time[0].processes_needed == 101
    assert "more than 100 processes" in shown(comparison)
    assert "> 100" in shown(comparison)


def test_one_process_says_why_it_is_undecided(make_report: MakeReport) -> None:
    comparison = compare_reports(make_report({"jax": BASE}), make_report({"jax": (1.0,)}))
    assert comparison.step_time[0].processes_needed is None
    assert "one process (new) gives no interval" in shown(comparison)


def test_several_cells_are_judged_together(make_report: MakeReport) -> None:
    """One cell's interval widens with every cell beside it, and RMSE is a family of its own."""
    slow = [1.03, 1.05, 1.02, 1.06]
    alone = compare_reports(make_report({"jax": BASE}), make_report({"jax": slow}))
    cells = ("jax", "torch", "tensorflow")
    base = make_report(dict.fromkeys(cells, BASE))
    together = compare_reports(base, make_report(dict.fromkeys(cells, slow)))
    assert (alone.step_confidence, together.step_confidence) == pytest.approx((0.95, 1 - 0.05 / 3))
    assert together.rmse_confidence == pytest.approx(1 - 0.05 / 3)
    assert alone.step_time[0].ci95 is not None
    for row in together.step_time:
        assert row.ci95 is not None
        assert row.ci95[0] < alone.step_time[0].ci95[0]
        assert row.ci95[1] > alone.step_time[0].ci95[1]
    assert "simultaneous 95 % intervals (each 98.33 %)" in shown(together)
    assert "simultaneous" not in shown(alone)


def test_a_cell_without_an_interval_widens_no_other(make_report: MakeReport) -> None:
    comparison = compare_reports(make_report({"jax": BASE, "torch": (3.0,)}), make_report({"jax": BASE, "torch": BASE}))
    assert comparison.step_confidence == 0.95


def test_few_of_many_equal_comparisons_call_any_cell_slower_or_faster(make_report: MakeReport) -> None:
    generator = np.random.default_rng(2)
    cells = ("jax", "torch", "tensorflow")
    wrong = 0
    for _ in range(200):
        base, new = (
            make_report({cell: np.exp(generator.normal(0, 0.05, 4)).tolist() for cell in cells}, parity=[])
            for _ in range(2)
        )
        rows = compare_reports(base, new).step_time
        wrong += any(row.verdict in ("faster", "slower") for row in rows)
    assert wrong <= 16  # of 200 at 5 % each more are seen in 2 of 100 tries
