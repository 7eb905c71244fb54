"""The two-tower retrieval model of keras-rs's "retrieve movies" tutorial on MovieLens 100K.

Measured by `run --workload examples/retrieval.py:retrieval`. A tower is a table: a vector for each user, and one for
each movie. Their product is to be what the user gave the movie, on the scale (stars - 1) / 4; movies are retrieved for
a user by the largest product. The tutorial trains 50 epochs with Adagrad at learning rate 1; here it is ten of them.
"""

from __future__ import annotations

import keras

from bench import Arrays, Workload
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings

DIMENSION = 32
NUM_USERS, NUM_MOVIES = 943, 1682  # of MovieLens 100K


def build(seed: int) -> keras.Model:
    """Return a compiled model of both towers and their product; Keras's random state is at `seed` already."""
    user = keras.Input((), dtype="int32", name="user_id")
    movie = keras.Input((), dtype="int32", name="movie_id")
    # Ids start at 1, so each table has a row that nobody uses.
    of_user = keras.layers.Embedding(NUM_USERS + 1, DIMENSION, name="user_tower")(user)
    of_movie = keras.layers.Embedding(NUM_MOVIES + 1, DIMENSION, name="movie_tower")(movie)
    product = keras.layers.Dot(axes=1)([of_user, of_movie])
    model = keras.Model({"user_id": user, "movie_id": movie}, product)
    model.compile(
        optimizer=keras.optimizers.Adagrad(1.0),
        loss=keras.losses.MeanSquaredError(),
        metrics=[keras.metrics.RootMeanSquaredError(name="rmse")],
    )
    return model


def arrays() -> Arrays:
    """Return the tutorial's split: ids by name, each [N], and ratings from 0 to 1, [N]."""
    split = split_ratings(load_dataset("100k"), "tutorial")
    return Arrays(split.train.features, split.train.label, split.test.features, split.test.label)


retrieval = Workload(
    name="retrieval", build=build, arrays=arrays, metric="rmse", better="lower", batch_size=1000, epochs=10
)
