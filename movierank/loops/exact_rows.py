"""Updates of an embedding table in the rows that a batch has touched only: where they are exact, and where they pay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

# An update by rows is taken to be faster than one of the whole table from so many rows for each id of a batch. The
# fused step with two tables of width 32 and batches of 1000 is as fast by rows as by whole tables at 1.8 [1.7, 2.0]
# rows for each id on JAX, some 4.5 [2.6, 7.8] on TensorFlow and 3.5 [1.9, 6.4] on PyTorch, on two virtual cores of an
# AMD EPYC (AVX-512), shared (results/rows-or-tables).
ROWS_FOR_EACH_ID = {"jax": 2, "tensorflow": 5, "torch": 5}
# In shorter tables rows gain nothing visible on PyTorch, in batches of 64 and of 1000 (results/rows-or-tables).
FEWEST_ROWS = {"jax": 0, "tensorflow": 0, "torch": 5_000}

_OF_WHOLE_TABLES = {  # attributes of a Keras optimizer, and why they need all rows or all gradients
    "weight_decay": "weight decay shrinks every row",
    "clipnorm": "clipping by norm takes the whole gradient",
    "global_clipnorm": "clipping by norm takes the whole gradient",
    "clipvalue": "clipping is done on the whole gradient",
    "use_ema": "the moving average follows every row",
    "gradient_accumulation_steps": "gradients are gathered in whole tables",
    "loss_scale_factor": "the loss is scaled",
}


def rows_pay(table_rows: int, ids: int) -> bool:
    """Return whether an update by rows is expected to be faster than one of the whole table on this backend.

    Args:
        table_rows: rows of the table.
        ids: number of ids that a batch looks up in it.
    """
    backend = keras.backend.backend()
    return table_rows >= FEWEST_ROWS[backend] and table_rows > ROWS_FOR_EACH_ID[backend] * ids


def why_not_rows(optimizer: keras.optimizers.Optimizer) -> str | None:
    """Return why an optimizer's step is not exact by rows, or None where it is.

    Adagrad and SGD without momentum leave a row whose gradient is zero, and their state of it, as they are.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return "gradients are scaled, and dropped where the whole of one is not finite"
    # On PyTorch Keras makes instances of its own subclasses for that backend.
    kinds = [kind for kind in type(optimizer).__mro__ if kind.__module__.startswith("keras.")]
    if type(optimizer) is kinds[0] and keras.optimizers.SGD in kinds:
        if getattr(optimizer, "momentum", 0):
            return "SGD's momentum moves rows that a batch does not touch"
    elif type(optimizer) is not kinds[0] or keras.optimizers.Adagrad not in kinds:
        return f"{type(optimizer).__name__} changes rows, or its state of them, that a batch does not touch"
    return next((why for name, why in _OF_WHOLE_TABLES.items() if getattr(optimizer, name, None)), None)


def require_exact_rows(optimizer: keras.optimizers.Optimizer) -> None:
    """Check that an optimizer's step is exact by rows.

    Raises:
        ValueError: it is not.
    """
    if reason := why_not_rows(optimizer):
        raise not_by_rows(reason)


def not_by_rows(reason: str) -> ValueError:
    """Return the error for a model whose tables cannot be updated by rows as requested."""
    return ValueError(f"embedding rows cannot be updated alone: {reason}; ask for tables")


def used_otherwise(paths: Iterable[str]) -> str:
    """Return the reason in words: tables are used otherwise than by a layer's call, or, without `paths`, none is."""
    names = ", ".join(paths)
    return f"{names or 'no table'} is used {'otherwise than ' if names else ''}by an embedding layer's call"


def embedding_layers(model: keras.Model) -> list[tuple[int, list[keras.layers.Embedding]]]:
    """Return the layers that look up rows in each table, by the table's place in `model.trainable_variables`.

    Tables with a constraint are left out, and so are layers whose look-up is not `keras.layers.Embedding.call` of one
    variable: subclasses with their own call, quantized ones, and those with LoRA.
    """
    found: dict[int, list[Any]] = {}
    places = {id(variable): place for place, variable in enumerate(model.trainable_variables)}
    for layer in model._flatten_layers():
        if not isinstance(layer, keras.layers.Embedding) or type(layer).call is not keras.layers.Embedding.call:
            continue
        if "call" in vars(layer) or layer.lora_enabled or layer.quantization_mode is not None or not layer.built:
            continue
        table = layer.embeddings
        if table.constraint is None and id(table) in places:
            found.setdefault(places[id(table)], []).append(layer)
    return sorted(found.items())
