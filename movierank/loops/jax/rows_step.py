"""A training step of any Keras model in JAX that updates embedding tables by rows.

Each `Embedding.call` is traced as `stop_gradient(table[ids]) + d` with d = 0, and the loss is differentiated by d. The
result is the gradient of the rows that were looked up, and no gradient of the table's size is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras

from movierank.loops import Updates
from movierank.loops.exact_rows import embedding_layers, not_by_rows, require_exact_rows, rows_pay, used_otherwise
from movierank.loops.jax.rows import IN_BOUNDS, sum_by_row


class State(NamedTuple):
    """Values of a model's variables, each in the order of the model's property of that name."""

    trainable: list[Any]
    non_trainable: list[Any]
    optimizer: list[Any]
    metrics: list[Any]


@dataclass(frozen=True)
class LookUp:
    """One call of an embedding layer.

    Attributes:
        place: place of its table in `model.trainable_variables`.
        shape: shape of its ids.
    """

    place: int
    shape: tuple[int, ...]


class Gradients(NamedTuple):
    """The results of one batch.

    Attributes:
        loss: loss of the batch.
        prediction: output of the model.
        non_trainable: non-trainable values after the batch.
        metrics: values of the metrics after the batch.
        dense: gradients by trainable variable; None for tables that are looked up.
        rows: ids int [K] and gradients [K, D] of all look-ups, by the table's place.
    """

    loss: Any
    prediction: Any
    non_trainable: list[Any]
    metrics: list[Any]
    dense: list[Any]
    rows: dict[int, tuple[Any, Any]]


def find_look_ups(model: keras.Model, state: State, data: Any, updates: Updates) -> list[LookUp]:
    """Return the calls of embedding layers in a training step, for the tables that are to be updated by rows.

    Args:
        model: built and compiled model.
        state: values of its variables.
        data: a batch, (x, y, sample_weight).
        updates: `auto`, `rows` or `tables`.

    Raises:
        ValueError: rows were requested and are not exact for a table, or there is no table.
    """
    if updates == "tables":
        return []
    try:
        look_ups = _exact_look_ups(model, state, data)
    except ValueError:
        if updates == "rows":
            raise
        return []
    if updates == "rows":
        return look_ups
    ids = {place: sum(math.prod(one.shape) for one in look_ups if one.place == place) for place in _places(look_ups)}
    return [one for one in look_ups if rows_pay(state.trainable[one.place].shape[0], ids[one.place])]


def _exact_look_ups(model: keras.Model, state: State, data: Any) -> list[LookUp]:
    _require_keras_step(model)
    tables = embedding_layers(model)
    watched: list[Any] = []
    seen: list[LookUp] = []

    def note(place: int, ids: Any) -> Any:
        seen.append(LookUp(place, ids.shape))
        watched.append(ids)  # JAX reports an id of an inner trace (scan, vmap, remat) when it leaves that trace
        return _rows_like(state.trainable[place], ids.shape)

    def loss_of(trainable: list[Any]) -> Any:
        watched.clear()
        with _looking_up(tables, note):
            loss, _ = _forward(model, state._replace(trainable=trainable), data)
        return loss, list(watched)

    try:
        traced = jax.make_jaxpr(loss_of)(state.trainable).jaxpr
    except jax.errors.UnexpectedTracerError:
        raise not_by_rows("a layer is called inside a loop") from None
    used = {id(value) for equation in traced.eqns for value in equation.invars}
    otherwise = [place for place, _ in tables if id(traced.invars[place]) in used]
    if otherwise or not seen:
        raise not_by_rows(used_otherwise(model.trainable_variables[place].path for place in otherwise))
    return seen


def _require_keras_step(model: keras.Model) -> None:
    require_exact_rows(model.optimizer)
    if type(model).train_step is not keras.Model.train_step or not hasattr(model, "_update_metrics_variables"):
        raise not_by_rows("the train_step is not Keras's")


def gradients(model: keras.Model, state: State, data: Any, look_ups: Sequence[LookUp]) -> Gradients:
    """Return loss and gradients of a batch, with gradients by row for the looked-up tables."""
    places = _places(look_ups)
    tables = [(place, layers) for place, layers in embedding_layers(model) if place in places]
    dense = [None if place in places else value for place, value in enumerate(state.trainable)]
    zeros = [_rows_like(state.trainable[one.place], one.shape) for one in look_ups]

    def loss_of(dense: list[Any], added: list[Any]) -> Any:
        ids: list[Any] = []

        def look_up(place: int, wanted: Any) -> Any:
            ids.append(wanted)
            rows = keras.ops.take(state.trainable[place], wanted, axis=0)
            return jax.lax.stop_gradient(rows) + added[len(ids) - 1]

        trainable = [old if new is None else new for old, new in zip(state.trainable, dense, strict=True)]
        with _looking_up(tables, look_up):
            loss, aux = _forward(model, state._replace(trainable=trainable), data)
        return loss, (aux, ids)

    (_, (aux, ids)), (of_dense, of_rows) = jax.value_and_grad(loss_of, (0, 1), has_aux=True)(dense, zeros)
    loss, prediction, non_trainable, metrics = aux
    by_place = {
        place: _in_bounds(
            jnp.concatenate([i.reshape(-1) for one, i in zip(look_ups, ids, strict=True) if one.place == place]),
            jnp.concatenate(
                [d.reshape(-1, d.shape[-1]) for one, d in zip(look_ups, of_rows, strict=True) if one.place == place]
            ),
            state.trainable[place].shape[0],
        )
        for place in places
    }
    return Gradients(loss, prediction, non_trainable, metrics, of_dense, by_place)


def train_step(
    model: keras.Model, state: State, scratch: dict[int, Any], data: Any, look_ups: Sequence[LookUp]
) -> tuple[Any, State, dict[int, Any]]:
    """Train on one batch as `keras.Model.train_step` does, with tables updated by rows.

    Args:
        model: built and compiled model.
        state: values of its variables.
        scratch: int32 [table rows] by place of the tables, with any content.
        data: a batch, (x, y, sample_weight).
        look_ups: look-ups as `find_look_ups` returns them.

    Returns:
        Logs, the new state, the scratch to use next.
    """
    found = gradients(model, state, data, look_ups)
    variables, optimizer = model.trainable_variables, model.optimizer
    dense = [(d, variable) for d, variable in zip(found.dense, variables, strict=True) if d is not None]
    pairs = [*zip(variables, state.trainable, strict=True), *zip(optimizer.variables, state.optimizer, strict=True)]
    scratch = dict(scratch)
    with keras.StatelessScope(state_mapping=pairs) as scope:
        learning_rate = optimizer.learning_rate
        if dense:
            optimizer.apply(*map(list, zip(*dense, strict=True)))
        else:
            optimizer.iterations.assign_add(1)
        for place, (ids, slices) in found.rows.items():
            total, scratch[place] = sum_by_row(slices, ids, scratch[place])
            _update_rows(scope, optimizer, variables[place], ids, total, learning_rate)
    trainable = [scope.get_current_value(variable) for variable in variables]
    of_optimizer = [scope.get_current_value(variable) for variable in optimizer.variables]
    # This method is private, but it is all that Keras's train_step calls for that; `_exact_look_ups` checks for it.
    logs, metrics = model._update_metrics_variables(
        found.metrics, found.loss, data[0], data[1], found.prediction, data[2]
    )
    return logs, State(trainable, found.non_trainable, of_optimizer, metrics), scratch


def _update_rows(
    scope: Any, optimizer: keras.optimizers.Optimizer, table: Any, ids: Any, gradient: Any, rate: Any
) -> None:
    weight = scope.get_current_value(table)
    rate = jnp.asarray(rate, weight.dtype)
    if type(optimizer) is keras.optimizers.SGD:
        scope.add_update((table, weight.at[ids].set(_rows(weight, ids) - rate * gradient, mode=IN_BOUNDS)))
        return
    # These are private, since Keras has no public access to an optimizer's state by variable.
    kept = optimizer._accumulators[optimizer._get_variable_index(table)]
    accumulator = scope.get_current_value(kept)
    row = _rows(accumulator, ids) + jnp.square(gradient)
    moved = _rows(weight, ids) - rate * gradient / jnp.sqrt(row + optimizer.epsilon)
    scope.add_update((kept, accumulator.at[ids].set(row, mode=IN_BOUNDS)))
    scope.add_update((table, weight.at[ids].set(moved, mode=IN_BOUNDS)))


def _rows(table: Any, ids: Any) -> Any:
    return table.at[ids].get(mode=IN_BOUNDS)


def _rows_like(table: Any, shape: tuple[int, ...]) -> Any:
    return jnp.zeros((*shape, table.shape[1]), table.dtype)


def _in_bounds(ids: Any, slices: Any, rows: int) -> tuple[Any, Any]:
    """Return ids as `keras.ops.take` reads them: negative ones count from the end, others beyond it train nothing."""
    ids = jnp.where(ids < 0, ids + rows, ids)
    beyond = (ids < 0) | (ids >= rows)
    return jnp.clip(ids, 0, rows - 1), jnp.where(beyond[:, None], 0, slices)


def _forward(model: keras.Model, state: State, data: Any) -> tuple[Any, tuple[Any, Any, Any, Any]]:
    x, y, sample_weight = data
    loss, aux = model.compute_loss_and_updates(
        state.trainable,
        state.non_trainable,
        state.metrics,
        x,
        y,
        sample_weight,
        training=True,
        optimizer_variables=state.optimizer,
    )
    return loss, aux


def _places(look_ups: Sequence[LookUp]) -> list[int]:
    return sorted({one.place for one in look_ups})


@contextmanager
def _looking_up(
    tables: Sequence[tuple[int, list[keras.layers.Embedding]]], look_up: Callable[[int, Any], Any]
) -> Iterator[None]:
    """Let `look_up(place, ids)` return the rows in place of the tables' layers."""

    def call(place: int, layer: keras.layers.Embedding, inputs: Any) -> Any:
        ids = inputs if inputs.dtype in ("int32", "int64") else keras.ops.cast(inputs, "int32")
        return keras.ops.cast(look_up(place, ids), layer.compute_dtype)

    try:
        for place, layers in tables:
            for layer in layers:
                vars(layer)["call"] = partial(call, place, layer)
        yield
    finally:
        for _, layers in tables:
            for layer in layers:
                vars(layer).pop("call", None)
