"""A second `fused.fit` of a model that was not compiled again since the first."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import fused

layers, optimizers = keras.layers, keras.optimizers


def two_tables(beside: Any) -> tuple[keras.Model, dict[str, Any]]:
    """Tables of one shape, long enough for rows to pay; no batch repeats an id, which TensorFlow squares apart."""
    inputs = [keras.Input((), dtype="int32") for _ in range(2)]
    rows = [layers.Embedding(64, 3, name=name)(ids) for name, ids in zip(("first", "second"), inputs, strict=True)]
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(rows)))
    model.compile(optimizers.Adagrad(0.1), "mse")
    ids = np.arange(beside.count, dtype=np.int32)
    return model, {"x": [ids, ids[::-1].copy()], "y": beside.y}


@pytest.mark.parametrize("updates", ["auto", "rows", "tables"])
def test_a_table_that_was_frozen_since_is_left_alone_or_refused_as_by_fit(beside: Any, updates: Any) -> None:
    model, wanted, data = beside.pair(lambda: two_tables(beside))
    options: dict[str, Any] = {"batch_size": beside.batch, "shuffle": False, "verbose": 0}
    wanted.fit(**data, **options)
    fused.fit(model, **data, **options, embedding_updates=updates)
    for each in (model, wanted):
        each.get_layer("first").trainable = False
    if keras.backend.backend() != "jax":
        wanted.make_train_function(force=True)  # TensorFlow's `fit` would go on with what it has traced
        wanted.fit(**data, **options)
        fused.fit(model, **data, **options, embedding_updates=updates)
        beside.assert_same(model, wanted)
        return
    with pytest.raises(ValueError, match="optimizer"):  # Keras on JAX trains all that the optimizer was built for
        wanted.fit(**data, **options)
    before = [training.as_numpy(variable) for variable in beside.everything(model, metrics=False)]
    with pytest.raises(ValueError, match="the optimizer was built"):
        fused.fit(model, **data, **options, embedding_updates=updates)
    after = [training.as_numpy(variable) for variable in beside.everything(model, metrics=False)]
    for one, other in zip(after, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_table_that_is_trained_without_an_accumulator_is_refused(beside: Any) -> None:
    model, data = two_tables(beside)
    model.get_layer("first").trainable = False
    fused.fit(model, **data, batch_size=beside.batch)
    model.get_layer("first").trainable = True
    with pytest.raises(ValueError, match=r"Unknown variable|built (for|with)"):
        fused.fit(model, **data, batch_size=beside.batch)


@pytest.mark.parametrize("updates", ["auto", "rows", "tables"])
def test_a_table_is_not_trained_as_the_one_that_was_frozen_in_its_stead(beside: Any, updates: Any) -> None:
    model, data = two_tables(beside)
    model.get_layer("first").trainable = False
    fused.fit(model, **data, batch_size=beside.batch, embedding_updates=updates)
    model.get_layer("first").trainable, model.get_layer("second").trainable = True, False
    before = [training.as_numpy(variable) for variable in beside.everything(model, metrics=False)]
    with pytest.raises(ValueError, match=r"Unknown variable|built (for|with)"):
        fused.fit(model, **data, batch_size=beside.batch, embedding_updates=updates)
    after = [training.as_numpy(variable) for variable in beside.everything(model, metrics=False)]
    for one, other in zip(after, before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("first", ["fit", "fused"])
def test_averages_go_on_where_the_first_training_has_left_them(beside: Any, first: str) -> None:
    def averaged() -> tuple[keras.Model, dict[str, Any]]:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8), "mse")
        return model, {"x": beside.x, "y": beside.y}

    model, wanted, data = beside.pair(averaged)
    options: dict[str, Any] = {**data, "batch_size": beside.batch, "shuffle": False, "verbose": 0}
    wanted.fit(**options)
    # On JAX Keras ends with the averages as the weights' own arrays, and its next `fit` fails to donate them twice.
    wanted.set_weights(wanted.get_weights())
    wanted.fit(**options)
    if first == "fit":
        model.fit(**options)
    else:
        fused.fit(model, **options)
    fused.fit(model, **options)
    beside.assert_same(model, wanted)
