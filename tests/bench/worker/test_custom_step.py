"""What a step of any model must do, counted by JAX, beside what the layers' sizes say."""

from __future__ import annotations

import os

import numpy as np
import pytest

from movierank.step_cost import layer_shapes, step_operations

pytestmark = pytest.mark.skipif(os.environ.get("KERAS_BACKEND") != "jax", reason="JAX alone counts them")

BATCH = 50
PIXELS, CLASSES = np.ones((BATCH, 64), np.float32), np.zeros(BATCH, np.int32)


def compiled(model):
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def least(model, x=PIXELS, y=CLASSES):
    from bench.worker.workload import Examples
    from bench.worker.workloads.model import least_step

    return least_step(model, Examples(x, y), "jax")


def dense(units: int, activation: str = "relu"):
    import keras

    return keras.layers.Dense(units, activation=activation)


def test_the_built_in_model_s_operations_are_those_of_its_formula() -> None:
    from bench.worker.workloads.model import kernels
    from movierank import training
    from movierank.model import RankingModel

    model = RankingModel(61, 51)
    model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model)
    ids = {"user_id": np.arange(1, 41, dtype=np.int32), "movie_id": np.arange(1, 41, dtype=np.int32)}
    operations, moved = least(model, ids, np.zeros(40, np.float32))
    assert operations == step_operations(40, 32)
    # Its tables are left out: how many rows a batch uses is the data's to say.
    weights = sum(rows * columns + columns for rows, columns in layer_shapes(32))
    assert moved == 2 * 2 * 4 * weights + 40 * (4 + 4 + 4)
    assert set(kernels(model)) == set(layer_shapes(32))


def test_the_first_layer_of_an_mlp_has_no_gradient_of_its_inputs() -> None:
    import keras

    model = compiled(keras.Sequential([keras.Input((64,)), dense(128), dense(10, "softmax")]))
    operations, moved = least(model)
    assert operations == 2 * BATCH * (2 * 64 * 128 + 3 * 128 * 10)
    assert moved == 2 * 3 * 4 * (65 * 128 + 129 * 10) + PIXELS.nbytes + CLASSES.nbytes


def test_steps_of_a_recurrent_layer_are_counted_each() -> None:
    import keras

    recurrent = keras.layers.SimpleRNN(8, unroll=False)
    model = compiled(keras.Sequential([keras.Input((16, 4)), recurrent, dense(10, "softmax")]))
    found = least(model, PIXELS.reshape(BATCH, 16, 4))
    once = compiled(keras.Sequential([keras.Input((1, 4)), recurrent, dense(10, "softmax")]))
    single = least(once, PIXELS[:, :4].reshape(BATCH, 1, 4))
    assert found is not None
    assert single is not None
    assert found[0] > 8 * single[0]


def test_a_convolution_has_no_least_that_is_known() -> None:
    import keras

    layers = [keras.layers.Reshape((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), dense(10, "softmax")]
    assert least(compiled(keras.Sequential([keras.Input((64,)), *layers]))) is None
