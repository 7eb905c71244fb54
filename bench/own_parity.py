"""Whether trainings of a workload of the user's own are the same model: a pure judgement of what they left behind.

There is no oracle in NumPy for a model that is not known. The same model trained in float64 by Keras on the same
backend takes its place, and how far float32 copies of it lie from that, with the examples permuted inside each batch,
is what rounding does. Up to the first step nothing else differs; after it each copy starts from weights that are
moved by some float32 spacings (`bench.own_session.NUDGE`), so that relus and comparisons fall to the other side as
early as they may in any training: the envelope errs to the wide side, as that of the built-in model does. No threshold
is above ten times the largest of their distances.

A cell is compared with the oracle of its own backend by the threshold that its copies' distances give
(`bench.parity_threshold`). Two cells may each lie that far from the truth, so a pair is allowed the root of the sum of
both squares. Across backends the oracles differ where Keras does; on TensorFlow it updates embedding tables in another
way (docs/deviations.md). A pair that is `outside` is marked with that deviation where the two oracles agree in
everything up to the first step but for the tables' update, and nothing is left of the distance once the difference of
the oracles is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.distances import Distance, Training, distances, size_of
from bench.divergence import divergence_of
from bench.own_messages import Described
from bench.parity import Judged, Trajectory, belong_together, judged_at, known_deviation
from bench.parity_groups import group_of
from bench.parity_limits import Limit
from bench.parity_records import ORACLE, Divergence, ParityResult, SeedEnvelope, StageEnvelope
from bench.parity_threshold import thresholds
from bench.precision import is_reduced
from bench.report import Cell
from bench.rounding import FLOAT32_EPS
from bench.stages import BIAS_TRACE, Values

LEAST = 1e-30  # keeps the logarithm of a distance finite where a weight never moves
FIRST_STEP = ("forward", "loss", "gradient", "optimizer 1", "weights 1")


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


def judge_own(
    trajectories: Sequence[Trajectory], references: References, described: Described
) -> tuple[list[ParityResult], list[Divergence]]:
    """Compares all trainings.

    Args:
        trajectories: of all cells, seeds and processes. One without a reference is not judged.
        references: by where they were trained, and seed.
        described: the workload.

    Returns:
        Records as `bench.parity.judge` returns them, `oracle` being that of the cell's own backend, and where pairs
        first part.
    """
    found = with_references(trajectories, references, described.tables)
    return judge_together(found, described.tables, described.traced)


def with_references(
    trajectories: Sequence[Trajectory], references: References, tables: Sequence[str]
) -> list[Referred]:
    """Returns each training with what it is judged by; one without a reference is left out."""
    return [
        Referred(t, Training(_float64(t.values), None), reference)
        for t in trajectories
        if (reference := references.get((Mathematics.of(t.cell, tables), t.seed))) is not None
    ]


def judge_together(
    trainings: Sequence[Referred], tables: Sequence[str], traced: Sequence[str]
) -> tuple[list[ParityResult], list[Divergence]]:
    """Compares all trainings, each with its own oracle and with every other of its seed; returns as `judge_own`.

    Args:
        trainings: of all cells, seeds and processes.
        tables: the weights that embedding layers look rows up in.
        traced: what each number of a bias trace is called.
    """
    found = sorted(trainings, key=lambda t: (t.name, t.trajectory.seed, t.trajectory.process))
    compared = [(side, None, side.oracle) for side in found if side.oracle is not None]
    pairs = [
        (a, b, b.training)
        for a, b in combinations(found, 2)
        if a.trajectory.seed == b.trajectory.seed and belong_together(a.name, b.name)
    ]
    apart = [(a, b, distances(a.training, other)) for a, b, other in [*compared, *pairs]]
    in_full = [d for a, b, d in apart if not is_reduced(a.name) and not (b and is_reduced(b.name))]
    comparisons = sum(map(len, in_full)) or sum(len(d) for _, _, d in apart)
    limits = {
        id(r): thresholds(r.stored.stages, comparisons) for r in {id(s.reference): s.reference for s in found}.values()
    }
    worst: dict[tuple[str, str, str], Judged] = {}
    for a, b, of_stage in apart:
        of_a = limits[id(a.reference)]
        of_b = None if b is None else limits[id(b.reference)]
        limit = {
            s: of_a[s] if of_b is None else math.hypot(of_a[s], of_b[s]) for s in of_a if of_b is None or s in of_b
        }
        known, left = (None, {}) if b is None else _explained(a, b, limit, tables)
        for stage, at_stage in of_stage.items():
            if stage not in limit:
                continue
            explained = known if stage in left and left[stage].finite and left[stage].rms <= limit[stage] else None
            names = (a.name, ORACLE if b is None else b.name)
            size = a.oracle.values if a.oracle is not None else {}
            judged = judged_at(
                names, a.trajectory.seed, stage, at_stage, Limit(limit[stage], "backend"), explained, size
            )
            key = (*names, stage)
            if key not in worst or judged.badness > worst[key].badness:
                worst[key] = judged
    order = {stage: place for place, stage in enumerate(dict.fromkeys(s for of in limits.values() for s in of))}
    keys = sorted(worst, key=lambda key: (key[1] != ORACLE, key[0], key[1], order[key[2]]))
    return [worst[key].result for key in keys], _divergences(found, traced)


def _float64(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {stage: np.asarray(array, np.float64) for stage, array in values.items()}


def _resolution(stage: str, trainings: Sequence[Mapping[str, np.ndarray]], examples: int | None) -> float:
    """Returns a distance below which nothing can be told: float32's spacing, or one of the examples that count."""
    if examples is not None:
        counts = np.array([training[stage] for training in trainings], np.float64) * examples
        if np.all(np.abs(counts - np.round(counts)) < 1e-6 * examples + 1e-3) and np.any(counts):
            return 1 / examples
    return max(LEAST, FLOAT32_EPS * size_of(trainings[0], stage))


def _explained(
    a: Referred, b: Referred, limit: Mapping[str, float], tables: Sequence[str]
) -> tuple[str | None, dict[str, Distance]]:
    """Returns the deviation that is known of one of the two, and how far apart they are without it."""
    names = [known_deviation(side.trajectory.cell) for side in (a, b)]
    known = next((name for name in names if name is not None), None)
    if known is None or names[0] == names[1] or a.oracle is None or b.oracle is None or not tables:
        return None, {}
    between = distances(a.oracle, b.oracle)
    # The oracles are of float64: what they differ by is not rounding.
    if not all(
        between[stage].finite and between[stage].rms <= limit[stage]
        for stage in between
        if stage in limit and group_of(stage) in FIRST_STEP and not _is_update(stage, tables)
    ):
        return None, {}
    return known, distances(_less(a.training, a.oracle), _less(b.training, b.oracle))


def _is_update(stage: str, tables: Sequence[str]) -> bool:
    """Says whether a stage is of what an update does to a table, or to what the optimizer keeps of it."""
    group, _, name = stage.partition("/")
    if group == "weights 1":
        return name in tables
    return group == "optimizer 1" and any(table.replace("/", "_") in name for table in tables)


def _less(training: Training, oracle: Training) -> Training:
    common = [stage for stage in training.values if stage in oracle.values and stage != BIAS_TRACE]
    return Training({stage: training.values[stage] - oracle.values[stage] for stage in common}, None)


def _divergences(sides: Sequence[Referred], names: Sequence[str]) -> list[Divergence]:
    """Returns where trainings first part, of each cell the first process that recorded its steps."""
    first: dict[tuple[str, int], Referred] = {}
    for side in sides:
        trace = side.training.values.get(BIAS_TRACE)
        if trace is not None and trace.size and side.oracle is not None:
            first.setdefault((side.name, side.trajectory.seed), side)
    found = []
    for side in first.values():
        if side.oracle is not None:
            values = side.training.values, side.oracle.values
            found.append(divergence_of((side.name, ORACLE), values, side.trajectory.seed, _slack(side), names))
    for a, b in combinations(first.values(), 2):
        if a.trajectory.seed == b.trajectory.seed:
            values = a.training.values, b.training.values
            slack = max(_slack(a), _slack(b))
            found.append(divergence_of((a.name, b.name), values, a.trajectory.seed, slack, names))
    return found


def _slack(side: Referred) -> float:
    size = float(np.max(np.abs(side.training.values[BIAS_TRACE][0])))
    return max(side.reference.stored.bias_step, FLOAT32_EPS * size, LEAST)
