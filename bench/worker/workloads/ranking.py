"""The built-in workload: the ranking model on a dataset of ratings, and copies of its training.

A copy differs from the training in rounding alone, as `bench.parity.numpy_oracle.trained_copy` does in NumPy: the
examples are permuted inside each batch, the hidden units and embedding dimensions together with their initial weights,
and one relu of each hidden layer opens or closes for an example of the first batch, in the stages after the first step.
The recorded stages are put back into the order of the original training.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import keras
import numpy as np

from bench.parity.rounding import Flip, Symmetry, flip_of_copy, flips_at_once, nearest_flips, permute_in_batches
from bench.parity.stages import WEIGHT_NAMES, first_batches
from bench.schema.cell import bare_loop
from bench.schema.messages import Job
from bench.worker.stage_recorder import record_early_stages
from bench.worker.workload import Course, StepSize, Trainable
from movierank import training
from movierank.data.datasets import load_dataset
from movierank.data.ratings import Dataset, Ratings
from movierank.data.splits import Split, split_ratings
from movierank.model import RankingModel
from movierank.step_cost import layer_shapes, state_bytes, table_rows
from movierank.training import TrainingState
from movierank.weights import Weights, initial_weights

STREAM = 5  # set apart from the streams of the oracle's copies and of `bench.studies.mutants.clean_copies`
COUNTED_BATCHES = 100  # enough for the mean number of rows of a batch


def load(job: Job) -> Trainable:
    """Load the prepared ratings of a job.

    Raises:
        ValueError: they are not the ratings that the job names.
    """
    data_path = None if job.data_path is None else Path(job.data_path)
    dataset = load_dataset(job.dataset, source=job.data_source, path=data_path)
    if dataset.sha256 != job.sha256:
        raise ValueError(f"the prepared data of {job.dataset} changed while it was being measured")
    return ranking_workload(job, dataset, split_ratings(dataset, job.split))


def ranking_workload(job: Job, dataset: Dataset, split: Split) -> Trainable:
    """Return the built-in workload with the sizes, rates and seed of a job."""

    def copy(initial: TrainingState, train: Ratings, number: int) -> Course:
        return permuted_copy(initial, train, job.batch_size, job.seed, number)

    def step_size(model: RankingModel, train: Ratings) -> StepSize:
        width, touched = job.embedding_dimension, _touched_rows(train, job.batch_size)
        rows = table_rows(bare_loop(job.loop), model.num_users + model.num_candidates, touched)
        return StepSize(layer_shapes(width), state_bytes(width, rows), touched)

    return Trainable(
        split=split,
        build=partial(_build, job, dataset),
        metric="rmse",
        copy=copy,
        record=partial(record_early_stages, names=lambda variables: WEIGHT_NAMES, probe=True),
        step_size=step_size,
        fields=("train_rmse", "test_rmse"),
    )


def permuted_copy(initial: TrainingState, train: Ratings, batch_size: int, seed: int, copy: int) -> Course:
    """Return copy number `copy` of a training; equal arguments give equal copies.

    Args:
        initial: state of a built and compiled `RankingModel` whose optimizer has no state yet of single weights.
        train: train part, in training order.
        batch_size: examples a step.
        seed: seed of the permutations; the seed of the initial weights will do.
        copy: number of the copy, from 0.
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


def _build(job: Job, dataset: Dataset) -> RankingModel:
    keras.utils.set_random_seed(job.seed)
    users, movies, width = dataset.num_users, dataset.num_movies, job.embedding_dimension
    model = RankingModel(users + 1, movies + 1, width)
    if job.init == "shared":
        model.load_initial_weights(initial_weights(users, movies, width, seed=job.seed))
    else:
        model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model, job.learning_rate)
    return model


def _touched_rows(train: Ratings, batch_size: int) -> float:
    """Return how many rows of both tables a full batch uses, as the mean over the first ones."""
    count = min(COUNTED_BATCHES, len(train) // batch_size)
    columns = train.take(slice(0, count * batch_size)).features.values()
    return sum(float(np.mean([np.unique(ids).size for ids in column.reshape(-1, batch_size)])) for column in columns)
