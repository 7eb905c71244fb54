"""The stages of one kind taken together: of the eight weights at `gradient`, the one that is furthest out."""

from __future__ import annotations

import math
from collections.abc import Iterable

from bench.parity_records import ParityResult


def group_of(stage: str) -> str:
    """Returns the kind of a stage: `gradient` for `gradient/kernel1`."""
    return stage.partition("/")[0]


def share_of_envelope(result: ParityResult) -> float:
    """Returns the distance over what rounding explains; infinite where it is not finite."""
    if result.rms is None or not math.isfinite(result.rms):
        return math.inf
    if result.envelope > 0:
        return result.rms / result.envelope
    return math.inf if result.rms > 0 else 0.0


def worst_by_group(results: Iterable[ParityResult]) -> list[ParityResult]:
    """Returns the worst record of each pair and kind of stage, in the order in which they come first."""
    worst: dict[tuple[str, str, str], ParityResult] = {}
    for result in results:
        key = (result.a, result.b, group_of(result.stage))
        if key not in worst or _badness(result) > _badness(worst[key]):
            worst[key] = result
    return list(worst.values())


def _badness(result: ParityResult) -> tuple[bool, bool, float]:
    outside = result.verdict == "outside"
    return outside and result.known is None, outside, share_of_envelope(result)
