"""The trainings of a report as parity judges them, and what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.parity.numpy_oracle import Reference
from bench.report.predictions import Arrays, stages_of
from bench.schema.cell import Cell, bare_loop
from bench.schema.derived import ReferenceRmse
from bench.schema.parity import CellEnvelope, Divergence, ParityResult, SeedEnvelope, StageEnvelope
from bench.schema.report import Report
from bench.schema.run import Run
from movierank.oracle import KNOWN_VARIANTS

KERAS_UPDATES = ("fit", "fused-slices")  # loops in which Keras's own code, or a faithful copy, updates embeddings


@dataclass(frozen=True)
class Trajectory:
    """What one training left behind.

    Attributes:
        cell: that trained.
        seed: of the initial weights.
        process: index of the worker process within its cell.
        values: float32 arrays by stage (`bench.parity.stages`). A training that ended early has fewer stages, and not
            every process records the early ones.
        name: of the cell in the records; its own where it is empty.
        envelope: what rounding does to the cell's own trainings, where it is to be judged by that.
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
    """Returns the name of the understood deviation that this cell may show; None where there is none.

    They are all of Keras's own optimizer: the loops that update embeddings by themselves have none to be excused by.
    """
    if bare_loop(cell.loop) not in KERAS_UPDATES:
        return None
    return next((name for name in KNOWN_VARIANTS if name.startswith(f"{cell.backend}-")), None)


@dataclass(frozen=True)
class Parity:
    """All that is stored of a report's parity.

    Attributes:
        results: one record a pair and stage.
        envelopes: one a seed.
        divergences: one a pair whose first steps were recorded.
        reference_rmse: one a cell, where the whole test part is predicted at every stage.
        arrays: for `predictions.npz`, by key.
    """

    results: list[ParityResult] = field(default_factory=list)
    envelopes: list[SeedEnvelope] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    reference_rmse: list[ReferenceRmse] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)


def trajectories(
    runs: Sequence[Run],
    arrays: Arrays,
    name: Callable[[Run], str] = lambda run: "",
    own: Sequence[CellEnvelope] = (),
) -> list[Trajectory]:
    """Returns what the completed trainings among `runs` left behind.

    Args:
        runs: of a report.
        arrays: of its `predictions.npz`.
        name: returns what to call a run's cell; its own name where it is empty.
        own: what rounding does to the cells' own trainings, where they are to be judged by it.
    """
    envelopes = {(envelope.cell, envelope.seed): envelope.stages for envelope in own}
    return [
        Trajectory(
            cell=run.cell,
            seed=run.seed,
            process=run.process,
            values=values if run.train_metric else {**values, "training rmse": np.array(run.train_rmse)},
            name=name(run),
            envelope=envelopes.get((str(run.cell), run.seed), ()),
        )
        for run in runs
        if run.trained and (values := stages_of(run, arrays))
    ]


def judging_envelopes(report: Report) -> list[CellEnvelope]:
    """Returns the cells' own envelopes where the report's parity is judged by them."""
    return report.own_envelopes if report.settings.envelope == "backend" else []


def envelopes_of(references: Mapping[int, Reference]) -> list[SeedEnvelope]:
    """Returns the part of references that a report keeps."""
    return [
        SeedEnvelope(seed=seed, bias_step=reference.bias_step, stages=reference.envelope)
        for seed, reference in references.items()
    ]
