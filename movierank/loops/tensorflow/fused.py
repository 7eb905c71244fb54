"""The `fused` loop in TensorFlow: Keras's own `train_step`, traced once into an XLA program that loops over batches.

The program changes the model's own variables, as `fit` does, so there is nothing to write back. An interrupt between
two of its calls leaves them as the last call left them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from movierank.loops import Updates
from movierank.loops.examples import Examples, Feed, map_given
from movierank.loops.tensorflow.feed import in_thread, upload
from movierank.loops.tensorflow.ids import LookedUp
from movierank.loops.tensorflow.program import Program, Xla, xla_for
from movierank.loops.tensorflow.table_gradients import TableUpdates, dense
from movierank.loops.traced import Compiled, plain_logs, require_logs_of_metrics


def compile_mode(model: keras.Model) -> str:
    """Return the compiler of a model's loop: `xla`, or `graph` where XLA cannot compile it or is turned off."""
    return "graph" if _xla(model) == "never" else "xla"


class Training:
    """A `movierank.loops.driver.EpochTraining`.

    Args:
        model: built and compiled model.
        updates: way of updating embedding tables.

    Raises:
        ValueError: the model trains on several devices.
    """

    def __init__(self, model: keras.Model, updates: Updates) -> None:
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("fused.fit trains on one device; build the model outside a tf.distribute strategy")
        self._model = model
        self._epoch = _epoch_of(model, updates)
        self._feed = Feed(upload, in_thread)
        self._logs: dict[str, tf.Tensor] = {}

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once.

        Raises:
            ValueError: an embedding looked up ids that it does not have. Where an array of the batch holds them, the
                stretch with this batch was not trained on.
        """
        self._model.reset_metrics()
        program, looked_up = self._epoch
        looked_up.outside.assign(0)
        for stretch in self._feed.chunks(examples, order):
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


Epoch = tuple[Program, LookedUp]
_compiled: Compiled[Epoch] = Compiled()


def _xla(model: keras.Model) -> Xla:
    """Return how XLA is used by the loops kept for a model, or would be used by the first one."""
    found = {program.xla for program, _ in _compiled.of(model).values()}
    return "never" if "never" in found else xla_for(model)


def _epoch_of(model: keras.Model, updates: Updates) -> Epoch:
    code = _compiled.of(model)
    if updates not in code:
        looked_up = LookedUp()
        loop = partial(_epoch, ref(model), TableUpdates(updates, looked_up, model), looked_up)
        code[updates] = Program(loop, xla_for(model)), looked_up
    return code[updates]


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
        batch = map_given(lambda array: array[index], arrays)
        with tables.instead_of_apply(model), looked_up.watched(batch):
            names.update(model.train_step(batch))
        return index + 1

    tf.while_loop(lambda index: index < steps, step, (tf.constant(0),))
    results = model.get_metrics_result()
    require_logs_of_metrics(model, names, results)
    return dict(results)
