"""A last batch that is smaller than the others may be the first whose table is updated by rows."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierank.loops import fused

# The table has up to ten rows for each id: on every backend some full batches are updated by rows and some are not.
SHAPES = st.tuples(st.integers(2, 40), st.integers(1, 400), st.integers(0, 39), st.integers(1, 2))
OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adagrad": keras.optimizers.Adagrad, "adam": keras.optimizers.Adam}


def model_of(rows: int, optimizer: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Embedding(rows, 2), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.build((None, 1))
    model.compile(OPTIMIZERS[optimizer](0.1), "mse")
    return model


def assert_same_as_fit(rows: int, batch: int, remainder: int, batches: int, optimizer: str) -> None:
    # No id repeats within a batch, where TensorFlow's `fit` squares its slices one by one (docs/deviations.md).
    rng = np.random.default_rng(1)
    sizes = [batch] * batches + [remainder] * (remainder > 0)
    ids = np.concatenate([rng.permutation(rows)[:size] for size in sizes])[:, None]
    wanted: dict[str, Any] = {"x": ids, "y": rng.random(ids.shape).astype(np.float32)}
    wanted |= {"batch_size": batch, "epochs": 2, "shuffle": False, "verbose": 0}
    model, expected = model_of(rows, optimizer), model_of(rows, optimizer)
    history = fused.fit(model, **wanted).history
    assert history["loss"] == pytest.approx(expected.fit(**wanted).history["loss"], rel=1e-4)
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rows_pay_only_for_the_smaller_last_batch(optimizer: str) -> None:
    assert_same_as_fit(300, 100, 10, 1, optimizer)


@given(shape=SHAPES, optimizer=st.sampled_from(sorted(OPTIMIZERS)))
@settings(max_examples=settings().max_examples // 4)  # each trains two models
def test_any_batch_and_remainder_train_as_fit_does(shape: tuple[int, int, int, int], optimizer: str) -> None:
    batch, more_rows, remainder, batches = shape
    assert_same_as_fit(batch + more_rows, batch, min(remainder, batch - 1), batches, optimizer)


def test_a_later_training_in_smaller_batches_is_updated_by_rows() -> None:
    model, expected = model_of(300, "sgd"), model_of(300, "sgd")
    ids, labels = np.arange(200)[:, None], np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    for batch in (100, 10):
        asked: dict[str, Any] = {"batch_size": batch, "shuffle": False, "verbose": 0}
        fused.fit(model, ids, labels, **asked)
        expected.fit(ids, labels, **asked)
    np.testing.assert_allclose(model.get_weights()[0], expected.get_weights()[0], rtol=1e-4, atol=1e-6)
