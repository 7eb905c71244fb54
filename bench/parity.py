"""Whether trainings from the same initial weights are still the same model: a pure judgement of predictions.

Every cell is compared with the float64 oracle and with every other cell of the same seed, at each stage that both
have. A comparison is `within` when the root mean square of the differences is no more than the rounding envelope
explains (`bench.parity_threshold`), else `outside`; predictions that are not finite are `outside`.

A pair of cells has one record a stage, and where it rests on several seeds or processes the record is the worst of
them: any comparison that is not finite, else the one with the largest rms relative to its own envelope. Every process
of one cell is compared with every process of the other that trained the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bench.envelope import Predictions, Reference, distance, with_rmse
from bench.errors import BenchError
from bench.parity_threshold import thresholds
from bench.report import Cell, ParityResult

ORACLE = "oracle"


@dataclass(frozen=True)
class Trajectory:
    """The test predictions of one training.

    Attributes:
        cell: that trained.
        seed: of the initial weights.
        process: index of the worker process within its cell.
        stages: float32 [N] in label units by stage, `forward`, `epoch 1` …, in the order of training. A training
            that ended early has fewer.
    """

    cell: Cell
    seed: int
    process: int
    stages: Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Comparison:
    """Two trainings at one stage, not yet judged; `b` is None for the oracle."""

    a: Cell
    b: Cell | None
    seed: int
    stage: str
    rms: float
    max_abs: float

    @property
    def finite(self) -> bool:
        """Whether both trainings' values are numbers."""
        return math.isfinite(self.rms) and math.isfinite(self.max_abs)


def judge(trajectories: Sequence[Trajectory], references: Mapping[int, Reference]) -> list[ParityResult]:
    """Compares all trainings and returns one record a pair and stage.

    Args:
        trajectories: of all cells, seeds and processes.
        references: by seed of the initial weights. Trainings of another seed are not judged; with each backend's
            own initial weights there are none, and the result is empty.

    Returns:
        For each cell its comparison with the oracle, then for each pair of cells theirs, in the order of the
        cells; the stages in the order of training. `a` is the lower cell of a pair.

    Raises:
        BenchError: predictions are not as many as the oracle's.
    """
    comparisons = [c for seed, reference in sorted(references.items()) for c in _compare(trajectories, seed, reference)]
    if not comparisons:
        return []
    limits = {seed: thresholds(reference.envelope, len(comparisons)) for seed, reference in references.items()}
    judged: dict[tuple[Cell, Cell | None, str], list[tuple[Comparison, float]]] = {}
    for c in comparisons:
        judged.setdefault((c.a, c.b, c.stage), []).append((c, limits[c.seed][c.stage]))
    order = {stage: i for i, stage in enumerate(dict.fromkeys(s for of_seed in limits.values() for s in of_seed))}
    keys = sorted(judged, key=lambda key: (key[1] is not None, key[0], key[1] or key[0], order[key[2]]))
    return [_record(*max(judged[key], key=_badness)) for key in keys]


def _compare(trajectories: Sequence[Trajectory], seed: int, reference: Reference) -> list[Comparison]:
    oracle = with_rmse(reference.predictions, reference.label)
    trainings = [(t.cell, _stages(t, reference)) for t in trajectories if t.seed == seed]
    # Sorted by cell, so that the order in which trainings arrive changes nothing.
    trainings.sort(key=lambda training: training[0])
    found = []
    for cell, stages in trainings:
        found += [Comparison(cell, None, seed, s, *distance(stages[s], oracle[s])) for s in oracle if s in stages]
    for (a, a_stages), (b, b_stages) in combinations(trainings, 2):
        if a != b:
            common = [s for s in oracle if s in a_stages and s in b_stages]
            found += [Comparison(a, b, seed, s, *distance(a_stages[s], b_stages[s])) for s in common]
    return found


def _stages(trajectory: Trajectory, reference: Reference) -> Predictions:
    stages = {s: np.asarray(trajectory.stages[s], np.float64) for s in reference.predictions if s in trajectory.stages}
    for stage, values in stages.items():
        if values.shape != reference.label.shape:
            raise BenchError(
                f"{trajectory.cell} has {values.size} predictions at {stage}, the oracle {reference.label.size}; "
                "measure both on the same test part"
            )
    complete = len(stages) == len(reference.predictions)
    return with_rmse(stages, reference.label) if complete else stages


def _badness(judged: tuple[Comparison, float]) -> float:
    comparison, limit = judged
    return comparison.rms / limit if comparison.finite else math.inf


def _record(comparison: Comparison, limit: float) -> ParityResult:
    return ParityResult(
        a=str(comparison.a),
        b=ORACLE if comparison.b is None else str(comparison.b),
        stage=comparison.stage,
        rms=comparison.rms if comparison.finite else None,
        max_abs=comparison.max_abs if comparison.finite else None,
        envelope=limit,
        verdict="within" if comparison.finite and comparison.rms <= limit else "outside",
    )
