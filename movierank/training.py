"""Compile, fit and evaluate as the tutorial does, on NumPy arrays under any backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from movierank.data.ratings import Float32Array, Ratings
from movierank.loops import fused, native, parse_loop
from movierank.loops.averages import unshare_arrays
from movierank.loops.traced import plain, plain_logs
from movierank.model import RankingModel

LEARNING_RATE = 0.1  # keras-rs, examples/basic_ranking.py
BATCH_SIZE = 1000
EPOCHS = 5

Logs = dict[str, Any]  # a float each, or an array where a metric has several values


@dataclass(frozen=True)
class EpochRecord:
    """The result of one epoch of training.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean squared error over the epoch, as `fit` reports it.
        rmse: root mean squared error over the epoch, as `fit` reports it.
    """

    epoch: int
    loss: float
    rmse: float


def compile_model(model: RankingModel, learning_rate: float = LEARNING_RATE) -> None:
    """Compile with the tutorial's loss, metric and optimizer and create the optimizer's state."""
    model.compile(
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
        optimizer=keras.optimizers.Adagrad(learning_rate=learning_rate),
    )
    if model.built:
        model.optimizer.build(model.trainable_variables)


def fit(
    model: RankingModel,
    ratings: Ratings,
    *,
    batch_size: int = BATCH_SIZE,
    epochs: int = EPOCHS,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_epoch: Callable[[EpochRecord], None] | None = None,
    loop: str = "fit",
) -> list[EpochRecord]:
    """Train in the order of `ratings`, which the split has shuffled; the last partial batch is kept.

    Args:
        model: built and compiled model.
        ratings: ratings to train on.
        batch_size: examples a step.
        epochs: passes over `ratings`.
        callbacks: as for `model.fit`.
        on_epoch: function called once after each epoch, which may predict or evaluate. After the last epoch the model
            is as `fit` leaves it, with averaged weights in place where the optimizer keeps some. The function may end
            the training by `model.stop_training`; the epoch that it was called for is then the last one.
        loop: one of `movierank.loops.LOOP_NAMES`.

    Raises:
        ValueError: the loop cannot train this model.
    """
    observe = None if on_epoch is None else lambda epoch, logs: on_epoch(_record(epoch, logs))
    logs = train(
        model,
        ratings.features,
        ratings.label,
        batch_size=batch_size,
        epochs=epochs,
        callbacks=callbacks,
        on_epoch=observe,
        loop=loop,
    )
    return [_record(epoch, of_epoch) for epoch, of_epoch in enumerate(logs, start=1)]


def train(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    batch_size: int,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_epoch: Callable[[int, Logs], None] | None = None,
    loop: str = "fit",
) -> list[Logs]:
    """Train any compiled Keras model on arrays, as `fit` does this one, and return Keras's logs of each epoch.

    Args:
        model: built and compiled model.
        x: inputs as for `model.fit`, in training order.
        y: targets as for `model.fit`, in training order.
        batch_size: examples a step.
        epochs: passes over the examples.
        callbacks: as for `model.fit`.
        on_epoch: as for `fit`; takes the epoch, from 1, and its logs.
        loop: as for `fit`.

    Raises:
        ValueError: the loop cannot train this model.
    """
    watching = [] if on_epoch is None else [_AfterEpochs(epochs, on_epoch)]
    found = _fit_of(model, loop)(
        x,
        y,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks, *watching],
    )
    if parse_loop(loop)[0] == "fit":
        unshare_arrays(model)  # the other loops do so themselves
    logs = [{name: plain(values[at]) for name, values in found.history.items()} for at in range(len(found.epoch))]
    for each in watching if logs else ():
        each.report(found.epoch[-1] + 1, logs[-1])
    return logs


class _AfterEpochs(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A callback that calls `on_epoch` after each epoch but the last, after which `fit` still finishes the weights.

    It must come after callbacks that may stop a training.
    """

    def __init__(self, epochs: int, on_epoch: Callable[[int, Logs], None]) -> None:
        super().__init__()
        self._epochs = min(epochs, keras.config.max_epochs() or epochs)
        self._call = on_epoch
        self._reported = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Report an epoch that others follow."""
        if epoch + 1 < self._epochs and not self.model.stop_training:
            self.report(epoch + 1, plain_logs(logs or {}))

    def report(self, epoch: int, logs: Logs) -> None:
        """Report an epoch, from 1, unless it was reported before: `on_epoch` may have ended the training with it."""
        if epoch > self._reported:
            self._reported = epoch
            self._call(epoch, logs)


def _record(epoch: int, logs: Logs) -> EpochRecord:
    return EpochRecord(epoch=epoch, loss=logs["loss"], rmse=logs["rmse"])


def _fit_of(model: keras.Model, loop: str) -> Callable[..., keras.callbacks.History]:
    kind, updates = parse_loop(loop)
    if kind == "fit":
        return model.fit  # type: ignore[no-any-return]  # Keras ships no types
    return partial(fused.fit if kind == "fused" else native.fit, model, embedding_updates=updates)


def evaluate(model: RankingModel, ratings: Ratings, *, batch_size: int = BATCH_SIZE) -> EpochRecord:
    """Return loss and RMSE over `ratings` without training; its `epoch` is 0."""
    return _record(0, evaluate_logs(model, ratings.features, ratings.label, batch_size=batch_size))


def evaluate_logs(model: keras.Model, x: Any, y: Any, *, batch_size: int) -> Logs:
    """Return loss and metrics of any compiled Keras model over arrays, by name, without training."""
    logs = model.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)
    return plain_logs(logs)


def predict(model: RankingModel, features: dict[str, Any], *, batch_size: int = BATCH_SIZE) -> Float32Array:
    """Return predictions, float32 [N], for int32 `user_id` and `movie_id` of shape [N] each."""
    return np.asarray(model.predict(features, batch_size=batch_size, verbose=0), np.float32)[:, 0]


@dataclass(frozen=True)
class TrainingState:
    """A model's weights and its optimizer's variables at one moment, to restore later."""

    weights: list[npt.NDArray[Any]]
    optimizer: list[npt.NDArray[Any]]

    @classmethod
    def of(cls, model: keras.Model) -> TrainingState:
        """Copy the state of a built and compiled model."""
        return cls(
            weights=[as_numpy(variable) for variable in model.weights],
            optimizer=[as_numpy(variable) for variable in model.optimizer.variables],
        )

    def restore(self, model: keras.Model) -> None:
        """Restore the state, so that training starts from it again."""
        model.set_weights(self.weights)
        for variable, value in zip(model.optimizer.variables, self.optimizer, strict=True):
            variable.assign(value)


def as_numpy(variable: keras.Variable) -> npt.NDArray[Any]:
    """Return a copy of a variable's value."""
    # Through `.value`: NumPy 2 warns when it converts Keras 3.15's own Variable.
    return np.array(keras.ops.convert_to_numpy(variable.value))
