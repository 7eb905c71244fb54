"""Do the verdicts keep their promises? Judging trials whose true answer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bench.comparison.drift import ASSUMED, Drift, Trial, without_common_sides
from bench.comparison.drift import NONE as NO_DRIFT
from bench.comparison.limits import Limits
from bench.comparison.records import Timed
from bench.comparison.verdicts import TimedPair, compare_times
from bench.schema.record import Record
from bench.statistics import intervals

PYTEST_BENCHMARK_LIMIT = 0.05  # as in `--benchmark-compare-fail=median:5%`
POOLED_DRAWS = 400


class Outcome(Record, frozen=True, kw_only=True):
    """What was said of all trials with one true difference.

    Attributes:
        slowdown: that difference.
        trials: how many.
        processes: on either side of a trial.
        called_slower: share that `compare` called slower.
        called_regression: share for which `compare` would have ended with 1: surely more than 5 % slower.
        called_faster: share that `compare` called faster.
        called_same: share that `compare` called the same.
        undecided: share that `compare` left open.
        covered: share whose 95 % interval held the true ratio.
        median_ratio: median of the estimated ratios.
        pytest_benchmark_fails: share in which pytest-benchmark's `--benchmark-compare-fail=median:5%`, applied to
            the first process of either side, would have failed.
    """

    slowdown: float
    trials: int
    processes: int
    called_slower: float
    called_regression: float
    called_faster: float
    called_same: float
    undecided: float
    covered: float
    median_ratio: float
    pytest_benchmark_fails: float

    @property
    def shares(self) -> tuple[float, ...]:
        """What a table shows: gate fails, slower, faster, same, undecided, interval holds the true ratio."""
        return (
            self.called_regression,
            self.called_slower,
            self.called_faster,
            self.called_same,
            self.undecided,
            self.covered,
        )


class Simulated(Record, frozen=True, kw_only=True):
    """Coverage of the 95 % interval on simulated cells with a known typical step time.

    Attributes:
        processes: of a cell.
        rounds: of a process.
        process_sd: scatter between processes, as a share.
        round_sd: scatter between rounds, as a share.
        coverage: share of intervals that held the true value.
        cells: simulated.
    """

    processes: int
    rounds: int
    process_sd: float
    round_sd: float
    coverage: float
    cells: int


def judge(trials: Sequence[Trial], drift: Drift = ASSUMED) -> list[Outcome]:
    """Judge every trial as `compare` does, and count the verdicts by true difference.

    Args:
        trials: of sides measured apart or together.
        drift: drift between sides measured apart, as for `compare`; by default, as it assumes.
    """
    slowdowns = sorted({trial.slowdown for trial in trials})
    return [
        _outcome(slowdown, [trial for trial in trials if trial.slowdown == slowdown], drift) for slowdown in slowdowns
    ]


def judge_pooled(trials: Sequence[Trial], *, draws: int = POOLED_DRAWS, seed: int = 0) -> list[Outcome]:
    """Judge what more processes would have shown: pool the sides of trials together, drawn at random.

    Each draw takes k different trials and puts their processes together, k = 2, 4, 8 … up to half of the trials, so
    that draws still differ. Every second trial of a stretch is left out, since it shares a side with its neighbours.
    Draws share trials, so their shares are surer of themselves than as many real trials. Sides measured apart are not
    pooled: all processes of a user's measurement share its drift, which a pool of many measurements averages out.

    Args:
        trials: in the order of measuring; those measured apart are left out.
        draws: for each true difference and number of processes.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    by_slowdown: dict[float, list[Trial]] = {}
    for trial in trials:
        if trial.together:
            by_slowdown.setdefault(trial.slowdown, []).append(trial)
    outcomes = []
    for slowdown, chain in sorted(by_slowdown.items()):
        blocks = without_common_sides(chain)
        size = 2
        while size <= len(blocks) // 2:
            drawn = [generator.choice(len(blocks), size, replace=False) for _ in range(draws)]
            pooled = [_pool([blocks[place] for place in places]) for places in drawn]
            outcomes.append(_outcome(slowdown, pooled, NO_DRIFT))
            size *= 2
    return outcomes


def _pool(trials: Sequence[Trial]) -> Trial:
    return Trial(
        slowdown=trials[0].slowdown,
        together=trials[0].together,
        base=[process for trial in trials for process in trial.base],
        new=[process for trial in trials for process in trial.new],
    )


def simulate_coverage(
    processes: int, rounds: int, process_sd: float, round_sd: float, *, cells: int = 2000, seed: int = 0
) -> Simulated:
    """Draw log-normal cells with a true step time of 1 ms, and count the intervals that hold it."""
    generator = np.random.default_rng(seed)
    between = process_sd * generator.standard_normal((cells, processes, 1))
    within = round_sd * generator.standard_normal((cells, processes, rounds))
    medians = np.exp(np.median(between + within, axis=2))
    held = 0
    for cell in medians:
        low, high = intervals.typical(cell).ci95 or (math.nan, math.nan)
        held += low <= 1.0 <= high
    return Simulated(
        processes=processes,
        rounds=rounds,
        process_sd=process_sd,
        round_sd=round_sd,
        coverage=held / cells,
        cells=cells,
    )


def _outcome(slowdown: float, trials: Sequence[Trial], drift: Drift) -> Outcome:
    rows = [compare_times([_pair(trial, drift)], Limits(), refuse=False)[0][0] for trial in trials]
    verdicts = [row.verdict for row in rows]
    covered = sum(row.ci95 is not None and row.ci95[0] <= 1 + slowdown <= row.ci95[1] for row in rows)
    return Outcome(
        slowdown=slowdown,
        trials=len(trials),
        processes=len(trials[0].base),
        called_regression=sum(row.regression for row in rows) / len(trials),
        called_slower=verdicts.count("slower") / len(trials),
        called_faster=verdicts.count("faster") / len(trials),
        called_same=verdicts.count("same") / len(trials),
        undecided=verdicts.count("undecided") / len(trials),
        covered=covered / len(trials),
        median_ratio=float(np.median([row.ratio for row in rows if row.ratio is not None])),
        pytest_benchmark_fails=sum(map(pytest_benchmark_fails, trials)) / len(trials),
    )


def pytest_benchmark_fails(trial: Trial) -> bool:
    """Apply pytest-benchmark's rule to the first process of either side: its median grew by more than 5 %."""
    return float(np.median(trial.new[0])) > (1 + PYTEST_BENCHMARK_LIMIT) * float(np.median(trial.base[0]))


def _pair(trial: Trial, drift: Drift) -> TimedPair:
    shown = _shown(trial.base), _shown(trial.new)
    return TimedPair(
        "trial",
        _medians(trial.base),
        _medians(trial.new),
        shown,
        trial.together,
        drift=NO_DRIFT if trial.together else drift,
    )


def _medians(rounds: Sequence[Sequence[float]]) -> dict[int, float]:
    return {place: intervals.process_median(process) for place, process in enumerate(rounds)}


def _shown(rounds: Sequence[Sequence[float]]) -> Timed:
    medians = list(_medians(rounds).values())
    return Timed(
        name="trial",
        median_ms=intervals.process_median(medians),
        ci95_ms=intervals.typical(medians).ci95,
        processes=len(rounds),
        rounds=sum(map(len, rounds)),
    )
