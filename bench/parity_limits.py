"""The limit of each comparison of a report: by the oracle's rounding envelope, or by those of the two cells themselves.

A cell whose own copies were trained (`run --envelope backend`) is judged by how far they lie from each other, a pair of
such cells by the wider of the two. The oracle is no part of a cell's own envelope: a wrong step is wrong in all copies,
and only what rounding does differs between them. What differs at random (a dropout that nobody asked for) differs
between copies too, and would excuse itself; so no limit is wider than `OWN_AT_MOST` times the oracle's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.parity_records import Judge, StageEnvelope
from bench.parity_threshold import CAP, thresholds
from bench.reference import Reference

OWN_AT_MOST = 10.0


@dataclass(frozen=True)
class Limit:
    """The largest distance that rounding explains, in the unit of the stage, and whose rounding that is."""

    rms: float
    judged_by: Judge


class Limits:
    """The limits of all comparisons of a report.

    Args:
        references: by seed.
        comparisons, cap: as for `bench.parity_threshold.thresholds`.
    """

    def __init__(self, references: Mapping[int, Reference], comparisons: int, cap: float = CAP) -> None:
        self._comparisons = comparisons
        self._cap = cap
        self._oracle = {seed: self._thresholds(reference.envelope) for seed, reference in references.items()}
        self._own: dict[tuple[str, int], Mapping[str, float]] = {}

    def of(self, seed: int, stage: str, own: Mapping[str, Sequence[StageEnvelope]]) -> Limit:
        """Returns the limit of a comparison.

        Args:
            seed: of the initial weights.
            stage: any of the oracle's.
            own: the envelope of each cell's own copies by its name, of the one or two that are compared; empty where
                none were trained. Where one lacks the stage, the oracle's judges.
        """
        oracle = self._oracle[seed][stage]
        limits = [self._own_limits(seed, *item).get(stage) for item in own.items()]
        found = [limit for limit in limits if limit is not None]
        if len(found) < len(limits):
            return Limit(oracle, "oracle")
        return Limit(min(max(found), OWN_AT_MOST * oracle), "backend")

    def _own_limits(self, seed: int, cell: str, envelope: Sequence[StageEnvelope]) -> Mapping[str, float]:
        key = (cell, seed)
        if key not in self._own:
            self._own[key] = self._thresholds(envelope)
        return self._own[key]

    def _thresholds(self, envelope: Sequence[StageEnvelope]) -> Mapping[str, float]:
        return thresholds(envelope, self._comparisons, self._cap)
