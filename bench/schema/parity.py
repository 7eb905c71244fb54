"""The records of `report.json` on whether trainings are the same model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from bench.schema.cell import is_reduced
from bench.schema.record import Record

Verdict = Literal["within", "outside"]


Judge = Literal["oracle", "backend"]


ORACLE = "oracle"  # what records call the float64 oracle


COPIES, FEWEST_COPIES = 6, 3  # of a rounding envelope: the design's, and the least that tell how distances scatter


class ParityResult(Record, frozen=True, kw_only=True):
    """How far two trainings from the same initial weights lie apart at one stage.

    Where a pair was compared with several seeds or in several processes, this is the worst of them.

    Attributes:
        a: a cell as `backend/device/loop`.
        b: another cell, or `oracle` (NumPy float64).
        stage: as in `bench.parity.stages`: `forward`, `loss`, `gradient/kernel1`, `weights 10/bias1`, `epoch 5`, `rmse`
            …
        rms: root mean square of the differences; None where they are not finite.
        max_abs: largest difference; None where it is not finite.
        envelope: what rounding alone explains at this stage, in the unit of `rms`.
        verdict: `within` or `outside` the envelope.
        known: names of the understood deviations that explain an `outside`: without them the pair lies within. None
            otherwise.
        ulps: `rms` in float32 spacings at the typical size of the oracle's values; None where that means nothing.
        where: index of the largest difference in its array, for stages of weights.
        seed: of the initial weights; None in a report of a version that did not tell.
        judged_by: whose rounding `envelope` is: that of the oracle's float32 copies, or of the backends' own
            (`run --envelope backend`); None in a report of a version that knew the first alone.
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
    """Distances by rounding alone at one stage, between every two of some trainings.

    They are the oracle and its float32 copies, or a backend's copies alone. The oracle is one of them without
    distinction: where rounding drift has grown, it is one more trajectory.

    Attributes:
        stage: as in `bench.parity.stages`.
        trainings: how many, n.
        rms: n (n - 1) / 2 distances of two trainings, in the unit of the stage; those with the oracle first.
        resolution: no distance below it means anything, such as float32's relative spacing times the size of the
            values.
        values: how many numbers one training has at this stage; 0 for rankings.
    """

    stage: str
    trainings: int
    rms: list[float]
    resolution: float
    values: int


class SeedEnvelope(Record, frozen=True, kw_only=True):
    """What rounding alone does to trainings from one seed's initial weights.

    Attributes:
        seed: of the initial weights.
        bias_step: largest difference of a bias between two copies after one step.
        stages: in the order of training.
        place: `backend/device` of a workload of the user's own, whose float64 run on it is the oracle; its distances
            are between that and each float32 copy. None for the built-in workload.
    """

    seed: int
    bias_step: float
    stages: list[StageEnvelope]
    place: str | None = None


class CellEnvelope(Record, frozen=True, kw_only=True):
    """What rounding alone does to a cell's own trainings from one seed's initial weights.

    Attributes:
        cell: as `backend/device/loop`.
        seed: of the initial weights.
        stages: in the order of training.
    """

    cell: str
    seed: int
    stages: list[StageEnvelope]

    @property
    def copies(self) -> int:
        """How many permuted copies were trained."""
        return self.stages[0].trainings


class Divergence(Record, frozen=True, kw_only=True):
    """Where two trainings first part by more than plain rounding.

    A relu that opens for one example in one training and not in the other shows as a jump in its unit's bias.

    Attributes:
        a, b: as in `ParityResult`.
        seed: of the initial weights.
        step: training step, from 1, after which a bias first differs by more than rounding explains; None where
            none does in the steps that were recorded.
        steps: training steps that were recorded.
        unit: the bias with the largest such difference, as `bias1[17]`.
        difference: of that bias.
    """

    a: str
    b: str
    seed: int
    step: int | None
    steps: int
    unit: str | None = None
    difference: float | None = None


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


def counts(result: ParityResult) -> bool:
    """Returns whether parity is broken where this record is `outside`: both of its trainings are in float32.

    Other arithmetic was asked for, and to lie outside float32's rounding is what it does.
    """
    return not is_reduced(result.a) and not is_reduced(result.b)


def breaks_parity(result: ParityResult) -> bool:
    """Returns whether a record tells of another model: outside, explained by nothing known, and in float32."""
    return result.verdict == "outside" and result.known is None and counts(result)
