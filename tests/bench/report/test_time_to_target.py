from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.report.reference_rmse import reference_rmse
from bench.report.scores import seed_scores
from bench.report.time_to_target import LearningCurve, learning_curve, rmse_by_epoch, time_to_score, time_to_target
from bench.schema.cell import Cell, short_names
from bench.schema.report import Report
from bench.text.convergence import reference_rmse_lines, time_to_target_lines

pytestmark = pytest.mark.backend_free

JAX = Cell(backend="jax", device="cpu", loop="fit")

MakeReport = Callable[..., Report]

JAX, TORCH, TENSORFLOW = (Cell(backend=name, device="cpu", loop="fit") for name in ("jax", "torch", "tensorflow"))
# Test RMSE of the float32 oracle on MovieLens 100K after epochs 1 to 8.
LEARNING = {
    0: (0.2806, 0.2770, 0.2711, 0.2671, 0.2578, 0.2525, 0.2489, 0.2463),
    1: (0.2817, 0.2797, 0.2763, 0.2708, 0.2641, 0.2580, 0.2530, 0.2493),
    2: (0.2810, 0.2778, 0.2725, 0.2656, 0.2591, 0.2536, 0.2493, 0.2463),
}
ORACLE = {0: 0.2578, 1: 0.2641, 2: 0.2591}
TIMED = [0.8, 0.9, 0.85, 0.95, 0.82]  # ms a step


def curves(cell: Cell, step_ms: Sequence[float], *, epochs: int = 8, steps: int = 80) -> list[LearningCurve]:
    return [
        LearningCurve(cell, process, process % 3, time * steps / 1000, LEARNING[process % 3][:epochs])
        for process, time in enumerate(step_ms)
    ]


def holds(ends: tuple[float, float] | None, truth: float) -> bool:
    assert ends is not None
    return ends[0] <= truth <= ends[1]


# Time to target


def test_the_time_is_epochs_times_steps_times_the_process_s_own_step_time() -> None:
    (row,) = time_to_target([LearningCurve(JAX, 0, 1, 80 * 2.0 / 1000, LEARNING[1])])
    assert (row.typical_s, row.ci95_s) == (pytest.approx(6 * 80 * 0.002), None)
    assert (row.epochs, row.seeds, row.reached, row.processes) == ([6], [1], 1, 1)


def test_every_process_counts_with_its_seed_and_every_seed_with_its_epochs() -> None:
    (row,) = time_to_target(curves(JAX, TIMED))
    assert (row.epochs, row.seeds) == ([5, 6, 5, 5, 6], [0, 1, 2, 0, 1])
    epochs, step = (5 * 6 * 5) ** (1 / 3), math.prod(TIMED) ** (1 / 5)
    assert row.typical_s == pytest.approx(epochs * 80 * step / 1000)
    assert row.ci95_s is not None
    assert row.ci95_s[0] < row.typical_s < row.ci95_s[1]


def test_a_last_batch_that_is_smaller_counts_in_its_proportion(make_report: MakeReport) -> None:
    run = make_report({"jax": (0.8, 0.8)}).runs[0]
    full, partial = (
        learning_curve(run, run.step_time_ms, LEARNING[0], num_train=ratings, batch_size=1000)
        for ratings in (80_000, 80_500)
    )
    assert full is not None
    assert partial is not None
    assert (full.epoch_s, partial.epoch_s) == pytest.approx((80 * 0.8e-3, 80.5 * 0.8e-3))


@pytest.mark.parametrize("change", [{"status": "failed", "error": "killed"}, {"step_time_ms": []}])
def test_a_run_that_broke_off_or_was_not_timed_did_not_fail_to_reach_the_target(
    make_report: MakeReport, change: dict[str, object]
) -> None:
    run = msgspec.structs.replace(make_report().runs[0], **change)
    assert learning_curve(run, run.step_time_ms, LEARNING[0], num_train=80_000, batch_size=1000) is None
    assert learning_curve(make_report().runs[0], [1.0], [], num_train=80_000, batch_size=1000) is None


def test_a_process_without_a_round_that_counts_counts_by_its_epochs_alone() -> None:
    """Process 1 is the only one of seed 1, and was timed while the cores shared no cache."""
    slow = [curve if curve.process != 1 else replace(curve, epoch_s=None) for curve in curves(JAX, (0.8, 2.0, 0.9))]
    (row,) = time_to_target(slow)
    assert (row.epochs, row.reached) == ([5, 6, 5], 3)
    assert row.typical_s == pytest.approx((5 * 6 * 5) ** (1 / 3) * 80 * math.sqrt(0.8 * 0.9) / 1000)
    (row,) = time_to_target([replace(curve, epoch_s=None) for curve in slow])
    assert (row.typical_s, row.ci95_s, row.reached) == (None, None, 3)


def test_processes_that_never_reach_the_target_are_counted_apart() -> None:
    (row,) = time_to_target(curves(JAX, TIMED, epochs=5))
    assert (row.reached, row.processes, row.epochs) == (3, 5, [5, None, 5, 5, None])
    assert row.typical_s == pytest.approx(5 * 80 * (0.8 * 0.85 * 0.95) ** (1 / 3) / 1000), "of those three alone"


def test_a_cell_that_never_reaches_the_target_has_no_time_and_comes_last() -> None:
    diverged = LearningCurve(TENSORFLOW, 0, 0, 0.01, (math.nan, math.inf, math.nan))
    rows = time_to_target([diverged, *curves(TORCH, (3.1, 3.2)), *curves(JAX, (0.8, 0.9))])
    assert [row.backend for row in rows] == ["jax", "torch", "tensorflow"]
    assert (rows[-1].typical_s, rows[-1].ci95_s, rows[-1].reached, rows[-1].epochs) == (None, None, 0, [None])


def test_the_target_itself_is_reached_and_a_later_rise_changes_nothing() -> None:
    curve = LearningCurve(JAX, 0, 0, 1.0, (0.27, 0.26, 0.25, 0.4))
    assert [curve.epochs_to(target) for target in (0.27, 0.26, 0.2599, 0.25, 0.2)] == [1, 2, 3, 3, None]


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_a_target_that_no_training_can_have_is_refused(target: float) -> None:
    with pytest.raises(BenchError, match="the target RMSE must be above 0"):
        time_to_target(curves(JAX, TIMED), target)


@given(st.lists(st.floats(0.2, 0.3), min_size=1, max_size=12), st.floats(0.2, 0.3), st.floats(0.2, 0.3))
def test_an_easier_target_is_never_reached_later(rmse: list[float], one: float, other: float) -> None:
    curve = LearningCurve(JAX, 0, 0, 1.0, tuple(rmse))
    hard, easy = (curve.epochs_to(target) for target in sorted((one, other)))
    assert hard is None or (easy is not None and easy <= hard)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=9), st.floats(0.1, 10), st.randoms())
def test_time_scales_with_the_step_and_ignores_the_order_of_processes(
    times: list[float], factor: float, random: object
) -> None:
    plain = curves(JAX, times)
    scaled = curves(JAX, [factor * time for time in times])
    random.shuffle(scaled)  # type: ignore[attr-defined]
    (one,), (other,) = time_to_target(plain), time_to_target(scaled)
    assert (one.epochs, one.seeds) == (other.epochs, other.seeds)
    assert one.typical_s is not None
    assert other.typical_s == pytest.approx(factor * one.typical_s)
    assert (one.ci95_s is None) == (other.ci95_s is None) == (len(times) == 1)
    if one.ci95_s is not None and other.ci95_s is not None:
        assert other.ci95_s == pytest.approx([factor * end for end in one.ci95_s], rel=1e-6)
        assert all(map(math.isfinite, other.ci95_s))


def test_one_seed_says_nothing_about_others() -> None:
    again = [LearningCurve(JAX, curve.process, 0, curve.epoch_s, LEARNING[0]) for curve in curves(JAX, TIMED)]
    (row,) = time_to_target(again)
    assert (row.reached, row.ci95_s) == (5, None)


@pytest.mark.parametrize(("seeds", "processes"), [(3, 3), (3, 5), (3, 10), (5, 10)])
@pytest.mark.parametrize("process_sd", [0.03, 0.15])
def test_95_percent_intervals_cover_other_seeds_and_processes(seeds: int, processes: int, process_sd: float) -> None:
    random = np.random.default_rng(41)
    cells, typical_epochs = 800, 100  # Many epochs, so that whole ones hide nothing of how seeds scatter.
    seed_of = np.arange(processes) % seeds
    covered = []
    for _ in range(cells):
        needed = np.rint(typical_epochs * np.exp(random.normal(0, 0.1, seeds))).astype(int)[seed_of]
        epoch_s = 0.07 * np.exp(random.normal(0, process_sd, processes))
        trained = [
            LearningCurve(JAX, p, int(seed_of[p]), float(epoch_s[p]), (0.3,) * (int(needed[p]) - 1) + (0.2,))
            for p in range(processes)
        ]
        (row,) = time_to_target(trained)
        covered.append(holds(row.ci95_s, typical_epochs * 0.07))
    assert 0.92 <= np.mean(covered) <= 0.98


def test_rmse_after_each_epoch_comes_from_stored_predictions_in_the_order_of_training() -> None:
    random = np.random.default_rng(1)
    label = (random.integers(0, 5, 2000) / 4).astype(np.float32)
    errors = {"epoch 10": 0.25, "epoch 9": 0.26, "forward": 0.5, "epoch 1": 0.28}
    signs = random.choice([-1, 1], label.size)
    stages = {stage: (label + signs * error).astype(np.float32) for stage, error in errors.items()}
    assert rmse_by_epoch(stages, label) == pytest.approx([0.28, 0.26, 0.25], abs=1e-7)
    assert rmse_by_epoch({"forward": label}, label) == []


# Final RMSE beside the oracle's


def test_the_difference_is_taken_seed_by_seed() -> None:
    from scipy import stats

    scores = {0: 0.25781, 1: 0.26411, 2: 0.25909}
    (row,) = reference_rmse({JAX: scores}, ORACLE)
    textbook = stats.ttest_rel([scores[s] for s in range(3)], [ORACLE[s] for s in range(3)]).confidence_interval()
    assert row.difference == pytest.approx((1e-5 + 1e-5 - 1e-5) / 3)
    assert row.ci95 == pytest.approx((textbook.low, textbook.high))
    assert (row.seeds, row.reference_seeds, row.verdict) == (3, 3, "within")
    assert row.reference_sd == pytest.approx(np.std(list(ORACLE.values()), ddof=1))


def test_only_seeds_that_both_trained_are_paired() -> None:
    (row,) = reference_rmse({JAX: {0: 0.2579, 7: 0.9}, TORCH: {7: 0.26}}, ORACLE)
    assert (row.backend, row.seeds, row.ci95) == ("jax", 1, None)
    assert row.difference == pytest.approx(1e-4)
    assert row.mean == pytest.approx(0.2579)


def test_one_seed_of_the_oracle_is_no_distribution() -> None:
    (row,) = reference_rmse({JAX: {0: 0.2579}}, {0: 0.2578})
    assert (row.reference_sd, row.reference_95, row.verdict) == (None, None, None)


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "within"), (0.02, "outside"), (-0.02, "outside")])
def test_a_model_that_ends_worse_or_better_than_other_seeds_explain_is_outside(shift: float, verdict: str) -> None:
    (row,) = reference_rmse({JAX: {seed: rmse + shift for seed, rmse in ORACLE.items()}}, ORACLE)
    assert row.verdict == verdict
    assert row.difference == pytest.approx(shift, abs=1e-12)


@pytest.mark.parametrize(("cell_seeds", "oracle_seeds"), [(3, 3), (3, 10), (1, 5)])
def test_other_seeds_of_the_same_model_are_within_in_95_percent_of_cases(cell_seeds: int, oracle_seeds: int) -> None:
    random = np.random.default_rng(42)
    within = []
    for _ in range(1500):
        oracle = dict(enumerate(random.normal(0.2595, 0.0027, oracle_seeds)))
        cell = dict(enumerate(random.normal(0.2595, 0.0027, cell_seeds)))
        (row,) = reference_rmse({JAX: cell}, oracle)
        within.append(row.verdict == "within")
    assert 0.93 <= np.mean(within) <= 0.97


# What the terminal shows


def lines(make_report: MakeReport, step_ms: Mapping[Cell, Sequence[float]], epochs: int) -> list[str]:
    report = make_report({cell.backend: [1.0, 1.0] for cell in step_ms})
    rows = time_to_target([curve for cell, times in step_ms.items() for curve in curves(cell, times, epochs=epochs)])
    return time_to_target_lines(rows, short_names(run.cell for run in report.runs))


def test_time_to_target_is_shown_with_its_epochs_and_how_many_reached_it(make_report: MakeReport) -> None:
    shown = lines(make_report, {TORCH: [3.1, 3.2, 3.0], JAX: TIMED}, epochs=8)
    assert "0.26" in shown[0]
    assert len(shown) == 3
    for line, cell, words in zip(shown[1:], ("jax", "torch"), ("5 of 5 processes", "3 of 3 processes"), strict=True):
        assert line.split()[0] == cell
        assert "5–6 epochs" in line
        assert line.endswith(words)
    assert all(len(line) <= 80 for line in shown)


def test_what_never_reached_the_target_is_never_left_out_silently(make_report: MakeReport) -> None:
    shown = lines(make_report, {JAX: TIMED, TENSORFLOW: [1.7, 1.8]}, epochs=4)
    assert [line.split()[:2] for line in shown[1:3]] == [["jax", "–"], ["tensorflow", "–"]]
    assert "0 of 5 processes" in shown[1]
    assert "never reached" in shown[-1]
    some = lines(make_report, {JAX: TIMED}, epochs=5)
    assert "3 of 5 processes" in some[1]
    assert "never reached" in some[-1]


def test_rmse_beside_the_oracle_is_shown_with_its_interval(make_report: MakeReport) -> None:
    names = short_names([JAX, TORCH])
    cells = {JAX: {s: r + 1.2e-5 for s, r in ORACLE.items()}, TORCH: {s: r + 0.02 for s, r in ORACLE.items()}}
    shown = reference_rmse_lines(reference_rmse(cells, ORACLE), names)
    assert "0.2603 ± 0.0033 over 3 seeds" in shown[0]
    assert shown[1].strip() == "jax    +0.000012 [+0.000012, +0.000012]"
    assert "0.2803 lies outside" in shown[2]
    assert all(len(line) <= 80 for line in shown)


def test_a_difference_of_nothing_has_no_minus_sign() -> None:
    rows = reference_rmse({JAX: {0: 0.2578 - 1e-9}}, {0: 0.2578})
    assert reference_rmse_lines(rows, {}) == [
        "Test RMSE minus the oracle's (0.2578 with one seed), seed by seed:",
        "  jax/cpu/fit  +0.000000",
    ]


def test_no_rows_give_no_lines() -> None:
    assert time_to_target_lines([], {}) == reference_rmse_lines([], {}) == []


def test_both_records_survive_the_report_file(make_report: MakeReport) -> None:
    report = make_report()
    full = msgspec.structs.replace(
        report,
        reference_rmse=reference_rmse(seed_scores(report.runs), ORACLE),
        time_to_target=time_to_target([*curves(JAX, TIMED, epochs=5), *curves(TORCH, [3.0], epochs=2)]),
    )
    assert len(full.reference_rmse) == 3
    assert msgspec.json.decode(msgspec.json.encode(full), type=Report) == full


def test_where_higher_is_better_the_target_is_reached_from_below() -> None:
    curve = LearningCurve(JAX, 0, 0, 1.0, (0.5, math.nan, 0.9, 0.4), better="higher")
    assert [curve.epochs_to(target) for target in (0.5, 0.6, 0.9, 0.95)] == [1, 3, 3, None]
    (row,) = time_to_score([curve], 0.9)
    assert (row.typical_s, row.target, row.epochs) == (pytest.approx(3.0), 0.9, [3])


def test_a_target_of_another_metric_is_called_by_its_name() -> None:
    rows = time_to_score([LearningCurve(JAX, 0, 0, 1.0, (-0.5, -1.5))], -1.0)
    assert time_to_target_lines(rows, {}, "log_loss")[0].startswith("Seconds of training to test log_loss -1 ")
