"""The step and the unit at which two trainings first part by more than plain rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.parity.backend_oracle import LEAST, Referred
from bench.parity.numpy_oracle import Reference
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import BIAS_TRACE, Values, bias_name
from bench.parity.trainings import Trajectory
from bench.schema.parity import ORACLE, Divergence
from movierank.weights import HIDDEN_UNITS

BIAS_NAMES = [bias_name(place, (*HIDDEN_UNITS, 1)) for place in range(sum(HIDDEN_UNITS) + 1)]


Trace = Mapping[str, npt.NDArray[np.floating[Any]]]  # values by stage, of which one is the bias trace


SLACK = 8.0  # a flipped relu moves its unit's bias by some thousand times what rounding does in a step


def divergences(trajectories: Sequence[Trajectory], references: Mapping[int, Reference]) -> list[Divergence]:
    """Looks at the biases after each recorded step, for each pair of cells and each cell with the oracle.

    Rounding may move a bias by up to `SLACK` times what it did between the oracle's copies in their first step
    (`Reference.bias_step`), times the number of steps. A pair of cells is looked at in the first process that recorded
    its steps.
    """
    found = []
    for seed, reference in sorted(references.items()):
        traces: dict[str, Values] = {}
        for t in sorted(trajectories, key=lambda trajectory: (trajectory.label, trajectory.process)):
            if t.seed == seed and BIAS_TRACE in t.values:
                traces.setdefault(t.label, dict(t.values))
        against = [(name, ORACLE) for name in traces] + list(combinations(traces, 2))
        traces[ORACLE] = reference.oracle
        found += [
            divergence_of((a, b), (traces[a], traces[b]), seed, reference.bias_step, BIAS_NAMES) for a, b in against
        ]
    return found


def divergence_of(
    names: tuple[str, str], trainings: tuple[Trace, Trace], seed: int, bias_step: float, units: Sequence[str]
) -> Divergence:
    """Looks at the bias traces of two trainings.

    Args:
        names: of the two.
        trainings: their values, with a bias trace each.
        seed: of the initial weights.
        bias_step: as in `bench.parity.numpy_oracle.Reference`.
        units: what each number of a row of a trace is called.
    """
    a, b = names
    one, other = (np.asarray(values[BIAS_TRACE], np.float64) for values in trainings)
    steps = min(len(one), len(other))
    apart = np.abs(one[:steps] - other[:steps])
    apart[~np.isfinite(apart)] = np.inf
    beyond = apart > SLACK * bias_step * np.arange(1, steps + 1)[:, np.newaxis]
    parted = np.flatnonzero(beyond.any(axis=1))
    if not parted.size:
        return Divergence(a=a, b=b, seed=seed, step=None, steps=steps)
    step = int(parted[0])
    place = int(np.argmax(apart[step]))
    difference = float(apart[step, place])
    return Divergence(
        a=a,
        b=b,
        seed=seed,
        step=step + 1,
        steps=steps,
        unit=units[place],
        difference=difference if np.isfinite(difference) else None,
    )


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
