"""The number of steps of a round, so that it lasts as long as requested."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from movierank.data.ratings import Ratings

if TYPE_CHECKING:
    from bench.worker.workload import Examples

PROBE_STEPS = 20


@dataclass(frozen=True)
class RoundPlan:
    """The training of one round.

    Attributes:
        examples: full batches only, from the start of the train part.
        epochs: passes over them in one call of `fit`.
        steps: training steps in all passes.
    """

    examples: Ratings | Examples
    epochs: int
    steps: int


def plan_round(
    train: Ratings | Examples, batch_size: int, round_s: float, time_epoch: Callable[[Any], float]
) -> RoundPlan:
    """Return the shortest round of whole epochs that lasts `round_s` at the speed of the fastest of some short probes.

    Args:
        train: the train part, one full batch or more.
        batch_size: examples a step.
        round_s: shortest wall time of a round, in seconds.
        time_epoch: function that trains one epoch on some examples and returns its time in seconds.
    """
    steps = len(train) // batch_size
    probe_steps = min(steps, PROBE_STEPS)
    probe = train.take(slice(0, probe_steps * batch_size))
    time_epoch(probe)  # compiles, or loads compiled code, which on JAX took as long as 0.4 s of training in 16 steps
    fastest = time_epoch(probe)
    if fastest < round_s:
        fastest = min(fastest, time_epoch(probe))
    wanted = max(1, math.ceil(round_s / (fastest / probe_steps)))
    steps_per_epoch = min(steps, wanted)
    epochs = math.ceil(wanted / steps_per_epoch)
    examples = train.take(slice(0, steps_per_epoch * batch_size))
    return RoundPlan(examples=examples, epochs=epochs, steps=epochs * steps_per_epoch)
