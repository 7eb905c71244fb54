"""One call of a loop's `fit`, as the tutorial calls `keras.Model.fit`, timed over whole epochs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras

from bench.worker.workload import Examples
from movierank import training
from movierank.data.ratings import Ratings


@dataclass(frozen=True)
class TimedFit:
    """Wall times of one call of `fit`, in seconds.

    Attributes:
        epochs_s: from the start of its first epoch to the end of its last, the device synchronised at both.
        setup_s: rest of the call.
    """

    epochs_s: float
    setup_s: float


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A callback that reads the clock before the first epoch and after the last.

    It has no batch hooks on purpose: with one, Keras turns the logs into floats at every step, which synchronises the
    device and slows the timed steps (keras/src/callbacks/callback_list.py).

    Args:
        epochs: epochs of the call.
        synchronise: function that returns when the device has done all its work.
        slowdown: share by which busy waiting prolongs the timed epochs, so that a change of known size can be measured.
    """

    def __init__(self, epochs: int, synchronise: Callable[[], None], slowdown: float = 0.0) -> None:
        super().__init__()
        self.last_epoch = epochs - 1
        self.synchronise = synchronise
        self.slowdown = slowdown
        self.started = self.stopped = float("nan")

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock at the first epoch."""
        if epoch == 0:
            self.synchronise()
            self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop the clock at the last epoch."""
        if epoch == self.last_epoch:
            self.synchronise()
            self.stopped = time.perf_counter()
            end = self.stopped + self.slowdown * (self.stopped - self.started)
            while self.stopped < end:
                self.stopped = time.perf_counter()


def timed_fit(
    model: keras.Model,
    examples: Ratings | Examples,
    *,
    batch_size: int,
    epochs: int,
    synchronise: Callable[[], None],
    slowdown: float = 0.0,
    loop: str = "fit",
) -> TimedFit:
    """Train for `epochs` in one call of the loop's `fit` and time it; `slowdown` as for `EpochClock`."""
    clock = EpochClock(epochs, synchronise, slowdown)
    started = time.perf_counter()
    training.train(
        model, examples.features, examples.label, batch_size=batch_size, epochs=epochs, callbacks=[clock], loop=loop
    )
    synchronise()
    elapsed = time.perf_counter() - started
    epochs_s = clock.stopped - clock.started
    return TimedFit(epochs_s=epochs_s, setup_s=elapsed - epochs_s)
