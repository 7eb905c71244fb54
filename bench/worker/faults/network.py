"""Faults in the network: its initial weights, its function, and the gradient of that function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from bench.parity.stages import WEIGHT_NAMES
from movierank.data.ratings import Float32Array
from movierank.weights import EMBEDDING_LIMIT, initial_weights

if TYPE_CHECKING:
    from bench.worker.session import Session

BFLOAT16_BITS, TF32_BITS = 8, 11  # significant bits, the leading one included
DROPPED = 0.01
TABLES = ("user_embedding", "candidate_embedding")


def _towers_swapped(session: Session) -> None:
    model: Any = session.model

    def call(inputs: dict[str, Any]) -> Any:
        towers = [model.candidate_embedding(inputs["movie_id"]), model.user_embedding(inputs["user_id"])]
        return model.ratings(ops.concatenate(towers, axis=1))

    model.call = call


def _other_seed(session: Session) -> None:
    model = session.model
    sizes = (model.num_users - 1, model.num_candidates - 1, model.embedding_dimension)
    model.load_initial_weights(initial_weights(*sizes, seed=session.job.seed + 1))


def _products_of_fewer_bits(session: Session, bits: int) -> None:
    for layer in session.model.ratings.layers:
        _replace_product(layer, partial(_rounded_product, bits=bits))


def _gradients_of_fewer_bits(session: Session) -> None:
    def product(x: Any, kernel: Any) -> Any:
        rounded = _rounded_product(x, kernel, bits=TF32_BITS)
        return rounded + ops.stop_gradient(ops.matmul(x, kernel) - rounded)

    for layer in session.model.ratings.layers:
        _replace_product(layer, product)


def _scale_repeated_ids(session: Session, factor: Callable[[Any, Any], Any]) -> None:
    """Scale each example's gradient of its user's row.

    Args:
        session: session to change.
        factor: function that returns the factors [B], from which examples have the same user, [B, B], and a dtype.
    """
    _change_output(
        session.model.user_embedding,
        lambda ids, rows: _scale_gradient(rows, factor(ids[:, None] == ids[None, :], rows.dtype)[:, None]),
    )


def _only_the_last(same: Any, dtype: Any) -> Any:
    place = ops.arange(ops.shape(same)[0])
    return ops.cast(~ops.any(same & (place[None, :] > place[:, None]), axis=1), dtype)


def round_to(x: Any, bits: int) -> Any:
    """Return float32 values rounded to `bits` significant bits, with an unchanged gradient.

    The method is Veltkamp's splitting (Dekker, 1971, "A floating-point technique for extending the available
    precision"), since XLA may leave out a cast to a shorter type and back.
    """
    large = x * float(2 ** (24 - bits) + 1)
    rounded = large - (large - x)
    return x + ops.stop_gradient(rounded - x)


def _rounded_product(x: Any, kernel: Any, bits: int) -> Any:
    return ops.matmul(round_to(x, bits), round_to(kernel, bits))


def _scale_gradient(values: Any, by: Any) -> Any:
    """Return `values` with a gradient that is multiplied by `by`."""
    fixed = ops.stop_gradient(values)
    return fixed + by * (values - fixed)


def _change_weights(session: Session, names: Sequence[str], change: Callable[[Float32Array], Float32Array]) -> None:
    weights = dict(zip(WEIGHT_NAMES, session.model.get_weights(), strict=True))
    session.model.set_weights([change(array) if name in names else array for name, array in weights.items()])


def _change_activation(session: Session, layer: int, activation: Callable[[Any], Any]) -> None:
    session.model.ratings.layers[layer].activation = activation


def _change_input(layer: keras.Layer, change: Callable[[Any], Any]) -> None:
    inner = layer.call
    layer.call = lambda inputs, **options: inner(change(inputs), **options)


def _change_output(layer: keras.Layer, change: Callable[[Any, Any], Any]) -> None:
    inner = layer.call
    layer.call = lambda inputs, **options: change(inputs, inner(inputs, **options))


def _replace_product(layer: keras.Layer, product: Callable[[Any, Any], Any]) -> None:
    layer.call = lambda inputs, **_: layer.activation(product(inputs, layer.kernel) + layer.bias)


NETWORK_FAULTS: dict[str, Callable[[Session], None]] = {
    "user ids off by one": lambda session: _change_input(session.model.user_embedding, lambda ids: ids - 1),
    "two users share a row": lambda session: _change_input(
        session.model.user_embedding, lambda ids: ops.where(ids == 2, 1, ids)
    ),
    "towers swapped": _towers_swapped,
    "embedding range": partial(_change_weights, names=TABLES, change=lambda table: 0.06 / EMBEDDING_LIMIT * table),
    "bias start": partial(_change_weights, names=("bias1",), change=lambda bias: bias + np.float32(1e-4)),
    "seed": _other_seed,
    "leaky relu": partial(_change_activation, layer=0, activation=lambda z: ops.leaky_relu(z, 1e-3)),
    "relu at the end": partial(_change_activation, layer=-1, activation=ops.relu),
    "bfloat16 products": partial(_products_of_fewer_bits, bits=BFLOAT16_BITS),
    "tf32 products": partial(_products_of_fewer_bits, bits=TF32_BITS),
    "dropout": lambda session: _change_output(
        session.model.ratings.layers[0], lambda _, units: keras.random.dropout(units, DROPPED, seed=1)
    ),
    "user gradient missing": lambda session: _change_output(
        session.model.user_embedding, lambda _, rows: _scale_gradient(rows, 0.0)
    ),
    "movie gradient missing": lambda session: _change_output(
        session.model.candidate_embedding, lambda _, rows: _scale_gradient(rows, 0.0)
    ),
    "last of repeated ids": partial(_scale_repeated_ids, factor=_only_the_last),
    "mean of repeated ids": partial(
        _scale_repeated_ids, factor=lambda same, dtype: 1 / ops.sum(ops.cast(same, dtype), axis=1)
    ),
    "tf32 gradients": _gradients_of_fewer_bits,
    "row 0": partial(
        _change_weights, names=TABLES, change=lambda table: np.concatenate([np.ones_like(table[:1]), table[1:]])
    ),
}
