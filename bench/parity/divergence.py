"""The step and the unit at which two trainings first part by more than plain rounding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, groupby

import numpy as np

from bench.parity.rules import Rules
from bench.parity.stages import BIAS_TRACE
from bench.parity.trainings import Side
from bench.schema.parity import Divergence

SLACK = 8.0  # a flipped relu moves its unit's bias by some thousand times what rounding does in a step


def divergences(sides: Sequence[Side], rules: Rules) -> list[Divergence]:
    """Look at the biases after each recorded step, of each cell with its oracle and of each pair of cells.

    Rounding may move a bias by up to `SLACK` times what it does in one step (`Rules.slack`), times the number of steps.
    A cell is looked at in the first process that recorded its steps. Without an oracle it is not looked at.
    """
    first: dict[tuple[int, str], Side] = {}
    for side in sorted(sides, key=lambda side: (side.seed, side.name, side.process)):
        trace = side.training.values.get(BIAS_TRACE)
        if trace is not None and trace.size and side.oracle is not None:
            first.setdefault((side.seed, side.name), side)
    found = []
    for _, group in groupby(first.values(), key=lambda side: side.seed):
        of_seed = list(group)
        found += [_divergence(side, side.oracle, rules.slack(side), rules.units) for side in of_seed if side.oracle]
        found += [
            _divergence(a, b, max(rules.slack(a), rules.slack(b)), rules.units) for a, b in combinations(of_seed, 2)
        ]
    return found


def _divergence(a: Side, b: Side, slack: float, units: Sequence[str]) -> Divergence:
    one, other = (side.training.values[BIAS_TRACE] for side in (a, b))
    steps = min(len(one), len(other))
    apart = np.abs(one[:steps] - other[:steps])
    apart[~np.isfinite(apart)] = np.inf
    beyond = apart > SLACK * slack * np.arange(1, steps + 1)[:, np.newaxis]
    parted = np.flatnonzero(beyond.any(axis=1))
    if not parted.size:
        return Divergence(a=a.name, b=b.name, seed=a.seed, step=None, steps=steps)
    step = int(parted[0])
    place = int(np.argmax(apart[step]))
    difference = float(apart[step, place])
    return Divergence(
        a=a.name,
        b=b.name,
        seed=a.seed,
        step=step + 1,
        steps=steps,
        unit=units[place],
        difference=difference if np.isfinite(difference) else None,
    )
