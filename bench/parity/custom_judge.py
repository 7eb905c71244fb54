"""Judge trainings of a user's model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from bench.parity.backend_oracle import References, Referred, with_references
from bench.parity.distances import Distance, Training, distances
from bench.parity.divergence import _divergences
from bench.parity.judge import Judged, belong_together, judged_at
from bench.parity.stages import BIAS_TRACE
from bench.parity.thresholds import Limit, thresholds
from bench.parity.trainings import Trajectory, known_deviation
from bench.schema.cell import is_reduced
from bench.schema.messages import Described
from bench.schema.parity import ORACLE, Divergence, ParityResult, group_of

FIRST_STEP = ("forward", "loss", "gradient", "optimizer 1", "weights 1")


def judge_own(
    trajectories: Sequence[Trajectory], references: References, described: Described
) -> tuple[list[ParityResult], list[Divergence]]:
    """Compares all trainings.

    Args:
        trajectories: of all cells, seeds and processes. One without a reference is not judged.
        references: by where they were trained, and seed.
        described: the workload.

    Returns:
        Records as `bench.parity.judge.judge` returns them, `oracle` being that of the cell's own backend, and where
        pairs first part.
    """
    found = with_references(trajectories, references, described.tables)
    return judge_together(found, described.tables, described.traced)


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
