"""The ranking model's training epoch in PyTorch: gradient by hand, one compiled graph a step.

Symbols as in `movierank.oracle`: x = [u, m], h1 = r(x W1 + b1), h2 = r(h1 W2 + b2), p = h2 w3 + b3.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from movierank.loops import Updates
from movierank.loops.examples import Examples
from movierank.loops.native import Adagrad, accumulators, epoch_logs, tables_by_rows
from movierank.loops.torch.batches import DeviceBatches
from movierank.loops.torch.compiled import CompiledStep, compiler
from movierank.loops.torch.rows import adagrad_rows, total_by_row
from movierank.model import RankingModel

WEIGHTS = 8


def loss_and_gradient(
    weights: list[Tensor], user_id: Tensor, movie_id: Tensor, label: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor], list[Tensor]]:
    """Return the sum of squared errors and the gradient of their mean, in float32.

    Args:
        weights: weights in the order of `movierank.weights.Weights`.
        user_id: int [N].
        movie_id: int [N].
        label: float [N].

    Returns:
        The sum; the gradients of the N examples' user and movie embeddings, [N, D] each; the gradients of the
        remaining six weights.
    """
    users, movies, w1, b1, w2, b2, w3, b3 = weights
    x = torch.cat([users[user_id], movies[movie_id]], dim=1)
    h1 = torch.addmm(b1, x, w1).relu()
    h2 = torch.addmm(b2, h1, w2).relu()
    p = torch.addmm(b3, h2, w3)
    error = p - label[:, None]

    d_p = error * (2 / len(label))
    d_z2 = (d_p * w3.T) * (h2 > 0)
    d_z1 = (d_z2 @ w2.T) * (h1 > 0)
    d_u, d_m = (d_z1 @ w1.T).chunk(2, dim=1)
    dense = [x.T @ d_z1, d_z1.sum(0), h1.T @ d_z2, d_z2.sum(0), h2.T @ d_p, d_p.sum(0)]
    return error.square().sum(), (d_u, d_m), dense


def whole_table(table: Tensor, ids: Tensor, gradients: Tensor) -> Tensor:
    """Return the gradient of a table, [rows, D], from those of the rows that a batch looked up, [N, D]."""
    return torch.zeros_like(table).index_add(0, ids, gradients)


def train_step(epsilon: float, by_rows: Sequence[bool], *tensors: Tensor) -> None:
    """Make one step in place.

    Args:
        epsilon: epsilon of Adagrad.
        by_rows: for each of the two tables, whether it is updated in touched rows only.
        *tensors: weights, accumulators, learning rate, the two tables' slots, sum of squared errors; then the batch:
            user ids, movie ids, labels.
    """
    weights, sums = list(tensors[:WEIGHTS]), list(tensors[WEIGHTS : 2 * WEIGHTS])
    rate, *slots, sum_of_squares, user_id, movie_id, label = tensors[2 * WEIGHTS :]
    squares, embeddings, dense = loss_and_gradient(weights, user_id, movie_id, label)
    sum_of_squares += squares
    whole = []
    for table, accumulator, slot, ids, gradient, alone in zip(
        weights, sums, slots, (user_id, movie_id), embeddings, by_rows, strict=False
    ):
        if alone:
            total = total_by_row(slot, ids, gradient)
            adagrad_rows(table, accumulator, ids, total, rate, epsilon)
        else:
            whole.append((table, accumulator, whole_table(table, ids, gradient)))
    for weight, accumulator, gradient in (*whole, *zip(weights[2:], sums[2:], dense, strict=True)):
        accumulator += gradient * gradient
        weight -= rate * gradient / torch.sqrt(accumulator + epsilon)


@dataclass(frozen=True)
class _Compiled:
    """The state that is kept for a model between calls: its compiled steps, and the scratch that they share."""

    scratch: list[Tensor]
    steps: dict[tuple[Any, ...], CompiledStep]


_kept: weakref.WeakKeyDictionary[RankingModel, _Compiled] = weakref.WeakKeyDictionary()


class Training:
    """A `movierank.loops.driver.EpochTraining`; the steps change the model's own tensors in place.

    Args:
        model: built and compiled model.
        updates: way of updating the tables.
    """

    def __init__(self, model: RankingModel, updates: Updates) -> None:
        self._model = model
        self._epsilon = Adagrad.of(model).epsilon
        self._updates = updates
        # The step takes the learning rate as a tensor, so that a callback may change it.
        variables = (*model.weights, *accumulators(model), model.optimizer._learning_rate)
        values = [variable.value.detach() for variable in variables]
        device = values[0].device
        if model not in _kept:
            slots = [torch.zeros(len(table), dtype=torch.int64, device=device) for table in values[:2]]
            _kept[model] = _Compiled([*slots, torch.zeros((), device=device)], {})
        self._compiled = _kept[model]
        self._state = [*values, *self._compiled.scratch]
        self._sum_of_squares = self._compiled.scratch[-1]
        self._batches = DeviceBatches(device)
        self._examples = self._steps = 0

    def run_epoch(self, examples: Examples, order: npt.NDArray[np.integer[Any]] | None) -> None:
        """Train on all examples once."""
        self._sum_of_squares.zero_()
        self._examples = examples.count
        for size, batch in self._batches.of(examples, order):
            self._step_for(size, batch, compiled=size == examples.batch_size)(batch)
            self._steps += 1

    def write_back(self) -> None:
        """Add the steps to the optimizer's count; they have changed everything else in place."""
        self._model.optimizer.iterations.assign_add(self._steps)
        self._steps = 0

    def logs(self) -> Mapping[str, float]:
        """Return loss and RMSE of the epoch."""
        return epoch_logs([self._sum_of_squares], self._examples)

    def _step_for(self, size: int, batch: list[Tensor], *, compiled: bool) -> CompiledStep:
        key = (self._epsilon, self._updates, size, compiled)
        step = self._compiled.steps.get(key)
        if step is None or not step.serves(self._state):
            by_rows = tables_by_rows(self._model, self._updates, size)
            function: Callable[..., None] = partial(train_step, self._epsilon, by_rows)
            step = self._compiled.steps[key] = CompiledStep(function, self._state, batch, compiled=compiled)
        return step


def compile_mode(model: RankingModel) -> str:
    """Return the compiler of a model's step: `inductor`, or `eager` where it lacks a compiler."""
    return compiler()


def forget(model: RankingModel) -> None:
    """Drop the compiled steps of a model, so that its next epoch compiles again."""
    _kept.pop(model, None)


def loss_and_gradients(model: RankingModel, x: dict[str, Any], y: Any) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients by trainable variable, without training."""
    weights = [variable.value.detach() for variable in model.weights]
    device = weights[0].device
    user_id, movie_id = (
        torch.as_tensor(np.array(x[name], np.int64), device=device) for name in ("user_id", "movie_id")
    )
    label = torch.tensor(np.asarray(y, np.float32), device=device)
    with torch.no_grad():
        squares, embeddings, dense = loss_and_gradient(weights, user_id, movie_id, label)
        tables = [whole_table(*each) for each in zip(weights, (user_id, movie_id), embeddings, strict=False)]
    return float(squares) / len(label), [gradient.cpu().numpy() for gradient in (*tables, *dense)]
