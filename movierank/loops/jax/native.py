"""The `native` loop in JAX: one compiled `fori_loop` over the batches on the device, with donated state."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from movierank.loops import Updates
from movierank.loops.examples import Examples, Feed
from movierank.loops.jax.device import batch, upload
from movierank.loops.jax.rows import IN_BOUNDS, sum_by_row
from movierank.loops.native import Adagrad, accumulators, epoch_logs, tables_by_rows
from movierank.model import RankingModel

Arrays = tuple[Any, ...]


class State(NamedTuple):
    """The state of a training, in the order of `RankingModel.weights`: two tables, then kernels and biases."""

    weights: Arrays
    accumulators: Arrays


def compile_mode(model: RankingModel) -> str:
    """Return the compiler of a model's loop."""
    return "xla"


class Training:
    """A `movierank.loops.driver.EpochTraining` of a built and compiled model."""

    def __init__(self, model: RankingModel, updates: Updates) -> None:
        self._model = model
        self._updates = updates
        self._feed = Feed(upload)
        self._state: State | None = None
        self._steps = 0
        self._squares: list[Any] = []
        self._count = 0

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once."""
        model, constants = self._model, Adagrad.of(self._model)
        self._squares, self._count, self._steps = [], examples.count, 0
        self._state = State(
            tuple(variable.value for variable in model.weights),
            tuple(variable.value for variable in accumulators(model)),
        )
        for chunk in self._feed.chunks(examples, order):
            self._state, squares = _train(
                self._state,
                chunk.arrays,
                chunk.steps,
                (constants.learning_rate, constants.epsilon),
                batch_size=chunk.batch_size,
                by_rows=tables_by_rows(model, self._updates, examples.batch_size),
            )
            self._steps += chunk.steps
            if self._squares:  # no more than two chunks wait on the device
                self._squares[-1].block_until_ready()
            self._squares.append(squares)

    def write_back(self) -> None:
        """Write weights, accumulators and the count of steps into the model."""
        if self._state is None:
            return
        variables = (*self._model.weights, *accumulators(self._model))
        for variable, value in zip(variables, (*self._state.weights, *self._state.accumulators), strict=True):
            variable.assign(value)
        self._model.optimizer.iterations.assign_add(self._steps)
        self._state, self._steps = None, 0

    def logs(self) -> Mapping[str, float]:
        """Return loss and RMSE of the epoch."""
        return epoch_logs(self._squares, self._count)


def loss_and_gradients(
    model: RankingModel, x: dict[str, npt.NDArray[Any]], y: npt.NDArray[Any]
) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients, float32 in the shapes of the weights."""
    of_tables = jax.jit(jax.value_and_grad(_loss_of_tables))
    loss, gradients = of_tables(
        tuple(variable.value for variable in model.weights),
        (jnp.asarray(x["user_id"]), jnp.asarray(x["movie_id"])),
        jnp.asarray(y, jnp.float32),
    )
    return float(loss), [np.asarray(gradient) for gradient in gradients]


@partial(jax.jit, static_argnames=("batch_size", "by_rows"), donate_argnames="state")
def _train(
    state: State, arrays: Arrays, steps: Any, constants: Arrays, *, batch_size: int, by_rows: tuple[bool, bool]
) -> tuple[State, Any]:
    """Train on the first `steps` batches of a chunk, and return the state and the sum of squared errors."""
    scratch = tuple(jnp.zeros(table.shape[0], jnp.int32) for table in state.weights[:2])

    def step(number: Any, carried: Any) -> Any:
        state, scratch, total = carried
        *ids, label = batch(arrays, number, batch_size)
        weights, sums = list(state.weights), list(state.accumulators)
        rows = tuple(table.at[i].get(mode=IN_BOUNDS) for table, i in zip(weights, ids, strict=False))
        loss, (of_rows, of_dense) = jax.value_and_grad(_loss, (0, 1))(rows, tuple(weights[2:]), label)
        scratch = list(scratch)
        for place, (i, slices) in enumerate(zip(ids, of_rows, strict=True)):
            table, accumulator = weights[place], sums[place]
            if by_rows[place]:
                gradient, scratch[place] = sum_by_row(slices, i, scratch[place])
                row, of_row = _adagrad(rows[place], accumulator.at[i].get(mode=IN_BOUNDS), gradient, constants)
                weights[place] = table.at[i].set(row, mode=IN_BOUNDS)
                sums[place] = accumulator.at[i].set(of_row, mode=IN_BOUNDS)
            else:
                gradient = jnp.zeros_like(table).at[i].add(slices, mode=IN_BOUNDS)
                weights[place], sums[place] = _adagrad(table, accumulator, gradient, constants)
        for place, gradient in enumerate(of_dense, start=2):
            weights[place], sums[place] = _adagrad(weights[place], sums[place], gradient, constants)
        return State(tuple(weights), tuple(sums)), tuple(scratch), total + loss * batch_size

    state, _, total = lax.fori_loop(0, steps, step, (state, scratch, jnp.float32(0)))
    return state, total


def _loss(rows: Arrays, dense: Arrays, label: Any) -> Any:
    """Return the mean squared error of a batch, from the rows of users and movies, [B, D] each."""
    kernel1, bias1, kernel2, bias2, kernel3, bias3 = dense
    hidden = jax.nn.relu(jnp.concatenate(rows, axis=1) @ kernel1 + bias1)
    hidden = jax.nn.relu(hidden @ kernel2 + bias2)
    prediction = (hidden @ kernel3 + bias3)[:, 0]
    return jnp.mean(jnp.square(prediction - label))


def _loss_of_tables(weights: Arrays, ids: Arrays, label: Any) -> Any:
    users, movies, *dense = weights
    return _loss((users[ids[0]], movies[ids[1]]), tuple(dense), label)


def _adagrad(weight: Any, accumulator: Any, gradient: Any, constants: Arrays) -> tuple[Any, Any]:
    learning_rate, epsilon = constants
    with jax.named_scope("adagrad"):  # profilers show this name
        accumulator += jnp.square(gradient)
        return weight - learning_rate * gradient / jnp.sqrt(accumulator + epsilon), accumulator
