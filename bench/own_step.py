"""What a training step of a workload of one's own must do at least, as far as a worker can tell (docs/floor.md).

Operations are those of the matrix products in loss and gradients, counted in the program that JAX traces before it is
compiled; no other framework tells them as plainly. Bytes are those of what a step updates, read and written, and of a
batch. Embedding tables are left out, since how many of their rows a batch uses is the data's to say.
"""

from __future__ import annotations

import math
import re
import traceback
from typing import Any

import keras
import numpy as np

from bench import own_model
from bench.frameworks import adapter_for
from bench.own_examples import Examples
from bench.own_recorder import weight_names

MOST_LAYERS = 6  # whose products are tried; more are no faster


def least_step(model: keras.Model, batch: Examples, backend: str) -> tuple[float, float] | None:
    """Returns operations and bytes of a step of full precision; None where they cannot be told.

    Args:
        model: built and compiled, with its optimizer's variables.
        batch: a full batch of its train part.
        backend: that it is built with.
    """
    if backend != "jax" or getattr(model.optimizer, "gradient_accumulation_steps", None):
        return None
    try:
        operations = adapter_for(backend).step_operations(model, batch.features, batch.label)
    except Exception:
        traceback.print_exc()  # a training that is all the model's own; a floor is not worth failing for
        return None
    arrays = keras.tree.flatten([batch.features, batch.label])
    return None if not operations else (operations, 2 * updated_bytes(model) + sum(array.nbytes for array in arrays))


def updated_bytes(model: keras.Model) -> int:
    """Returns the bytes of weights that each step updates, and of what the optimizer keeps of each."""
    tables = own_model.tables(model)
    kept = model.optimizer.variables
    slots = [
        variable
        for variable, name in zip(kept, weight_names(kept), strict=True)
        if len(variable.shape) > 0 and not any(_is_slot_of(name, table) for table in tables)
    ]
    return sum(map(_bytes, [*_dense(model), *slots]))


def kernels(model: keras.Model) -> list[tuple[int, int]]:
    """Returns the shapes of the largest matrices that examples are multiplied with."""
    shapes = {(int(v.shape[0]), int(v.shape[1])) for v in _dense(model) if len(v.shape) == 2}
    return sorted(shapes, key=lambda shape: -shape[0] * shape[1])[:MOST_LAYERS]


def _dense(model: keras.Model) -> list[Any]:
    """Returns the weights that are trained and no embedding tables."""
    tables = own_model.tables(model)
    names = dict(zip([v.path for v in model.weights], weight_names(model.weights), strict=True))
    return [variable for variable in model.trainable_variables if names[variable.path] not in tables]


def _is_slot_of(slot: str, weight: str) -> bool:
    """Returns whether an optimizer's variable is kept for a weight: Keras names it by the weight's path."""
    return slot.rpartition("/")[2].startswith(re.sub(r"-\d+$", "", weight).replace("/", "_") + "_")


def _bytes(variable: Any) -> int:
    return math.prod(map(int, variable.shape)) * int(np.dtype(variable.dtype).itemsize)
