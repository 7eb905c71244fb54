"""The trainings of a report as parity judges them, what they are judged by, and what parity makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.parity.distances import Training
from bench.parity.stages import Values
from bench.report.predictions import Arrays, stages_of
from bench.schema.cell import Cell, bare_loop
from bench.schema.derived import ReferenceRmse
from bench.schema.parity import Divergence, ParityResult, SeedEnvelope, StageEnvelope
from bench.schema.report import Report
from bench.schema.run import Run
from movierank.oracle import KNOWN_VARIANTS

KERAS_UPDATES = ("fit", "fused-slices")  # loops in which Keras's own code, or a faithful copy, updates embeddings


@dataclass(frozen=True)
class Trajectory:
    """What one training left behind.

    Attributes:
        cell: cell that trained.
        seed: seed of the initial weights.
        process: index of the worker process within its cell.
        values: float32 arrays by stage (`bench.parity.stages`). A training that ended early has fewer stages, and not
            every process records the early ones.
        name: name of the cell in the records; where empty, the cell's usual one.
        envelope: what rounding does to this cell's trainings, where the cell is to be judged by that.
    """

    cell: Cell
    seed: int
    process: int
    values: Mapping[str, npt.NDArray[np.floating[Any]]]
    name: str = ""
    envelope: Sequence[StageEnvelope] = ()

    @property
    def label(self) -> str:
        """The name of the cell in the records."""
        return self.name or str(self.cell)


def known_deviation(cell: Cell) -> str | None:
    """Return the name of the understood deviation that this cell may show; None where there is none.

    They are all of Keras's own optimizer: loops with another update of the embeddings have no such excuse.
    """
    if bare_loop(cell.loop) not in KERAS_UPDATES:
        return None
    return next((name for name in KNOWN_VARIANTS if name.startswith(f"{cell.backend}-")), None)


@dataclass(frozen=True, order=True)
class Place:
    """Where a custom workload has one oracle: a backend on a device, and a loop where it updates otherwise than `fit`.

    Attributes:
        backend, device, loop: as in a cell's name.
    """

    backend: str
    device: str
    loop: str = "fit"

    @classmethod
    def of(cls, cell: Cell, tables: Sequence[str]) -> Place:
        """Return the place of a cell, of a model with these embedding tables."""
        fit = Cell(backend=cell.backend, device=cell.device, loop="fit")
        differs = bool(tables) and known_deviation(cell) != known_deviation(fit)
        return cls(cell.backend, cell.device, cell.loop if differs else "fit")

    def __str__(self) -> str:
        """Return for example `jax/cpu`."""
        return "/".join((self.backend, self.device, *([] if self.loop == "fit" else [self.loop])))


@dataclass(frozen=True, eq=False)
class Reference:
    """What trainings from one set of initial weights are judged by.

    Attributes:
        envelope: what rounding does, one record a stage, in the order of training.
        bias_step: what rounding moves a bias by in one step without a flipped relu.
        oracle: the float64 oracle's values by stage (`bench.parity.stages`), without `rmse`; None for a backend that
            cannot train in float64: then only pairs of cells are judged.
        variants: values of the oracles that reproduce known deviations, by their names.
    """

    envelope: list[StageEnvelope]
    bias_step: float
    oracle: Values | None
    variants: Mapping[str, Values] = field(default_factory=dict)


ReferenceKey = tuple[Place | None, int]  # None for the NumPy oracle, which all cells share; seed of the initial weights
References = Mapping[ReferenceKey, Reference]


@dataclass(frozen=True, eq=False)
class Side:
    """One of two trainings that are compared.

    Attributes:
        name: name of the cell in the records; `oracle` for the float64 oracle.
        seed, process: as in `Trajectory`.
        training: values of the training.
        reference: reference that the training is judged by.
        oracle: the reference's oracle as another side; None for the oracle itself, and where there is none.
        known: name of the understood deviation that the cell may show; None for none.
        truth: values of the oracle that deviates in the same way; None where nothing is known.
        centre: values that replace `truth` in `corrected`; None for zeros.
        envelope: as in `Trajectory`.
    """

    name: str
    seed: int
    training: Training
    reference: Reference
    process: int = 0
    oracle: Side | None = None
    known: str | None = None
    truth: Values | None = None
    centre: Values | None = None
    envelope: Sequence[StageEnvelope] = ()

    @cached_property
    def corrected(self) -> Training:
        """The training without what is known of its cell: `training - truth + centre`."""
        return self.training if self.truth is None else self.training.corrected(self.truth, self.centre)


@dataclass(frozen=True)
class Parity:
    """All that is stored of a report's parity.

    Attributes:
        results: one record a pair and stage.
        envelopes: one a reference.
        divergences: one a pair whose first steps were recorded.
        reference_rmse: one a cell, where the whole test part is predicted at every stage.
        arrays: what `predictions.npz` keeps of the references, by key.
    """

    results: list[ParityResult] = field(default_factory=list)
    envelopes: list[SeedEnvelope] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    reference_rmse: list[ReferenceRmse] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)


def trajectories(report: Report, arrays: Arrays, name: Callable[[Run], str] = lambda run: "") -> list[Trajectory]:
    """Return what the completed trainings of a report left behind.

    Args:
        report: report whose `runs` and, where cells are judged by their own rounding, `own_envelopes` are read.
        arrays: contents of its `predictions.npz`.
        name: function that returns what to call a run's cell; empty for the cell's usual name.
    """
    judging = report.own_envelopes if report.settings.envelope == "backend" else []
    envelopes = {(envelope.cell, envelope.seed): envelope.stages for envelope in judging}
    return [
        Trajectory(
            cell=run.cell,
            seed=run.seed,
            process=run.process,
            values=values if run.train_metric else {**values, "training rmse": np.array(run.train_rmse)},
            name=name(run),
            envelope=envelopes.get((str(run.cell), run.seed), ()),
        )
        for run in report.runs
        if run.trained and (values := stages_of(run, arrays))
    ]


def envelopes_of(references: References) -> list[SeedEnvelope]:
    """Return the part of references that `report.json` keeps."""
    return [
        SeedEnvelope(
            seed=seed,
            bias_step=reference.bias_step,
            stages=reference.envelope,
            place=None if place is None else str(place),
        )
        for (place, seed), reference in references.items()
    ]
