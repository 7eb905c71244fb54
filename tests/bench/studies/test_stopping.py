"""Simulated measurements that end when they are narrow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.measure.design import FEWEST_NARROW, Spent, next_rounds
from bench.schema.cell import Cell
from bench.schema.run import Run, Settings
from bench.statistics.intervals import paired_ratio
from bench.studies.validate.stopping import pairs_at_stop, running_intervals, stopped

pytestmark = pytest.mark.backend_free

PRECISION, MOST = 0.02, 16
CELL = Cell(backend="jax", device="cpu", loop="fit")


def run(process: int, step_time_ms: float) -> Run:
    return Run(
        backend="jax", device="cpu", loop="fit", process=process, seed=0, status="ok", step_time_ms=[step_time_ms]
    )


def ended_by_the_design(log_ratios: np.ndarray) -> int:
    """Plays a measurement of two environments of which each pair of processes costs a second."""
    wanted = Settings(processes=5, rounds=1, seeds=1, round_s=0.4, threads=2, order_seed=0, timeout_s=9.0,
                      precision=PRECISION, budget_s=float(MOST))  # fmt: skip
    base: list[Run] = []
    new: list[Run] = []
    while next_rounds(wanted, [base, new], [Spent(0.5, 0.5, 1, 2)] * len(base), {CELL}) is not None:
        new.append(run(len(new), math.exp(log_ratios[len(base)])))
        base.append(run(len(base), 1.0))
    return len(base)


def test_simulated_measurements_end_where_real_ones_do() -> None:
    log_ratios = np.random.default_rng(0).standard_normal((40, MOST)) * np.linspace(0.005, 0.06, 40)[:, None]
    _, halves = running_intervals(log_ratios)
    pairs = pairs_at_stop(halves, PRECISION)
    assert pairs.tolist() == [ended_by_the_design(row) for row in log_ratios]
    assert {FEWEST_NARROW, MOST} < set(pairs.tolist())


def test_simulated_intervals_are_those_of_a_comparison() -> None:
    log_ratios = 0.04 * np.random.default_rng(1).standard_normal((3, 9))
    means, halves = running_intervals(log_ratios)
    for row, mean, half in zip(log_ratios, means, halves, strict=True):
        for pairs in (2, 5, 9):
            expected = paired_ratio(np.exp(row[:pairs]), np.ones(pairs))
            ends = np.exp([mean[pairs - 1] - half[pairs - 1], mean[pairs - 1] + half[pairs - 1]])
            assert expected.ci95 == pytest.approx(tuple(ends))


def test_ending_when_narrow_costs_coverage_and_a_budget_that_always_ends_it_does_not() -> None:
    by_width, by_budget = stopped(0.03, 40), stopped(0.3, 20)
    assert FEWEST_NARROW < by_width.pairs < by_width.most
    assert 0.90 < by_width.coverage < 0.945
    assert by_budget.pairs == by_budget.most
    assert by_budget.coverage == pytest.approx(0.95, abs=3 * (0.05 * 0.95 / by_budget.measurements) ** 0.5)
