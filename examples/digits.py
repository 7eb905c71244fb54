"""A small network on scikit-learn's handwritten digits, measured by `run --workload examples/digits.py:digits`.

1,797 pictures of 8 × 8 pixels, in ten classes: the smallest model that is no recommender.
"""

from __future__ import annotations

import keras
import numpy as np
from sklearn.datasets import load_digits

from bench import Arrays, Workload

TRAIN = 1_500


def build(seed: int) -> keras.Model:
    """Return a compiled model of two hidden layers; Keras's random state is at `seed` already."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    return model


def arrays() -> Arrays:
    """Return pixels from 0 to 1, [N, 64], and classes, [N]."""
    data = load_digits()
    pixels, classes = (data.data / 16).astype(np.float32), data.target.astype(np.int32)
    order = np.random.default_rng(0).permutation(len(pixels))
    train, test = order[:TRAIN], order[TRAIN:]
    return Arrays(pixels[train], classes[train], pixels[test], classes[test])


digits = Workload(
    name="digits", build=build, arrays=arrays, metric="accuracy", better="higher", target=0.95, batch_size=50, epochs=5
)
