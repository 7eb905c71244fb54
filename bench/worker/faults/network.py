"""Faults in the network: its initial weights, its function, and the gradient of that function."""

from __future__ import annotations

from collections.abc import Callable
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


def _user_before(session: Session) -> None:
    _change_input(session.model.user_embedding, lambda ids: ids - 1)


def _two_users_share_a_row(session: Session) -> None:
    _change_input(session.model.user_embedding, lambda ids: ops.where(ids == 2, 1, ids))


def _towers_swapped(session: Session) -> None:
    model: Any = session.model

    def call(inputs: dict[str, Any]) -> Any:
        towers = [model.candidate_embedding(inputs["movie_id"]), model.user_embedding(inputs["user_id"])]
        return model.ratings(ops.concatenate(towers, axis=1))

    model.call = call


def _embedding_range(session: Session) -> None:
    wider = 0.06 / EMBEDDING_LIMIT
    _change_weights(session, {name: lambda table: wider * table for name in ("user_embedding", "candidate_embedding")})


def _bias_start(session: Session) -> None:
    _change_weights(session, {"bias1": lambda bias: bias + np.float32(1e-4)})


def _other_seed(session: Session) -> None:
    model = session.model
    sizes = (model.num_users - 1, model.num_candidates - 1, model.embedding_dimension)
    model.load_initial_weights(initial_weights(*sizes, seed=session.job.seed + 1))


def _row_0(session: Session) -> None:
    def changed(table: Float32Array) -> Float32Array:
        return np.concatenate([np.ones_like(table[:1]), table[1:]])

    _change_weights(session, dict.fromkeys(("user_embedding", "candidate_embedding"), changed))


def _leaky_relu(session: Session) -> None:
    first, _, _ = session.model.ratings.layers
    first.activation = lambda z: ops.leaky_relu(z, 1e-3)


def _relu_at_the_end(session: Session) -> None:
    *_, last = session.model.ratings.layers
    last.activation = ops.relu


def _dropout(session: Session) -> None:
    _change_output(session.model.ratings.layers[0], lambda _, h: keras.random.dropout(h, DROPPED, seed=1))


def _products_of_fewer_bits(session: Session, bits: int) -> None:
    for layer in session.model.ratings.layers:
        _replace_product(layer, partial(_rounded_product, bits=bits))


def _gradients_of_fewer_bits(session: Session) -> None:
    def product(x: Any, kernel: Any) -> Any:
        rounded = _rounded_product(x, kernel, bits=TF32_BITS)
        return rounded + ops.stop_gradient(ops.matmul(x, kernel) - rounded)

    for layer in session.model.ratings.layers:
        _replace_product(layer, product)


def _user_gradient_missing(session: Session) -> None:
    _change_output(session.model.user_embedding, lambda _, rows: _scale_gradient(rows, 0.0))


def _movie_gradient_missing(session: Session) -> None:
    _change_output(session.model.candidate_embedding, lambda _, rows: _scale_gradient(rows, 0.0))


def _last_of_repeated_ids(session: Session) -> None:
    def change(ids: Any, rows: Any) -> Any:
        place = ops.arange(ops.shape(ids)[0])
        again_later = ops.any(_same(ids) & (place[None, :] > place[:, None]), axis=1)
        return _scale_gradient(rows, ops.cast(~again_later, rows.dtype)[:, None])

    _change_output(session.model.user_embedding, change)


def _mean_of_repeated_ids(session: Session) -> None:
    def change(ids: Any, rows: Any) -> Any:
        count = ops.sum(ops.cast(_same(ids), rows.dtype), axis=1)
        return _scale_gradient(rows, (1 / count)[:, None])

    _change_output(session.model.user_embedding, change)


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


def _same(ids: Any) -> Any:
    return ids[:, None] == ids[None, :]


def _scale_gradient(values: Any, by: Any) -> Any:
    """Return `values` with a gradient that is multiplied by `by`."""
    fixed = ops.stop_gradient(values)
    return fixed + by * (values - fixed)


def _change_weights(session: Session, changes: dict[str, Callable[[Float32Array], Float32Array]]) -> None:
    model: Any = session.model
    weights = dict(zip(WEIGHT_NAMES, model.get_weights(), strict=True))
    changed = {name: change(weights[name]) for name, change in changes.items()}
    model.set_weights(list((weights | changed).values()))


def _change_input(layer: keras.Layer, change: Callable[[Any], Any]) -> None:
    inner = layer.call
    layer.call = lambda inputs, **options: inner(change(inputs), **options)


def _change_output(layer: keras.Layer, change: Callable[[Any, Any], Any]) -> None:
    inner = layer.call
    layer.call = lambda inputs, **options: change(inputs, inner(inputs, **options))


def _replace_product(layer: keras.Layer, product: Callable[[Any, Any], Any]) -> None:
    layer.call = lambda inputs, **_: layer.activation(product(inputs, layer.kernel) + layer.bias)


NETWORK_FAULTS: dict[str, Callable[[Session], None]] = {
    "user ids off by one": _user_before,
    "two users share a row": _two_users_share_a_row,
    "towers swapped": _towers_swapped,
    "embedding range": _embedding_range,
    "bias start": _bias_start,
    "seed": _other_seed,
    "leaky relu": _leaky_relu,
    "relu at the end": _relu_at_the_end,
    "bfloat16 products": partial(_products_of_fewer_bits, bits=BFLOAT16_BITS),
    "tf32 products": partial(_products_of_fewer_bits, bits=TF32_BITS),
    "dropout": _dropout,
    "user gradient missing": _user_gradient_missing,
    "movie gradient missing": _movie_gradient_missing,
    "last of repeated ids": _last_of_repeated_ids,
    "mean of repeated ids": _mean_of_repeated_ids,
    "tf32 gradients": _gradients_of_fewer_bits,
    "row 0": _row_0,
}
