"""From process medians and seeds on two sides to intervals and verdicts, all at 95 % together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bench.comparison.drift import NONE as NO_DRIFT
from bench.comparison.drift import Drift
from bench.comparison.limits import Limits
from bench.comparison.records import RmseComparison, RmseVerdict, StepComparison, StepVerdict, Timed
from bench.statistics import contrast, intervals
from bench.statistics.contrast import Contrast
from bench.statistics.intervals import Interval


@dataclass(frozen=True)
class TimedPair:
    """Two measured times to be compared.

    Attributes:
        label: name of the row.
        base: process medians in ms by process, of the older side.
        new: likewise of the newer side.
        shown: the two sides as the table shows them.
        side_by_side: whether processes of equal index ran side by side, so that what the machine did to both
            cancels.
        disturbed: in words, how other programs or the machine disturbed a side; None if nothing was seen.
        drift: drift of the machine between the two sides; none if they were measured together.
    """

    label: str
    base: Mapping[int, float]
    new: Mapping[int, float]
    shown: tuple[Timed, Timed]
    side_by_side: bool = False
    disturbed: str | None = None
    drift: Drift = NO_DRIFT

    @property
    def refused(self) -> StepComparison:
        """The row without a ratio, for two sides that are not comparable."""
        base, new = self.shown
        return StepComparison(
            cell=self.label, base=base, new=new, ratio=None, ci95=None, verdict="not comparable", regression=False
        )


def compare_times(pairs: Sequence[TimedPair], limits: Limits, *, refuse: bool) -> tuple[list[StepComparison], float]:
    """Return a row for each pair, and the confidence of each interval.

    Args:
        pairs: with process medians that are finite and positive.
        limits: largest changes that are allowed.
        refuse: whether to give no ratio and no verdict, because the two sides are not comparable.
    """
    if refuse:
        return [pair.refused for pair in pairs], intervals.CONFIDENCE
    contrasts = [_log_ratio(pair) for pair in pairs]
    confidence = contrast.each_of(sum(each.has_interval for each in contrasts))
    return [_row(pair, each, limits, confidence) for pair, each in zip(pairs, contrasts, strict=True)], confidence


def _log_ratio(pair: TimedPair) -> Contrast:
    common = sorted(pair.base.keys() & pair.new.keys())
    if pair.side_by_side and len(common) > 1:
        return contrast.paired(
            np.log([pair.new[process] for process in common]), np.log([pair.base[process] for process in common])
        )
    apart = contrast.unpaired(np.log(list(pair.new.values())), np.log(list(pair.base.values())))
    return replace(
        apart,
        shared_variance=2 * pair.drift.sd**2,  # of either side
        shared_freedom=math.inf if pair.drift.freedom is None else pair.drift.freedom,
    )


def _row(pair: TimedPair, log_ratio: Contrast, limits: Limits, confidence: float) -> StepComparison:
    logs = log_ratio.interval(confidence)
    ends = None if logs is None else _exponential(logs)
    undecided = msgspec.structs.replace(
        pair.refused, ratio=math.exp(log_ratio.value), ci95=ends, verdict="undecided", disturbed=pair.disturbed
    )
    # A disturbance lasts for minutes, so all processes of one side may share it, and their interval misses it. It may
    # hide a difference as well as make one.
    if pair.disturbed is not None:
        return undecided

    def decides(ends: Interval) -> bool:
        return _step_verdict(_exponential(ends), limits.max_regression) != "undecided"

    verdict = _step_verdict(ends, limits.max_regression)
    if verdict == "undecided":
        return msgspec.structs.replace(
            undecided,
            processes_needed=log_ratio.samples_needed(decides, confidence),
            hidden_by_drift=not log_ratio.ever_decides(decides, confidence),
        )
    regression = ends is not None and ends[0] > 1 + limits.max_regression
    return msgspec.structs.replace(undecided, verdict=verdict, regression=regression)


def _exponential(ends: Interval) -> Interval:
    # Two wildly different processes at a high confidence reach beyond what a float holds.
    low, high = (math.exp(min(max(end, -intervals.LARGEST_LOG), intervals.LARGEST_LOG)) for end in ends)
    return low, high


def _step_verdict(ends: Interval | None, max_regression: float) -> StepVerdict:
    if ends is None:
        return "undecided"
    if 1 / (1 + max_regression) <= ends[0] and ends[1] <= 1 + max_regression:
        return "same"
    if ends[1] < 1:
        return "faster"
    return "slower" if ends[0] > 1 else "undecided"


@dataclass(frozen=True)
class ScoredPair:
    """Two trained models to be compared: final test RMSE, or another metric, by seed.

    Attributes:
        label: name of the row.
        base: of the older side.
        new: of the newer side.
        higher_is_better: whether a rise is a gain.
        margin_share: share of the older side's mean by which it may get worse; None for the limit of an RMSE.
    """

    label: str
    base: Mapping[int, float]
    new: Mapping[int, float]
    higher_is_better: bool = False
    margin_share: float | None = None


def compare_scores(pairs: Sequence[ScoredPair], limits: Limits) -> tuple[list[RmseComparison], float]:
    """Return a row for each pair, and the confidence of each interval."""
    compared = [_seeds_compared(pair.base, pair.new) for pair in pairs]
    contrasts = [of(new, base) for of, base, new in compared]
    confidence = contrast.each_of(sum(each.has_interval for each in contrasts))
    rows = []
    for pair, each, (_, old, recent) in zip(pairs, contrasts, compared, strict=True):
        ends = each.interval(confidence)
        base = intervals.mean(old).value
        margin = limits.rmse_margin if pair.margin_share is None else pair.margin_share * abs(base)
        losses = ends if ends is None or not pair.higher_is_better else (-ends[1], -ends[0])
        rows.append(
            RmseComparison(
                cell=pair.label,
                base=base,
                new=intervals.mean(recent).value,
                difference=each.value,
                ci95=ends,
                verdict=_rmse_verdict(losses, margin),
            )
        )
    return rows, confidence


def _seeds_compared(
    base: Mapping[int, float], new: Mapping[int, float]
) -> tuple[Callable[[list[float], list[float]], Contrast], list[float], list[float]]:
    """Return the function that compares (`new` first), and the compared scores of the older and the newer side."""
    # The same seed gives the same initial weights, so most of what seeds do cancels in pairs.
    common = sorted(base.keys() & new.keys())
    if len(common) > 1:
        return contrast.paired, [base[seed] for seed in common], [new[seed] for seed in common]
    return contrast.unpaired, list(base.values()), list(new.values())


def _rmse_verdict(ends: Interval | None, margin: float) -> RmseVerdict:
    if ends is None:
        return "undecided"
    if -margin <= ends[0] and ends[1] <= margin:
        return "same"
    if ends[0] > margin:
        return "worse"
    return "better" if ends[1] < -margin else "undecided"
