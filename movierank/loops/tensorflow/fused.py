"""The `fused` loop in TensorFlow: Keras's own `train_step`, traced once into an XLA program that loops over batches.

The program changes the model's own variables, as `fit` does, so there is nothing to write back. An interrupt between
two of its calls leaves them as the last call left them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from movierank.loops import Updates
from movierank.loops.driver import EpochTraining
from movierank.loops.exact_rows import why_not_rows
from movierank.loops.examples import Examples
from movierank.loops.tensorflow.feed import Feed
from movierank.loops.tensorflow.ids import LookedUp
from movierank.loops.tensorflow.program import Program, Xla, xla_for
from movierank.loops.tensorflow.table_gradients import TableUpdates, dense
from movierank.loops.traced import plain_logs, require_logs_of_metrics, same_objects, traced_from


def compile_mode(model: keras.Model) -> str:
    """Return the compiler of a model's loop: `xla`, or `graph` where XLA cannot compile it or is turned off."""
    return "graph" if _xla(model) == "never" else "xla"


def start(model: keras.Model, embedding_updates: Updates) -> EpochTraining:
    """Return the training of a built and compiled model.

    Raises:
        ValueError: the updates are not exact for this optimizer, or the model trains on several devices.
    """
    if embedding_updates == "rows" and (reason := why_not_rows(model.optimizer)):
        raise ValueError(f"embedding rows cannot be updated alone: {reason}; ask for tables")
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError("fused.fit trains on one device; build the model outside a tf.distribute strategy")
    return Training(model, _compiled(model, embedding_updates))


@dataclass(frozen=True)
class Epoch:
    """An epoch compiled for a model, and the objects that it was traced from; another `compile()` has other metrics."""

    program: Program
    looked_up: LookedUp
    traced_from: tuple[Any, ...]


class Training:
    """A Keras model in training."""

    def __init__(self, model: keras.Model, epoch: Epoch) -> None:
        self._model = model
        self._epoch = epoch
        self._feed = Feed()
        self._logs: dict[str, tf.Tensor] = {}

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once.

        Raises:
            ValueError: an embedding looked up ids that it does not have. Where an array of the batch holds them, the
                stretch with this batch was not trained on.
        """
        self._model.reset_metrics()
        program, looked_up = self._epoch.program, self._epoch.looked_up
        looked_up.outside.assign(0)
        for stretch in self._feed.epoch(examples, order):
            if not looked_up.knows(stretch.arrays):
                program.trace(stretch.arrays, stretch.steps)
            looked_up.check(stretch.arrays, stretch.ranges)
            self._logs = dict(program(stretch.arrays, stretch.steps))
        if outside := int(looked_up.outside):
            raise ValueError(f"{outside} ids are outside their embedding's table; the model was trained on other rows")

    def write_back(self) -> None:
        """Do nothing: the program changes the model's own variables."""

    def logs(self) -> Mapping[str, Any]:
        """Return loss and metrics of the epoch."""
        return plain_logs(self._logs)


def loss_and_gradients(model: keras.Model, x: Any, y: npt.NDArray[Any]) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients by trainable variable, as dense float32 arrays."""

    def found(x: Any, y: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x))
        variables = model.trainable_variables
        gradients = zip(tape.gradient(loss, variables), variables, strict=True)
        return loss, [tf.cast(dense(gradient, variable), tf.float32) for gradient, variable in gradients]

    loss, gradients = Program(found, _xla(model))(*keras.tree.map_structure(tf.convert_to_tensor, (x, y)))
    return float(loss), [np.asarray(gradient) for gradient in gradients]


_kept: WeakKeyDictionary[keras.Model, dict[Updates, Epoch]] = WeakKeyDictionary()


def _xla(model: keras.Model) -> Xla:
    """Return how XLA is used by the loops kept for a model, or would be used by the first one."""
    now = traced_from(model)
    found = {epoch.program.xla for epoch in _kept.get(model, {}).values() if same_objects(epoch.traced_from, now)}
    return "never" if "never" in found else xla_for(model)


def _compiled(model: keras.Model, updates: Updates) -> Epoch:
    now = traced_from(model)
    of_model = _kept.setdefault(model, {})
    kept = of_model.get(updates)
    if kept is None or not same_objects(kept.traced_from, now):
        looked_up = LookedUp()
        loop = partial(_epoch, ref(model), TableUpdates(updates, looked_up, model), looked_up)
        of_model[updates] = kept = Epoch(Program(loop, xla_for(model)), looked_up, now)
    return kept


def _epoch(
    model_ref: ReferenceType[keras.Model], tables: TableUpdates, looked_up: LookedUp, arrays: Any, steps: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Train on the first `steps` batches of a stretch, and return the metrics' results.

    Raises:
        ValueError: the model's `train_step` logs values that are not its metrics' results.
    """
    model = model_ref()
    assert model is not None  # its training keeps it alive
    names: set[str] = set()

    def step(index: tf.Tensor) -> tf.Tensor:
        batch = keras.tree.map_structure(lambda array: None if array is None else array[index], arrays)
        with tables.instead_of_apply(model), looked_up.watched(batch):
            names.update(model.train_step(batch))
        return index + 1

    tf.while_loop(lambda index: index < steps, step, (tf.constant(0),))
    results = model.get_metrics_result()
    require_logs_of_metrics(model, names, results)
    return dict(results)
