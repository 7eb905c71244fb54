"""A training that only rounding makes different: examples, hidden units and embedding dimensions in another order.

What `bench.parity.numpy_oracle.trained_copy` does in NumPy, for a worker's model: the examples are permuted inside each
batch, the hidden units and embedding dimensions together with their initial weights, and one relu of each hidden layer
opens or closes for an example of the first batch, in the stages after the first step. What was recorded is put back
into the order of the training itself.
"""

from __future__ import annotations

import keras
import numpy as np

from bench.parity.rounding import Flip, Symmetry, flip_of_copy, flips_at_once, nearest_flips, permute_in_batches
from bench.parity.stages import first_batches
from bench.schema.messages import Job
from bench.worker.workload import Course
from movierank import training
from movierank.data.ratings import Dataset, Ratings
from movierank.model import RankingModel
from movierank.training import TrainingState
from movierank.weights import Weights, initial_weights

STREAM = 5  # set apart from the streams of the oracle's copies and of `bench.studies.mutants.clean_copies`


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
    # As in `bench.parity.numpy_oracle`: where rounding can flip a relu in the first step, half of the copies do.
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


def ranking_model(job: Job, dataset: Dataset) -> RankingModel:
    """Builds the built-in workload's model with the job's initial weights, and compiles it."""
    keras.utils.set_random_seed(job.seed)
    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1, job.embedding_dimension)
    if job.init == "shared":
        model.load_initial_weights(
            initial_weights(dataset.num_users, dataset.num_movies, job.embedding_dimension, seed=job.seed)
        )
    else:
        model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model, job.learning_rate)
    return model
