"""Records of `report.json` on whether trainings are the same model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from bench.schema.cell import is_reduced
from bench.schema.record import Record

Verdict = Literal["within", "outside"]


Judge = Literal["oracle", "backend"]


ORACLE = "oracle"  # name of the float64 oracle in records


# Copies of a rounding envelope: the number that is trained, and the fewest that show how distances scatter.
COPIES, FEWEST_COPIES = 6, 3


class ParityResult(Record, frozen=True, kw_only=True):
    """The distance between two trainings from the same initial weights at one stage.

    Where a pair was compared with several seeds or in several processes, the record is the worst of them.

    Attributes:
        a: a cell as `backend/device/loop`.
        b: another cell, or `oracle` (NumPy float64).
        stage: a stage as in `bench.parity.stages`: `forward`, `loss`, `gradient/kernel1`, `weights 10/bias1`, `epoch
            5`, `rmse` …
        rms: root mean square of the differences; None where they are not finite.
        max_abs: largest difference; None where it is not finite.
        envelope: largest distance that rounding alone explains at this stage, in the unit of `rms`.
        verdict: `within` or `outside` the envelope.
        known: names of the understood deviations that explain an `outside` verdict: without them the pair lies within.
            None otherwise.
        ulps: `rms` in float32 spacings at the typical size of the oracle's values; None where that has no meaning.
        where: index of the largest difference in its array, for stages of weights.
        seed: seed of the initial weights; None in reports of older versions, which did not record it.
        judged_by: trainings whose rounding gave `envelope`: `oracle` for the oracle's float32 copies, `backend` for the
            backends' own copies (`run --envelope backend`); None in reports of older versions, which always used the
            oracle's.
    """

    a: str
    b: str
    stage: str
    rms: float | None
    max_abs: float | None
    envelope: float
    verdict: Verdict
    known: str | None = None
    ulps: float | None = None
    where: list[int] | None = None
    seed: int | None = None
    judged_by: Judge | None = None


class StageEnvelope(Record, frozen=True, kw_only=True):
    """The distances at one stage between every two of several trainings that differ by rounding alone.

    The trainings are the oracle and its float32 copies, or only a backend's copies. The oracle counts as one of them:
    where rounding drift has grown, it is one more trajectory.

    Attributes:
        stage: a stage as in `bench.parity.stages`.
        trainings: number of trainings, n.
        rms: n (n - 1) / 2 distances of two trainings, in the unit of the stage; those from the oracle come first.
        resolution: distance below which a difference has no meaning, such as float32's relative spacing times the size
            of the values.
        values: number of values that one training has at this stage; 0 for rankings.
    """

    stage: str
    trainings: int
    rms: list[float]
    resolution: float
    values: int


class SeedEnvelope(Record, frozen=True, kw_only=True):
    """The effect of rounding alone on trainings from one seed's initial weights.

    Attributes:
        seed: seed of the initial weights.
        bias_step: largest difference of a bias between two copies after one step.
        stages: envelopes of the stages, in the order of training.
        place: `backend/device` of a custom workload, whose float64 run there is the oracle; the distances are those
            between the oracle and each float32 copy. None for the built-in workload.
    """

    seed: int
    bias_step: float
    stages: list[StageEnvelope]
    place: str | None = None


class CellEnvelope(Record, frozen=True, kw_only=True):
    """The effect of rounding alone on a cell's own trainings from one seed's initial weights.

    Attributes:
        cell: the cell as `backend/device/loop`.
        seed: seed of the initial weights.
        stages: envelopes of the stages, in the order of training.
    """

    cell: str
    seed: int
    stages: list[StageEnvelope]

    @property
    def copies(self) -> int:
        """Number of permuted copies that were trained."""
        return self.stages[0].trainings


class Divergence(Record, frozen=True, kw_only=True):
    """The step at which two trainings first differ by more than plain rounding.

    Where a relu opens for one example in one training and not in the other, the bias of its unit jumps.

    Attributes:
        a, b: the two sides as in `ParityResult`.
        seed: seed of the initial weights.
        step: training step, from 1, after which a bias first differs by more than rounding explains; None where none
            does in the recorded steps.
        steps: number of recorded training steps.
        unit: bias with the largest such difference, such as `bias1[17]`.
        difference: difference of that bias.
    """

    a: str
    b: str
    seed: int
    step: int | None
    steps: int
    unit: str | None = None
    difference: float | None = None


def group_of(stage: str) -> str:
    """Return the kind of a stage: `gradient` for `gradient/kernel1`."""
    return stage.partition("/")[0]


def share_of_envelope(result: ParityResult) -> float:
    """Return the ratio of the distance to what rounding explains; infinite where the distance is not finite."""
    if result.rms is None or not math.isfinite(result.rms):
        return math.inf
    if result.envelope > 0:
        return result.rms / result.envelope
    return math.inf if result.rms > 0 else 0.0


def worst_by_group(results: Iterable[ParityResult]) -> list[ParityResult]:
    """Return the worst record of each pair and kind of stage, in order of first appearance."""
    worst: dict[tuple[str, str, str], ParityResult] = {}
    for result in results:
        key = (result.a, result.b, group_of(result.stage))
        if key not in worst or _badness(result) > _badness(worst[key]):
            worst[key] = result
    return list(worst.values())


def _badness(result: ParityResult) -> tuple[bool, bool, float]:
    outside = result.verdict == "outside"
    return outside and result.known is None, outside, share_of_envelope(result)


def counts(result: ParityResult) -> bool:
    """Return whether an `outside` verdict of this record would break parity: whether both trainings are in float32.

    A training in other arithmetic is expected to lie outside float32's rounding.
    """
    return not is_reduced(result.a) and not is_reduced(result.b)


def breaks_parity(result: ParityResult) -> bool:
    """Return whether a record shows another model: outside, explained by no known deviation, and in float32."""
    return result.verdict == "outside" and result.known is None and counts(result)
