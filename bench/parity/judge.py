"""Judge whether trainings from the same initial weights are the same model, from what they left behind alone.

Every cell is compared with the float64 oracle and with every other cell of the same seed, at each stage that both
have (`bench.parity.stages`). A comparison is `within` when the distance is no more than the rounding envelope explains
(`bench.parity.thresholds`), else `outside`; values that are not finite are `outside`.

A pair of cells has one record a stage, and where it rests on several seeds or processes the record is the worst of
them: any comparison that is not finite, else one that is `outside` and not explained, else the one with the largest
distance relative to its envelope. Every process of one cell is compared with every process of the other that trained
the same seed. A cell of reduced precision is compared with the oracle and with its float32 cell alone, and does not
count among the comparisons that share the rate of false alarms: it is other arithmetic, and would only widen what the
rest is allowed.

An `outside` is marked `known` when nothing is left of it once what the understood deviations of the two cells do is
taken off (`bench.parity.rules`). What is left is judged by the same envelope, so a known deviation hides no other
fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.parity.distances import Distance, distances, size_of
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.rules import LimitOf, Rules
from bench.parity.stages import Values
from bench.parity.thresholds import Limit
from bench.parity.trainings import Side
from bench.schema.cell import full_name, is_reduced
from bench.schema.parity import ORACLE, ParityResult


@dataclass(frozen=True)
class Judged:
    """Two trainings at one stage.

    Attributes:
        result: the record.
        badness: the larger the worse; orders the comparisons of one pair and stage.
    """

    result: ParityResult
    badness: tuple[bool, bool, float]


def judge(sides: Sequence[Side], rules: Rules) -> list[ParityResult]:
    """Compare all trainings and return one record a pair and stage.

    Args:
        sides: trainings of all cells, seeds and processes, as `Rules.sides` returns them.
        rules: rules of their workload.

    Returns:
        For each cell its comparison with the oracle, then for each pair of cells theirs, in the order of the
        cells' names; the stages in the order of training. `a` is the lower cell of a pair.

    Raises:
        KeyError: an envelope of the built-in workload lacks a stage.
    """
    # Sorted, so that the order in which trainings arrive changes nothing.
    found = sorted(sides, key=lambda side: (side.name, side.seed, side.process))
    pairs = [(side, side.oracle) for side in found if side.oracle is not None] + [
        (a, b) for a, b in combinations(found, 2) if a.seed == b.seed and _belong_together(a.name, b.name)
    ]
    apart = [(a, b, distances(a.training, b.training)) for a, b in pairs]
    in_full = [len(at) for a, b, at in apart if not is_reduced(a.name) and not is_reduced(b.name)]
    limit_of = rules.limits(sum(in_full) or sum(len(at) for *_, at in apart))
    worst: dict[tuple[str, str, str], Judged] = {}
    for a, b, at in apart:
        limits = {stage: limit for stage in at if (limit := limit_of(a, b, stage)) is not None}
        beyond = any(at[stage].rms > limit.rms for stage, limit in limits.items())
        known, left = _explained(a, b, limit_of, rules) if beyond else (None, {})
        for stage, limit in limits.items():
            explained = known if stage in left and left[stage].within(limit.rms) else None
            judged = _judged(a, b, stage, at[stage], limit, explained)
            key = (a.name, b.name, stage)
            if key not in worst or judged.badness > worst[key].badness:
                worst[key] = judged
    references = dict.fromkeys(side.reference for side in sorted(found, key=lambda side: side.seed))
    stages = dict.fromkeys(at.stage for reference in references for at in reference.envelope)
    order = {stage: place for place, stage in enumerate(stages)}
    keys = sorted(worst, key=lambda key: (key[1] != ORACLE, key[0], key[1], order[key[2]]))
    return [worst[key].result for key in keys]


def _belong_together(a: str, b: str) -> bool:
    """Return whether two cells, by name, are compared: two of full precision, or one with its reduced one."""
    if a == b:
        return False
    return full_name(a) == full_name(b) or not (is_reduced(a) or is_reduced(b))


def _explained(a: Side, b: Side, limit_of: LimitOf, rules: Rules) -> tuple[str | None, dict[str, Distance]]:
    """Return the names of the deviations that are known of the two, and how far apart they are without them."""
    names = " and ".join(dict.fromkeys(side.known for side in (a, b) if side.known))
    return (names, distances(a.corrected, b.corrected)) if names and rules.excuses(a, b, limit_of) else (None, {})


def _judged(a: Side, b: Side, stage: str, apart: Distance, limit: Limit, explained: str | None) -> Judged:
    within = apart.within(limit.rms)
    known = None if within else explained
    result = ParityResult(
        a=a.name,
        b=b.name,
        stage=stage,
        rms=apart.rms if apart.finite else None,
        max_abs=apart.max_abs if apart.finite else None,
        envelope=limit.rms,
        verdict="within" if within else "outside",
        known=known,
        ulps=_ulps(apart, stage, a.reference.oracle or {}),
        where=None if apart.where is None else list(apart.where),
        seed=a.seed,
        judged_by=limit.judged_by,
    )
    share = apart.rms / limit.rms if apart.finite else 0.0
    return Judged(result, (not apart.finite, not within and known is None, share))


def _ulps(apart: Distance, stage: str, oracle: Values) -> float | None:
    """Return the distance in float32 spacings: up to the first step, rounding of single values is all there is."""
    if stage not in oracle or not apart.finite or not (stage in ("forward", "loss") or stage.startswith("gradient/")):
        return None
    size = size_of(oracle, stage)
    return apart.rms / (FLOAT32_EPS * size) if size > 0 else None
