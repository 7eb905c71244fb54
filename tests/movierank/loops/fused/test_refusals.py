"""Models and arguments that `fused.fit` refuses, and the reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest

from movierank.loops import fused

optimizers = keras.optimizers


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("with_state", "Adam changes rows"),
        ("tied", r"tied/.*embeddings is used otherwise|otherwise"),
        ("weighted_with_a_schedule", "no table"),
    ],
)
def test_rows_are_refused_where_they_would_not_be_exact(beside: Any, name: str, message: str) -> None:
    model, data = beside.models[name]()
    with pytest.raises(ValueError, match=message):
        fused.fit(model, **data, batch_size=beside.batch, embedding_updates="rows")
    fused.fit(model, **data, batch_size=beside.batch)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: optimizers.SGD(0.1, momentum=0.9), "momentum"),
        (lambda: optimizers.Adagrad(0.1, global_clipnorm=1.0), "clipping by norm"),
        (lambda: optimizers.SGD(0.1, weight_decay=0.1), "weight decay"),
        (lambda: optimizers.Adagrad(0.1, use_ema=True), "moving average"),
        (lambda: optimizers.Adagrad(0.1, gradient_accumulation_steps=2), "gathered in whole tables"),
        (lambda: optimizers.LossScaleOptimizer(optimizers.Adagrad(0.1)), "gradients are scaled"),
    ],
)
def test_rows_are_refused_to_optimizers_that_reach_beyond_them(
    beside: Any, optimizer: Callable[[], Any], message: str
) -> None:
    model, data = beside.models["ranking"]()
    model.compile(optimizer(), "mse")
    with pytest.raises(ValueError, match=message):
        fused.fit(model, **data, batch_size=beside.batch, embedding_updates="rows")


def test_what_fused_cannot_do_is_refused(beside: Any) -> None:
    class AtEveryBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise AssertionError

    model, data = beside.models["ranking"]()
    with pytest.raises(ValueError, match="AtEveryBatch has on_train_batch_end"):
        fused.fit(model, **data, callbacks=[AtEveryBatch()])
    for hook in ("on_train_batch_begin", "on_batch_end"):  # set on the instance, and no method of its class
        with pytest.raises(ValueError, match=f"LambdaCallback has {hook}"):
            fused.fit(model, **data, callbacks=[keras.callbacks.LambdaCallback(**{hook: print})])
    with pytest.raises(ValueError, match="same number of examples"):
        fused.fit(model, data["x"], beside.y[:-1])
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="run_eagerly"):
        fused.fit(model, **data)
    with pytest.raises(ValueError, match="compile"):
        fused.fit(keras.Sequential([keras.layers.Dense(1)]), beside.x, beside.y)
    if keras.backend.backend() != "tensorflow":
        model, data = beside.models["ranking"]()
        with pytest.raises(ValueError, match="slices"):
            fused.fit(model, **data, embedding_updates="slices")


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="particular to PyTorch, which traces a step")
def test_a_rate_that_python_computes_is_refused_inside_a_loss_scale_too(beside: Any) -> None:
    model, data = beside.models["weighted_with_a_schedule"]()
    for wrapped in (False, True):
        optimizer = optimizers.SGD(lambda: 0.1)
        model.compile(optimizers.LossScaleOptimizer(optimizer) if wrapped else optimizer, "mse")
        with pytest.raises(ValueError, match="a learning rate that is a function"):
            fused.fit(model, **data, batch_size=beside.batch)
