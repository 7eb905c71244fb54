"""Get at the gradients of single examples' embedding rows, which JAX and PyTorch sum before an optimizer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras


@dataclass
class Slices:
    """One batch's rows of a table.

    Attributes:
        ids: int32 [B].
        gradient: [B, D].
    """

    ids: Any = None
    gradient: Any = None


def watch_slices(layer: keras.layers.Embedding) -> Slices:
    """Return what holds the slices of an embedding layer once a batch's gradients are there, for its optimizer step.

    In a traced function they are that function's own values.
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

    # Not `keras.ops.custom_gradient`: JAX traces its backward part apart, and nothing can be taken out of that.
    same = jax.custom_vjp(lambda rows: rows)
    same.defvjp(lambda rows: (rows, None), backward)
    return same(rows)


def _watch_in_torch(rows: Any, slices: Slices) -> Any:
    def keep(gradient: Any) -> None:
        slices.gradient = gradient

    if rows.requires_grad:
        rows.register_hook(keep)
    return rows
