"""Whether trainings of a workload of the user's own are the same model: a pure judgement of what they left behind.

There is no oracle in NumPy for a model that is not known. The same model trained in float64 by Keras on the same
backend takes its place, and how far float32 copies of it lie from that, with the examples permuted inside each batch,
is what rounding does. Up to the first step nothing else differs; after it each copy starts from weights that are
moved by some float32 spacings (`bench.worker.workloads.custom.NUDGE`), so that relus and comparisons fall to the other
side as early as they may in any training: the envelope errs to the wide side, as that of the built-in model does. No
threshold is above ten times the largest of their distances.

A cell is compared with the oracle of its own backend by the threshold that its copies' distances give
(`bench.parity.thresholds`). Two cells may each lie that far from the truth, so a pair is allowed the root of the sum of
both squares. Across backends the oracles differ where Keras does; on TensorFlow it updates embedding tables in another
way (docs/deviations.md). A pair that is `outside` is marked with that deviation where the two oracles agree in
everything up to the first step but for the tables' update, and nothing is left of the distance once the difference of
the oracles is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.parity.distances import Training, distances, size_of
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.trainings import Trajectory, known_deviation
from bench.schema.cell import Cell
from bench.schema.parity import SeedEnvelope, StageEnvelope

LEAST = 1e-30  # keeps the logarithm of a distance finite where a weight never moves


@dataclass(frozen=True, order=True)
class Mathematics:
    """Where trainings have one oracle: a backend on a device, and a loop where Keras's `fit` is not the same there."""

    backend: str
    device: str
    loop: str = "fit"

    @classmethod
    def of(cls, cell: Cell, tables: Sequence[str]) -> Mathematics:
        """Returns that of a cell, of a model with these embedding tables."""
        fit = Cell(backend=cell.backend, device=cell.device, loop="fit")
        differs = bool(tables) and known_deviation(cell) != known_deviation(fit)
        return cls(cell.backend, cell.device, cell.loop if differs else "fit")

    def __str__(self) -> str:
        """Returns for example `jax/cpu`."""
        return "/".join((self.backend, self.device, *([] if self.loop == "fit" else [self.loop])))


@dataclass(frozen=True)
class OwnReference:
    """What trainings from one seed's initial weights are judged by, on one backend.

    Attributes:
        oracle: the float64 run's values; None where it cannot be had, and only pairs of cells are judged.
        stored: the envelope.
    """

    oracle: Training | None
    stored: SeedEnvelope


@dataclass(frozen=True)
class Referred:
    """A training with what it is judged by.

    Attributes:
        trajectory: what it left behind.
        training: the same in float64.
        reference: of its seed, where it was trained.
    """

    trajectory: Trajectory
    training: Training
    reference: OwnReference

    @property
    def name(self) -> str:
        """The name of its cell in the records."""
        return self.trajectory.label

    @property
    def oracle(self) -> Training | None:
        """Its oracle, where there is one."""
        return self.reference.oracle


References = Mapping[tuple[Mathematics, int], OwnReference]


def reference_of(
    where: Mathematics,
    seed: int,
    exact: Values | None,
    plain: Values | None,
    copies: Sequence[Values],
    examples: Mapping[str, int],
) -> OwnReference:
    """Returns a reference from the trainings that it rests on.

    Args:
        where: they were trained.
        seed: of their initial weights.
        exact: of the float64 run.
        plain: of the float32 run without permutations, where there is none in float64.
        copies: of the permuted float32 runs.
        examples: that a metric is of, by stage: one that counts them moves in steps.
    """
    centre = Training(_float64(exact if exact is not None else plain or {}), None)
    apart = [distances(centre, Training(_float64(copy), None)) for copy in copies]
    stages = [
        StageEnvelope(
            stage=stage,
            trainings=len(copies),
            rms=[of_copy[stage].rms for of_copy in apart],
            resolution=_resolution(stage, [centre.values, *copies], examples.get(stage)),
            values=centre.values[stage].size,
        )
        for stage in centre.values
        if all(stage in of_copy for of_copy in apart)
        # Of two float32 runs that are equal in bits, nothing is learnt about rounding.
        and (exact is not None or any(of_copy[stage].rms for of_copy in apart))
    ]
    first = [copy[BIAS_TRACE][0] - centre.values[BIAS_TRACE][0] for copy in copies if BIAS_TRACE in copy]
    bias_step = max((float(np.max(np.abs(row))) for row in first if row.size), default=0.0)
    stored = SeedEnvelope(seed=seed, bias_step=bias_step, stages=stages, place=str(where))
    return OwnReference(None if exact is None else centre, stored)


def with_references(
    trajectories: Sequence[Trajectory], references: References, tables: Sequence[str]
) -> list[Referred]:
    """Returns each training with what it is judged by; one without a reference is left out."""
    return [
        Referred(t, Training(_float64(t.values), None), reference)
        for t in trajectories
        if (reference := references.get((Mathematics.of(t.cell, tables), t.seed))) is not None
    ]


def _float64(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {stage: np.asarray(array, np.float64) for stage, array in values.items()}


def _resolution(stage: str, trainings: Sequence[Mapping[str, np.ndarray]], examples: int | None) -> float:
    """Returns a distance below which nothing can be told: float32's spacing, or one of the examples that count."""
    if examples is not None:
        counts = np.array([training[stage] for training in trainings], np.float64) * examples
        if np.all(np.abs(counts - np.round(counts)) < 1e-6 * examples + 1e-3) and np.any(counts):
            return 1 / examples
    return max(LEAST, FLOAT32_EPS * size_of(trainings[0], stage))
