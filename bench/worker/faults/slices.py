"""The gradients of single examples' embedding rows, which JAX and PyTorch sum before an optimizer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras


@dataclass
class Slices:
    """One batch's rows of a table.

    Attributes:
        ids: ids of the rows, int32 [B].
        gradient: gradient of each row, [B, D].
    """

    ids: Any = None
    gradient: Any = None


def watch_slices(layer: keras.layers.Embedding) -> Slices:
    """Return the slices of an embedding layer, which are filled with a batch's gradients before the optimizer's step.

    In a traced function they hold that function's own values.
    """
    slices = Slices()
    watch = {"jax": _watch_in_jax, "torch": _watch_in_torch}[keras.backend.backend()]
    inner = layer.call

    def call(ids: Any) -> Any:
        slices.ids = ids
        return watch(inner(ids), slices)

    layer.call = call
    return slices


def _watch_in_jax(rows: Any, slices: Slices) -> Any:
    import jax

    def backward(_: None, gradient: Any) -> tuple[Any]:
        slices.gradient = gradient
        return (gradient,)

    # `keras.ops.custom_gradient` does not work here: JAX traces its backward part apart and lets no value out of it.
    same = jax.custom_vjp(lambda rows: rows)
    same.defvjp(lambda rows: (rows, None), backward)
    return same(rows)


def _watch_in_torch(rows: Any, slices: Slices) -> Any:
    def keep(gradient: Any) -> None:
        slices.gradient = gradient

    if rows.requires_grad:
        rows.register_hook(keep)
    return rows
