"""A small workload, its references, and float32 trainings of it with a rounding or a fault of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from bench.parity.distances import TestPart
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Task, measure
from bench.parity.rounding import Symmetry, permute_in_batches
from bench.parity.rules import NumpyRules
from bench.parity.stages import early_values, first_batches
from bench.parity.trainings import Reference, Side, Trajectory
from bench.schema.cell import Cell
from bench.schema.parity import ParityResult
from movierank.data.ratings import Ratings
from movierank.oracle import Oracle, train
from movierank.weights import initial_weights

USERS, MOVIES, BATCH, EPOCHS = 60, 90, 250, 2
JAX = Cell(backend="jax", device="cpu", loop="fit")


@cache
def ratings(seed: int, count: int) -> Ratings:
    """Ratings that can be learned: a user's and a movie's taste plus noise, in whole stars."""
    taste = np.random.default_rng(0)
    user_taste, movie_taste = taste.normal(0, 0.7, USERS + 1), taste.normal(0, 0.7, MOVIES + 1)
    rng = np.random.default_rng(seed)
    user, movie = rng.integers(1, USERS + 1, count), rng.integers(1, MOVIES + 1, count)
    stars = np.clip(np.rint(3.5 + user_taste[user] + movie_taste[movie] + rng.normal(0, 0.7, count)), 1, 5)
    return Ratings(user.astype(np.int32), movie.astype(np.int32), ((stars - 1) / 4).astype(np.float32))


TRAIN, TEST = ratings(1, 4100), ratings(2, 1000)
RULES = NumpyRules(test=TestPart.of(TEST.user_id, TEST.label), epochs=EPOCHS)


def task(seed: int = 0) -> Task:
    return Task(initial_weights(USERS, MOVIES, seed=seed), TRAIN, TEST, BATCH, EPOCHS, 0.1)


@cache
def reference(seed: int = 0) -> Reference:
    return measure(task(seed), seed=seed, variants=["tensorflow-indexed-slices"], threads=1)


def trained(cell: Cell = JAX, *, data: Ratings = TRAIN, permutation: int | None = 0, **oracle: Any) -> Trajectory:
    """A float32 training's predictions; a `permutation` gives it a rounding of its own."""
    weights, seed = initial_weights(USERS, MOVIES, seed=0), 0
    if permutation is not None:
        rng = np.random.default_rng([99, permutation])
        weights = Symmetry.draw(weights, rng).apply(weights)
        data = permute_in_batches(data, BATCH, rng)
    model = Oracle(weights, dtype=np.float32, **oracle)
    values = {"forward": model.predict(TEST.user_id, TEST.movie_id)}
    train(
        model,
        data,
        BATCH,
        EPOCHS,
        lambda epoch, _: values.__setitem__(f"epoch {epoch}", model.predict(TEST.user_id, TEST.movie_id)),
    )
    return Trajectory(cell, seed, 0, values)


def first_steps(cell: Cell = JAX, fault: Callable[[Oracle], None] = lambda oracle: None, **oracle: Any) -> Trajectory:
    """The early stages of a float32 training from the shared weights; `fault` may change it before it starts."""

    def build() -> Oracle:
        model = Oracle(initial_weights(USERS, MOVIES, seed=0), dtype=np.float32, **oracle)
        fault(model)
        return model

    return Trajectory(cell, 0, 0, early_values(build, first_batches(TRAIN, BATCH)))


class Small:
    """The workload's parts and sizes, and what can be done with it."""

    train, test, batch, epochs, rules = TRAIN, TEST, BATCH, EPOCHS, RULES
    derived = ("rmse", "ranking tau", "ranking top-10")  # stages behind the last epoch
    task, reference = staticmethod(task), staticmethod(reference)
    trained, first_steps = staticmethod(trained), staticmethod(first_steps)
    clean = staticmethod(cache(trained))

    def sides(self, trajectories: list[Trajectory], references: dict[int, Reference] | None = None) -> list[Side]:
        """Trainings with what each is judged by, by default of seed 0."""
        given = {0: reference()} if references is None else references
        return RULES.sides(trajectories, {(None, seed): reference for seed, reference in given.items()})

    def judge(
        self, trajectories: list[Trajectory], references: dict[int, Reference] | None = None
    ) -> list[ParityResult]:
        """Judges trainings, by default of seed 0."""
        return judge(self.sides(trajectories, references), RULES)

    def outside(self, results: list[ParityResult]) -> dict[str, str | None]:
        """The stages that are outside, with what is known of each."""
        return {result.stage: result.known for result in results if result.verdict == "outside"}


@pytest.fixture(scope="session")
def small() -> Small:
    return Small()
