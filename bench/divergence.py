"""The step and the unit at which two trainings first part by more than plain rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from bench.parity import Trajectory
from bench.parity_records import ORACLE, Divergence
from bench.reference import Reference
from bench.stages import BIAS_TRACE, Values, bias_name
from movierank.weights import HIDDEN_UNITS

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
        found += [_divergence(a, b, traces, seed, reference.bias_step) for a, b in against]
    return found


def _divergence(a: str, b: str, traces: Mapping[str, Values], seed: int, bias_step: float) -> Divergence:
    one, other = (np.asarray(traces[name][BIAS_TRACE], np.float64) for name in (a, b))
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
        unit=bias_name(place, (*HIDDEN_UNITS, 1)),
        difference=difference if np.isfinite(difference) else None,
    )
