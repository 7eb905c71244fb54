"""Faults in the training loop, and in its loss and metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from bench.worker.faults.network import DROPPED
from bench.worker.faults.optimizer import compile_with
from movierank.oracle import INITIAL_ACCUMULATOR

if TYPE_CHECKING:
    from bench.worker.session import Session


class MeanOfBatches(keras.metrics.Mean):  # type: ignore[misc]  # Keras ships no types
    """The mean of the batches' RMSEs."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add one batch."""
        error = ops.reshape(y_pred, (-1,)) - ops.reshape(y_true, (-1,))
        super().update_state(ops.sqrt(ops.mean(ops.square(error))))


def _l2_penalty(session: Session) -> None:
    kernel = session.model.ratings.layers[0].kernel

    class Penalised(keras.losses.MeanSquaredError):  # type: ignore[misc]
        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().__call__(y_true, y_pred, sample_weight) + 1e-6 * ops.sum(ops.square(kernel))

    compile_with(session, loss=Penalised())


def _stale_metric(session: Session) -> None:
    metric = keras.metrics.RootMeanSquaredError(name="rmse")
    metric.reset_state = lambda: None
    compile_with(session, metric=metric)


def _dropout_in_training(session: Session) -> None:
    layer, model = session.model.ratings.layers[0], session.model
    inner_call, inner_fit = layer.call, model.fit
    training = False  # during an epoch `fit` traces a separate function; later callbacks may predict

    def begin(epoch: int, logs: Any = None) -> None:
        nonlocal training
        training = True

    def end(epoch: int, logs: Any = None) -> None:
        nonlocal training
        training = False

    def call(inputs: Any, **options: Any) -> Any:
        units = inner_call(inputs, **options)
        return keras.random.dropout(units, DROPPED, seed=1) if training else units

    def fit(*arguments: Any, callbacks: Sequence[keras.callbacks.Callback], **options: Any) -> Any:
        in_epoch = keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
        return inner_fit(*arguments, callbacks=[in_epoch, *callbacks], **options)

    layer.call, model.fit = call, fit


def _optimizer_forgets(session: Session) -> None:
    def fit_anew(fit: Callable[..., Any], options: dict[str, Any]) -> Any:
        for variable in session.model.optimizer.variables:
            if options["initial_epoch"] > 0 and variable.path.endswith("accumulator"):
                variable.assign(np.full(variable.shape, INITIAL_ACCUMULATOR, np.float32))
        return fit(**options)

    _change_fit(session, fit_anew)


def _one_epoch_short(session: Session) -> None:
    last = session.job.epochs - 1
    history: Any = None

    def fit_but_last(fit: Callable[..., Any], options: dict[str, Any]) -> Any:
        nonlocal history
        if last == 0 or options["initial_epoch"] < last:
            history = fit(**options)
        return history

    _change_fit(session, fit_but_last)


def _change_fit(session: Session, change: Callable[[Callable[..., Any], dict[str, Any]], Any]) -> None:
    """Train each epoch by a call of `change(fit, options)`, where `initial_epoch` counts the epochs before it."""
    inner = session.model.fit

    def fit(x: Any, y: Any, *, epochs: int, **options: Any) -> Any:
        calls = [{**options, "initial_epoch": epoch, "epochs": epoch + 1} for epoch in range(epochs)]
        parts = [change(partial(inner, x, y), of_call) for of_call in calls]
        history = keras.callbacks.History()
        history.epoch = list(range(epochs))
        history.history = {name: [part.history[name][0] for part in parts] for name in parts[0].history}
        return history

    session.model.fit = fit


LOOP_FAULTS: dict[str, Callable[[Session], None]] = {
    "sum of squares": lambda session: compile_with(session, loss=keras.losses.MeanSquaredError(reduction="sum")),
    "L2 penalty": _l2_penalty,
    "stale metric": _stale_metric,
    "mean of RMSEs": lambda session: compile_with(session, metric=MeanOfBatches(name="rmse")),
    "dropout in training": _dropout_in_training,
    "shuffled": lambda session: _change_fit(
        session, lambda fit, options: fit(**{**options, "shuffle": options["initial_epoch"] > 0})
    ),
    "optimizer forgets": _optimizer_forgets,
    "one epoch short": _one_epoch_short,
}
