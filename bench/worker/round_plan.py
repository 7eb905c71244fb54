"""How many steps a round trains, so that it lasts as long as asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from movierank.data.ratings import Ratings

PROBE_STEPS = 20


@dataclass(frozen=True)
class RoundPlan:
    """What one round trains on.

    Attributes:
        ratings: full batches only, from the start of the train part.
        epochs: passes over them in one call of `fit`.
        steps: training steps that this makes.
    """

    ratings: Ratings
    epochs: int
    steps: int


def plan_round(train: Ratings, batch_size: int, round_s: float, time_epoch: Callable[[Ratings], float]) -> RoundPlan:
    """Return the shortest round of whole epochs that lasts `round_s` at the speed of the fastest of some short probes.

    Args:
        train: the train part, one full batch or more.
        batch_size: examples a step.
        round_s: shortest wall time wanted, in seconds.
        time_epoch: trains one epoch on what it is given, and returns the time that took, in seconds.
    """
    steps = len(train) // batch_size
    probe_steps = min(steps, PROBE_STEPS)
    probe = train.take(slice(0, probe_steps * batch_size))
    time_epoch(probe)  # compiles, or loads what was compiled: on JAX that passed for 0.4 s of training in 16 steps
    fastest = time_epoch(probe)
    if fastest < round_s:
        fastest = min(fastest, time_epoch(probe))
    wanted = max(1, math.ceil(round_s / (fastest / probe_steps)))
    steps_per_epoch = min(steps, wanted)
    epochs = math.ceil(wanted / steps_per_epoch)
    ratings = train.take(slice(0, steps_per_epoch * batch_size))
    return RoundPlan(ratings=ratings, epochs=epochs, steps=epochs * steps_per_epoch)
