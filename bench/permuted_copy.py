"""A training that only rounding makes different: examples, hidden units and embedding dimensions in another order.

What `bench.reference.trained_copy` does in NumPy, for a worker's model: the examples are permuted inside each batch,
the hidden units and embedding dimensions together with their initial weights, and one relu of each hidden layer opens
or closes for an example of the first batch, in the stages after the first step. What was recorded is put back into
the order of the training itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.rounding import Flip, Symmetry, flip_of_copy, flips_at_once, nearest_flips, permute_in_batches
from bench.stages import Values, first_batches, first_step_of
from movierank.ratings import Ratings
from movierank.training import TrainingState
from movierank.weights import Weights

STREAM = 5  # set apart from the streams of the oracle's copies and of `bench.clean_copies`


@dataclass(frozen=True)
class Course:
    """What a training starts from and is given.

    Attributes:
        first_step: state from which the stages up to the first step are recorded.
        later: state from which those after it are: the same, but for a relu that opens or closes in a copy.
        train: the train part.
        back: puts early stages' values into the order of the training itself; None where they are in it.
        steps: whose stages are recorded.
    """

    first_step: TrainingState
    later: TrainingState
    train: Ratings
    back: Symmetry | None = None
    steps: int = 1

    def record(self, record: Callable[[TrainingState, Ratings], Values]) -> Values:
        """Returns the early stages, of which `record` returns those from a state on."""
        values = record(self.later, self.train)
        if self.first_step is not self.later:
            values = first_step_of(record(self.first_step, self.train), values, self.steps)
        return values if self.back is None else self.back.apply_to_values(values)


def permuted_copy(initial: TrainingState, train: Ratings, batch_size: int, seed: int, copy: int) -> Course:
    """Returns copy number `copy` of a training; equal arguments give equal copies.

    Args:
        initial: of a built and compiled `RankingModel`, whose optimizer knows nothing yet of single weights.
        train: the train part, in training order.
        batch_size: examples a step.
        seed: of the permutations; the seed of the initial weights will do.
        copy: from 0.
    """
    weights, first = Weights(*initial.weights), train.take(slice(batch_size))
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, STREAM], spawn_key=(copy,))))
    symmetry = Symmetry.draw(weights, rng)
    plain = TrainingState(symmetry.apply(weights).as_list(), initial.optimizer)
    place = flip_of_copy(copy)
    flips = nearest_flips(weights, first, place + 1)[place]
    flipped = TrainingState(symmetry.apply(_flip(weights, flips)).as_list(), initial.optimizer)
    # As in `bench.reference`: where rounding can flip a relu in the first step, half of the copies do.
    at_once = copy % 2 == 1 and flips_at_once(weights, first) > 0
    return Course(
        first_step=flipped if at_once else plain,
        later=flipped,
        train=permute_in_batches(train, batch_size, rng),
        back=symmetry.inverse(),
        steps=len(first_batches(train, batch_size)),
    )


def _flip(weights: Weights, flips: tuple[Flip, ...]) -> Weights:
    changed = Weights(*(array.copy() for array in weights.as_list()))
    for bias, unit, change in flips:
        getattr(changed, bias)[unit] += change
    return changed
