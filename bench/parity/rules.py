"""What differs between the workloads where trainings are judged: their oracle, the limit of a pair, what excuses one.

The built-in workload (`NumpyRules`) has one oracle for all cells. A deviation that is understood has an oracle of its
own (`movierank.oracle.KNOWN_VARIANTS`): what it differs by from the oracle is what the deviation explains.

A custom workload (`BackendRules`) has an oracle of each backend (`bench.parity.backend_oracle`). Two cells may each lie
as far from the truth as their thresholds allow, so a pair is allowed the root of the sum of both squares. Across
backends the oracles differ where Keras does; on TensorFlow it updates embedding tables in another way
(docs/deviations.md). That explains a pair where the two oracles agree in everything up to the first step but for the
tables' update, and nothing is left of the distance once each oracle is taken off.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import BenchError
from bench.parity.backend_oracle import LEAST
from bench.parity.distances import TestPart, Training, distances
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import BIAS_TRACE, Values, bias_name
from bench.parity.thresholds import BACKEND_AT_MOST, CAP, Drawn, Limit
from bench.parity.trainings import Place, Reference, ReferenceKey, References, Side, Trajectory, known_deviation
from bench.schema.parity import ORACLE, group_of
from movierank.weights import HIDDEN_UNITS

BIAS_NAMES = tuple(bias_name(place, (*HIDDEN_UNITS, 1)) for place in range(sum(HIDDEN_UNITS) + 1))
FIRST_STEP = ("forward", "loss", "gradient", "optimizer 1", "weights 1")

LimitOf = Callable[[Side, Side, str], Limit | None]  # the limit of two sides at a stage; None where none is known


@dataclass(frozen=True, kw_only=True)
class Rules(ABC):
    """How the trainings of one workload are judged.

    Attributes:
        test: what the predictions are predictions of; None for a custom workload.
        epochs: number of epochs of the training.
        cap: as for `bench.parity.thresholds.thresholds`.
        units: name of each number of a bias trace.
    """

    test: TestPart | None = None
    epochs: int = 0
    cap: float = CAP
    units: Sequence[str] = BIAS_NAMES

    def sides(self, trajectories: Sequence[Trajectory], references: References) -> list[Side]:
        """Return the trainings with what each is judged by; leave out those without a reference.

        Raises:
            BenchError: an array has another shape than the oracle's.
        """
        oracles = {
            key: Side(ORACLE, key[1], Training.of(reference.oracle, self.test, self.epochs), reference)
            for key, reference in references.items()
            if reference.oracle is not None
        }
        found = []
        for trajectory in trajectories:
            if (reference := references.get(key := self.key(trajectory))) is None:
                continue
            _require_shapes(trajectory, reference.oracle or {})
            known, truth, centre = self._known(trajectory, reference)
            found.append(
                Side(
                    name=trajectory.label,
                    seed=trajectory.seed,
                    training=Training.of(trajectory.values, self.test, self.epochs),
                    reference=reference,
                    process=trajectory.process,
                    oracle=oracles.get(key),
                    known=known,
                    truth=truth,
                    centre=centre,
                    envelope=trajectory.envelope,
                )
            )
        return found

    @abstractmethod
    def key(self, trajectory: Trajectory) -> ReferenceKey:
        """Return the key of the reference that a training is judged by."""

    @abstractmethod
    def limits(self, comparisons: int) -> LimitOf:
        """Return the function that gives the limit of two sides, where so many distances are judged together."""

    def excuses(self, a: Side, b: Side, limit: LimitOf) -> bool:
        """Return whether known deviations may explain a distance of these two."""
        return True

    def slack(self, side: Side) -> float:
        """Return what plain rounding moves a bias by in a step of this training."""
        return side.reference.bias_step

    @abstractmethod
    def _known(self, trajectory: Trajectory, reference: Reference) -> tuple[str | None, Values | None, Values | None]:
        """Return `known`, `truth` and `centre` of a `Side`."""


@dataclass(frozen=True, kw_only=True)
class NumpyRules(Rules):
    """Rules of the built-in workload."""

    def key(self, trajectory: Trajectory) -> ReferenceKey:
        """Return the seed alone: all cells share the oracle."""
        return None, trajectory.seed

    def limits(self, comparisons: int) -> LimitOf:
        """Return the function for the limit of two sides; it raises a KeyError where the envelope lacks the stage.

        Where each cell has an envelope of its own, the wider one gives the limit, up to `BACKEND_AT_MOST` times the
        oracle's. Where one lacks the stage, the oracle's envelope gives the limit.
        """
        drawn = Drawn(comparisons, self.cap)

        def limit(a: Side, b: Side, stage: str) -> Limit:
            oracle = drawn.of(a.reference.envelope)[stage]
            of_cells = [drawn.of(side.envelope).get(stage) for side in (a, b) if side.name != ORACLE]
            found = [of_cell for of_cell in of_cells if of_cell is not None]
            if len(found) < len(of_cells):
                return Limit(oracle, "oracle")
            return Limit(min(max(found), BACKEND_AT_MOST * oracle), "backend")

        return limit

    def _known(self, trajectory: Trajectory, reference: Reference) -> tuple[str | None, Values | None, Values | None]:
        known = known_deviation(trajectory.cell)
        if known is None or known not in reference.variants:
            return None, None, None
        return known, reference.variants[known], reference.oracle


@dataclass(frozen=True, kw_only=True)
class BackendRules(Rules):
    """Rules of a custom workload.

    Attributes:
        tables: names of the weights that embedding layers look rows up in.
    """

    tables: Sequence[str]

    def key(self, trajectory: Trajectory) -> ReferenceKey:
        """Return the place of the training's oracle, and the seed."""
        return Place.of(trajectory.cell, self.tables), trajectory.seed

    def limits(self, comparisons: int) -> LimitOf:
        """Return the function for the limit of two sides: None where an envelope lacks the stage."""
        drawn = Drawn(comparisons, self.cap)

        def limit(a: Side, b: Side, stage: str) -> Limit | None:
            found = [drawn.of(side.reference.envelope).get(stage) for side in (a, b) if side.name != ORACLE]
            known = [at for at in found if at is not None]
            return Limit(math.hypot(*known), "backend") if len(known) == len(found) else None

        return limit

    def excuses(self, a: Side, b: Side, limit: LimitOf) -> bool:
        """Return whether the two oracles differ in nothing up to the first step but the tables' update."""
        if a.known == b.known or a.oracle is None or b.oracle is None:
            return False
        # The oracles are of float64: what they differ by is not rounding.
        return all(
            between.within(at_most.rms)
            for stage, between in distances(a.oracle.training, b.oracle.training).items()
            if group_of(stage) in FIRST_STEP and not self._is_update(stage)
            if (at_most := limit(a, b, stage)) is not None
        )

    def slack(self, side: Side) -> float:
        """Return what the first step moved a bias by in a copy, and at least a float32 spacing of the biases."""
        size = float(np.max(np.abs(side.training.values[BIAS_TRACE][0])))
        return max(side.reference.bias_step, FLOAT32_EPS * size, LEAST)

    def _known(self, trajectory: Trajectory, reference: Reference) -> tuple[str | None, Values | None, Values | None]:
        return known_deviation(trajectory.cell) if self.tables else None, reference.oracle, None

    def _is_update(self, stage: str) -> bool:
        """Return whether a stage shows what an update does to a table, or to what the optimizer keeps of it."""
        group, _, name = stage.partition("/")
        if group == "weights 1":
            return name in self.tables
        return group == "optimizer 1" and any(table.replace("/", "_") in name for table in self.tables)


def _require_shapes(trajectory: Trajectory, oracle: Values) -> None:
    for stage, values in trajectory.values.items():
        expected = oracle.get(stage)
        if expected is not None and expected.shape != values.shape:
            raise BenchError(
                f"{trajectory.label} has {values.size} values at {stage}, the oracle {expected.size}; "
                "measure both on the same data"
            )
