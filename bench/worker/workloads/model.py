"""Properties of a Keras model whatever its layers are called: a checksum, tables, and the least work of a step."""

from __future__ import annotations

import hashlib
import json
import math
import re
import traceback
from typing import Any

import keras
import numpy as np

from bench.worker.frameworks import adapter_for
from bench.worker.stage_recorder import weight_names
from bench.worker.workload import Examples

MOST_LAYERS = 6  # more layers' products are no faster

# Names that a process gives, and keys for where a class lies, how it was built or how it runs: they leave the model as
# it is. Keras chooses `jit_compile` by the backend.
LEFT_OUT = (
    *("name", "module", "registered_name", "build_config", "shared_object_id", "keras_version", "date_saved"),
    *("jit_compile", "run_eagerly"),
)


def model_sha256(model: keras.Model) -> str:
    """Return the checksum of a model's configuration, loss and optimizer and of its weights' shapes.

    A subclassed model without a configuration counts by its class, layers and weights. Settings that are off or empty
    are left out, so that further ones of a later Keras do not make it another model.
    """
    configuration = {
        "model": _configuration(model),
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
        "weights": [[*map(int, variable.shape), str(variable.dtype)] for variable in model.weights],
    }
    names: dict[str, str] = {}
    _collect_names(configuration, names)
    return hashlib.sha256(json.dumps(_plain(configuration, names), sort_keys=True, default=str).encode()).hexdigest()


def random_layers(model: keras.Model) -> list[str]:
    """Return the names of the layers that draw random numbers, by the paths of their generators."""
    # A layer's random generator keeps its state in a variable of this name, which is no weight.
    states = [v.path for v in model.non_trainable_variables if v.name == "seed_generator_state"]
    return sorted({path.rpartition("/seed_generator")[0].split("/")[-1] or path for path in states})


def tables(model: keras.Model) -> list[str]:
    """Return the names of the weights in which embedding layers look rows up."""
    names = _names_by_path(model)
    found = [
        names[variable.path]
        for layer in model._flatten_layers()  # no public way leads to the layers inside of layers
        if isinstance(layer, keras.layers.Embedding)
        for variable in layer.trainable_weights
    ]
    return list(dict.fromkeys(found))


def learning_rate(model: keras.Model) -> float:
    """Return the optimizer's learning rate at the start; 0 where it has none."""
    rate = getattr(model.optimizer, "learning_rate", 0.0)
    return float(keras.ops.convert_to_numpy(getattr(rate, "value", rate)))


def _configuration(model: keras.Model) -> Any:
    try:
        return json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):
        layers = [type(layer).__name__ for layer in model._flatten_layers()]
        return {"class_name": type(model).__name__, "layers": layers}


def _collect_names(value: Any, names: dict[str, str]) -> None:
    """Number the names of layers in the order in which a configuration has them."""
    if isinstance(value, dict):
        if isinstance(name := value.get("name"), str):
            names.setdefault(name, f"#{len(names)}")
        for inner in value.values():
            _collect_names(inner, names)
    elif isinstance(value, list | tuple):
        for inner in value:
            _collect_names(inner, names)


def _plain(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        kept = {key: _plain(inner, names) for key, inner in value.items() if key not in LEFT_OUT}
        return {key: inner for key, inner in kept.items() if inner not in (None, False, [], {}, "")}
    if isinstance(value, list | tuple):
        return [_plain(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def least_step(model: keras.Model, batch: Examples, backend: str) -> tuple[float, float] | None:
    """Return operations and bytes of a step of full precision; None where they are unknown.

    Args:
        model: built and compiled model with its optimizer's variables.
        batch: full batch of its train part.
        backend: backend that it is built with.
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
    """Return the bytes of the weights that each step updates, and of the optimizer's arrays for them."""
    of_tables, variables = tables(model), model.optimizer.variables
    slots = [
        variable
        for variable, name in zip(variables, weight_names(variables), strict=True)
        if len(variable.shape) > 0 and not any(_is_slot_of(name, table) for table in of_tables)
    ]
    return sum(math.prod(map(int, v.shape)) * int(np.dtype(v.dtype).itemsize) for v in [*_dense(model), *slots])


def kernels(model: keras.Model) -> list[tuple[int, int]]:
    """Return the shapes of the largest matrices that examples are multiplied with."""
    shapes = {(int(v.shape[0]), int(v.shape[1])) for v in _dense(model) if len(v.shape) == 2}
    return sorted(shapes, key=lambda shape: -shape[0] * shape[1])[:MOST_LAYERS]


def _dense(model: keras.Model) -> list[Any]:
    """Return the trained weights that are no embedding tables."""
    of_tables, names = tables(model), _names_by_path(model)
    return [variable for variable in model.trainable_variables if names[variable.path] not in of_tables]


def _names_by_path(model: keras.Model) -> dict[str, str]:
    return dict(zip([v.path for v in model.weights], weight_names(model.weights), strict=True))


def _is_slot_of(slot: str, weight: str) -> bool:
    """Return whether an optimizer's variable belongs to a weight: Keras names it by the weight's path."""
    return slot.rpartition("/")[2].startswith(re.sub(r"-\d+$", "", weight).replace("/", "_") + "_")
