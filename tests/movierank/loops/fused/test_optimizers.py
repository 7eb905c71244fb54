"""Optimizers that look at a value to decide what a step does: fused, they decide as they do under `model.fit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from movierank.loops import fused

layers, optimizers = keras.layers, keras.optimizers
OVERFLOWING = 2.0**123  # gradients of 32 and more, times this, are infinite in float32


def warm_up() -> keras.optimizers.schedules.LearningRateSchedule:
    """Rises over the first five of an epoch's seven steps, and has fallen before the end of the second epoch."""
    return optimizers.schedules.CosineDecay(0.0001, decay_steps=6, warmup_target=0.001, warmup_steps=5)


# Steps of accumulation and of averages do not divide an epoch's, and what is gathered is left over at its end.
OPTIMIZERS: dict[str, Callable[[], keras.Optimizer]] = {
    "accumulation": lambda: optimizers.AdamW(
        0.02, weight_decay=0.01, global_clipnorm=0.5, gradient_accumulation_steps=3, use_ema=True
    ),
    "averages that overwrite": lambda: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3),
    "loss scale that overflows": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.001, momentum=0.5), initial_scale=OVERFLOWING, dynamic_growth_steps=2
    ),
    "warm-up": lambda: optimizers.SGD(warm_up(), momentum=0.9),
}
# Conditions within conditions, for PyTorch, where this project runs both branches itself.
NESTED: dict[str, Callable[[], keras.Optimizer]] = {
    "accumulation and averages that overwrite": lambda: optimizers.SGD(
        0.0005, momentum=0.9, use_ema=True, ema_overwrite_frequency=2, gradient_accumulation_steps=2
    ),
    "loss scale around accumulation": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.02, gradient_accumulation_steps=2), initial_scale=OVERFLOWING, dynamic_growth_steps=3
    ),
    "loss scale around a warm-up": lambda: optimizers.LossScaleOptimizer(
        optimizers.AdamW(warm_up(), weight_decay=0.1), initial_scale=8.0, dynamic_growth_steps=4
    ),
}
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="particular to PyTorch")


def dense(beside: Any, optimizer: Callable[[], keras.Optimizer]) -> Callable[[], Any]:
    """A model whose gradients are some hundreds, so that a large loss scale takes them beyond float32."""

    def make() -> Any:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(optimizer(), "mse", metrics=["mae"])
        return model, {"x": 16 * beside.x, "y": beside.y}

    return make


def looked_up(beside: Any, optimizer: Callable[[], keras.Optimizer]) -> Callable[[], Any]:
    """A table, of which each batch looks up every row once, since TensorFlow's `fit` squares repeated ids apart."""

    def make() -> Any:
        model = keras.Sequential([keras.Input((), dtype="int32"), layers.Embedding(9, 4), layers.Dense(1)])
        model.compile(optimizer(), "mse")
        return model, {"x": np.arange(beside.count, dtype=np.int32) % beside.batch, "y": beside.y}

    return make


@pytest.mark.parametrize("name", [*OPTIMIZERS, *(pytest.param(name, marks=on_torch) for name in NESTED)])
def test_a_step_decides_as_under_fit(beside: Any, name: str) -> None:
    make = dense(beside, (OPTIMIZERS | NESTED)[name])
    model, wanted, history, expected = beside.trained(make, "auto")
    for metric, values in expected.items():
        assert history[metric] == pytest.approx(values, rel=2e-5), metric
    beside.assert_same(model, wanted)
    if name == "loss scale that overflows":
        assert float(model.optimizer.dynamic_scale.value) < OVERFLOWING, "some steps were skipped"
        assert int(model.optimizer.inner_optimizer.iterations.value) > 0, "and some were not"


@on_torch
def test_a_compiled_step_decides_as_under_fit(beside: Any) -> None:
    model, wanted, _, _ = beside.trained(dense(beside, NESTED["loss scale around accumulation"]), "auto")
    beside.assert_same(model, wanted)


def test_a_looked_up_table_is_updated_whole_where_a_step_decides(beside: Any) -> None:
    def accumulating() -> keras.Optimizer:
        return optimizers.Adagrad(0.1, gradient_accumulation_steps=3)

    model, wanted, _, _ = beside.trained(looked_up(beside, accumulating), "auto")
    beside.assert_same(model, wanted)


def test_a_warm_up_goes_with_updates_by_rows(beside: Any) -> None:
    model, wanted, _, _ = beside.trained(looked_up(beside, lambda: optimizers.Adagrad(warm_up())), "rows")
    beside.assert_same(model, wanted)


@on_torch
def test_a_condition_that_changes_what_it_was_not_given_is_refused(beside: Any) -> None:
    """Keras's schedule subtracts in place from a tensor that the other branch reads too."""

    def restarting() -> keras.Optimizer:
        return optimizers.Adagrad(optimizers.schedules.CosineDecayRestarts(0.1, 3))

    model, data = dense(beside, restarting)()
    with pytest.raises(ValueError, match="changes in place what is neither its own nor a variable"):
        fused.fit(model, **data, batch_size=beside.batch)
