"""The common part of all loops that keep an epoch on the device: epochs, callbacks, validation, history."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from movierank.loops.averages import unshare_arrays
from movierank.loops.examples import Examples
from movierank.loops.traced import plain_logs


class EpochTraining(Protocol):
    """A model in training on its device, an epoch at a time."""

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once, in `order` (int [count]) or in their own; metrics start from zero."""

    def write_back(self) -> None:
        """Write weights, optimizer state and metric state into the model's own variables.

        This is called after each epoch, and when an epoch was cut short. The model then holds the state after the last
        whole epoch, or a later one.
        """

    def logs(self) -> Mapping[str, Any]:
        """Return loss and metrics of the epoch, after `write_back`; this waits for the device.

        A value is a float, or an array where a metric has several values.
        """


@dataclass(frozen=True)
class Validation:
    """The evaluation at an epoch's end.

    Attributes:
        data: (x, y) or (x, y, sample_weight).
        batch_size: batch size of `evaluate`.
        every: interval in epochs, or the epochs to evaluate after, from 1.
    """

    data: Sequence[Any]
    batch_size: int
    every: int | Sequence[int] = 1

    def is_due(self, epoch: int) -> bool:
        """Return whether to evaluate after `epoch`, from 0."""
        return (epoch + 1) % self.every == 0 if isinstance(self.every, int) else epoch + 1 in self.every


@dataclass(frozen=True)
class Schedule:
    """The length and order of a training; attributes as the arguments of `keras.Model.fit`."""

    epochs: int
    initial_epoch: int = 0
    shuffle: bool = False
    verbose: int = 0


def run_epochs(
    model: keras.Model,
    training: EpochTraining,
    examples: Examples,
    schedule: Schedule,
    callbacks: Sequence[keras.callbacks.Callback],
    validation: Validation | None = None,
) -> keras.callbacks.History:
    """Train epoch by epoch, with callbacks at the ends of epochs, and return the history.

    Raises:
        ValueError: a callback wants to be called at every step.
    """
    _refuse_batch_hooks(callbacks)
    listening = keras.callbacks.CallbackList(
        list(callbacks), add_history=True, model=model, epochs=schedule.epochs, steps=examples.steps, verbose=0
    )
    model.stop_training = False
    listening.on_train_begin()
    logs: dict[str, Any] = {}
    # BackupAndRestore sets the epoch to go on from, where Keras's `fit` looks for it too.
    first = getattr(model, "_initial_epoch", None) or schedule.initial_epoch
    for epoch in range(first, schedule.epochs):
        started = time.perf_counter()
        listening.on_epoch_begin(epoch)
        order = np.random.permutation(examples.count) if schedule.shuffle else None  # from the seed that Keras sets
        try:
            training.run_epoch(examples, order)
        finally:
            training.write_back()
        logs = dict(training.logs())
        if validation is not None and validation.is_due(epoch):
            logs |= _validate(model, validation, listening)
        listening.on_epoch_end(epoch, logs)
        if schedule.verbose:
            seconds = time.perf_counter() - started
            print(f"Epoch {epoch + 1}/{schedule.epochs} - {seconds:.1f}s - {_in_words(logs)}", flush=True)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_weights)  # sets averaged weights, as at the end of `fit`
    unshare_arrays(model)
    listening.on_train_end(logs)
    return model.history


def _validate(model: keras.Model, validation: Validation, listening: keras.callbacks.CallbackList) -> dict[str, Any]:
    x, y, *weight = validation.data
    logs = model.evaluate(
        x,
        y,
        sample_weight=weight[0] if weight else None,
        batch_size=validation.batch_size,
        callbacks=listening,  # as in `fit`, for a callback that swaps averages in for the evaluation
        verbose=0,
        return_dict=True,
    )
    return {f"val_{name}": value for name, value in plain_logs(logs).items()}


def _in_words(logs: Mapping[str, Any]) -> str:
    """Return the logs as text, such as `loss: 0.0712 - f1_score: [0.2500 0.6667]`."""
    return " - ".join(
        _in_words(value) if isinstance(value, Mapping) else f"{name}: {_figures(value)}" for name, value in logs.items()
    )


def _figures(value: Any) -> str:
    return np.array2string(np.asarray(value), precision=4, floatmode="fixed", max_line_width=sys.maxsize)


def _refuse_batch_hooks(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Check that no callback is to be called at every step.

    Raises:
        ValueError: one is.
    """
    hooks = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
    for callback in callbacks:
        # A checkpoint of every epoch has a batch hook too, which does nothing.
        checkpoints = (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore)
        idle = next((kind for kind in checkpoints if isinstance(callback, kind)), keras.callbacks.Callback)
        if getattr(callback, "save_freq", "epoch") != "epoch":
            idle = keras.callbacks.Callback
        busy = [name for name in hooks if _function(getattr(callback, name)) is not getattr(idle, name)]
        if busy:
            raise ValueError(
                f"{type(callback).__name__} has {busy[0]}, but this loop comes back to Python only at the end of an "
                "epoch; use model.fit for it"
            )


def _function(hook: Any) -> Any:
    """Return a method's function, or the hook itself if it is not a method, as in a LambdaCallback."""
    return getattr(hook, "__func__", hook)
