"""The `fused` loop: `model.fit` for any compiled Keras model, with a whole epoch kept on the device."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import keras
import numpy as np

from movierank.loops import Updates
from movierank.loops.arguments import require_arrays, require_validation_arrays, weights_of_classes
from movierank.loops.driver import EpochTraining, Schedule, Validation, run_epochs
from movierank.loops.exact_rows import require_exact_rows
from movierank.loops.examples import Examples, given, map_given


def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: int = 0,
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = None,
    validation_split: float = 0.0,
    validation_data: Sequence[Any] | None = None,
    shuffle: bool = True,
    class_weight: Mapping[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int | Sequence[int] = 1,
    embedding_updates: Updates = "auto",
) -> keras.callbacks.History:
    """Train as `keras.Model.fit` does, on arrays.

    Args:
        model: compiled model with a loss and a Keras optimizer.
        x: inputs, arrays or a structure of arrays, [N, ...]; anything with NumPy's interface, memory-mapped too.
        y: targets, in the same forms as `x`.
        batch_size: examples a step, 32 by default; the last batch of an epoch may be smaller.
        epochs: number of the last epoch.
        verbose: 0 for silence, else a line an epoch.
        callbacks: one or several, called at the ends of epochs and of training, and in the evaluation of validation
            data as by `fit`; weights, optimizer and metrics are up to date then.
        validation_split: share of the examples, from the end, to evaluate on instead of training on them.
        validation_data: (x, y) or (x, y, sample_weight) to evaluate on after an epoch.
        shuffle: whether to draw a new order for every epoch (seeded by `keras.utils.set_random_seed`).
        class_weight: weight of the examples of each class, by its number; 1 where it is not named.
        sample_weight: float [N].
        initial_epoch: epoch to start at, from 0.
        steps_per_epoch: not supported; an epoch is all examples.
        validation_steps: not supported; an evaluation is of all validation data.
        validation_batch_size: batch size of the evaluation; None for `batch_size`.
        validation_freq: as for `keras.Model.fit`.
        embedding_updates: way of updating the tables of `keras.layers.Embedding`. `rows`: only the rows that a batch
            has touched, exact for Adagrad and for SGD without momentum. `tables`: whole tables. `auto`: `rows` where
            that is exact and pays. `slices`: see `movierank.loops`.

    Raises:
        ValueError: the model is not compiled, or set to run eagerly or on several devices; the data are no arrays, or
            arrays that differ in length; an argument is not supported; a callback has batch hooks; or rows were
            requested where they are not exact. The message gives the reason, and nothing has been trained.
    """
    if not model.compiled or model.optimizer is None:
        raise ValueError("fused.fit needs a compiled model: call model.compile(optimizer, loss, ...) first")
    if model.run_eagerly:
        raise ValueError("fused.fit cannot run a model eagerly; compile it without run_eagerly=True")
    if keras.distribution.distribution() is not None:
        raise ValueError("fused.fit trains on one device; unset keras.distribution, or use model.fit")
    for name, steps in (("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps)):
        if steps is not None:
            raise ValueError(f"fused.fit always goes through all examples and has no {name}; use model.fit for it")
    require_arrays({"x": x, "y": y, "sample_weight": sample_weight})
    batch_size = batch_size or 32
    if validation_data is not None:
        require_validation_arrays(validation_data)
    elif validation_split:
        (x, y, sample_weight), validation_data = _held_out((x, y, sample_weight), validation_split)
    if class_weight is not None:
        sample_weight = weights_of_classes(class_weight, y, sample_weight)
    if sample_weight is not None and keras.tree.is_nested(y) and not keras.tree.is_nested(sample_weight):
        sample_weight = keras.tree.map_structure(lambda _: sample_weight, y)  # one for all outputs, as in `fit`
    backend = keras.backend.backend()
    if embedding_updates == "slices" and backend != "tensorflow":
        raise ValueError(f"only TensorFlow has slices; the fused loop on {backend} has rows and tables")
    if embedding_updates == "rows":
        require_exact_rows(model.optimizer)
    examples = Examples.of(map_given(_as_array, (x, y, sample_weight)), batch_size)
    _build(model, examples)
    training: EpochTraining = module_for(backend).Training(model, embedding_updates)
    validation = None
    if validation_data is not None:
        validation = Validation(validation_data, validation_batch_size or batch_size, validation_freq)
    return run_epochs(
        model,
        training,
        examples,
        Schedule(epochs, initial_epoch, shuffle, verbose),
        keras.tree.flatten(callbacks or []),
        validation,
    )


def module_for(backend: str) -> ModuleType:
    """Import and return the loop's module of one backend.

    The module has these:

    - `Training(model, updates)` is a `movierank.loops.driver.EpochTraining` of a built and compiled model. It raises
      `ValueError` where the requested updates are not exact, or the step cannot be traced faithfully. Its compiled
      code is kept for the next one of the same model.
    - `loss_and_gradients(model, x, y)` returns, for one batch of NumPy arrays, the loss and its gradients by trainable
      variable as dense float32 arrays. It computes them as the loop does, and trains nothing.
    - `compile_mode(model)` returns the compiler of the loop, or the one that was used where the model was trained:
      `xla`, `inductor`, `graph` for TensorFlow without XLA, or `eager` for PyTorch without a compiler.
    """
    return importlib.import_module(f"movierank.loops.{backend}.fused")


def _as_array(array: Any) -> Any:
    array = array if isinstance(array, np.ndarray) else np.asarray(array)
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array  # `fit` does the same


def _build(model: keras.Model, examples: Examples) -> None:
    """Create all missing variables: the model's, the optimizer's, the metrics'."""
    arrays = next(examples.chunks()).arrays
    first = slice(0, min(examples.batch_size, examples.count))
    model._symbolic_build(data_batch=map_given(lambda array: array[first], arrays))
    if not model.optimizer.built:  # a LossScaleOptimizer would make its variables again
        model.optimizer.build(model.trainable_variables)


def _held_out(arrays: Any, share: float) -> tuple[Any, Any]:
    """Split arrays into those to train on and the last `share` of them, as `keras.Model.fit` does."""
    count = len(given(arrays)[0])
    at = int(count * (1 - share))
    if not 0 < at < count:
        raise ValueError(f"validation_split {share} of {count} examples leaves one part empty")

    def part(where: slice) -> Any:
        return map_given(lambda array: array[where], arrays)

    return part(slice(0, at)), part(slice(at, count))
