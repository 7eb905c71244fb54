"""The two-tower ranking model of the keras-rs "rank movies" tutorial (keras-rs, examples/basic_ranking.py)."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import keras

from movierank.weights import HIDDEN_UNITS, Weights


@keras.saving.register_keras_serializable(package="movierank")
class RankingModel(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """The model that predicts how a user rates a movie.

    Inputs are a dict of `user_id` and `movie_id`, int32 of shape [B] each; the output is float32 [B, 1], on
    the labels' scale (stars - 1) / 4.

    Args:
        num_users: rows of the user embedding table: highest user id + 1, since id 0 has a row too. Any
            integer type is accepted, NumPy's included.
        num_candidates: rows of the candidate embedding table: highest movie id + 1.
        embedding_dimension: width of both tables.
        **kwargs: as for `keras.Model`.

    Raises:
        TypeError: a count is not an integer.
        ValueError: a count is below 1.
    """

    def __init__(
        self,
        num_users: SupportsIndex,
        num_candidates: SupportsIndex,
        embedding_dimension: SupportsIndex = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_users = _count("num_users", num_users)
        self.num_candidates = _count("num_candidates", num_candidates)
        self.embedding_dimension = _count("embedding_dimension", embedding_dimension)
        self.user_embedding = keras.layers.Embedding(self.num_users, self.embedding_dimension)
        self.candidate_embedding = keras.layers.Embedding(self.num_candidates, self.embedding_dimension)
        self.ratings = keras.Sequential(
            [
                *(keras.layers.Dense(units, activation="relu") for units in HIDDEN_UNITS),
                keras.layers.Dense(1),
            ]
        )

    def build(self, input_shape: dict[str, tuple[int | None, ...]]) -> None:
        """Create all weights; `input_shape` is {"user_id": (B,), "movie_id": (B,)}, B may be None."""
        batch = input_shape["user_id"][0]
        self.user_embedding.build(input_shape["user_id"])
        self.candidate_embedding.build(input_shape["movie_id"])
        self.ratings.build((batch, 2 * self.embedding_dimension))
        self.built = True

    def call(self, inputs: dict[str, Any]) -> Any:
        """Return the predictions, [B, 1]."""
        embeddings = [
            self.user_embedding(inputs["user_id"]),
            self.candidate_embedding(inputs["movie_id"]),
        ]
        return self.ratings(keras.ops.concatenate(embeddings, axis=1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_users": self.num_users,
            "num_candidates": self.num_candidates,
            "embedding_dimension": self.embedding_dimension,
        }

    def load_initial_weights(self, weights: Weights) -> None:
        """Set all weights, and build the model first if necessary.

        Raises:
            ValueError: a shape differs from the model's.
        """
        if not self.built:
            self.build({"user_id": (None,), "movie_id": (None,)})
        self.set_weights(weights.as_list())


def _count(name: str, value: SupportsIndex) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; received {value!r} of type {type(value).__name__}") from None
    if count < 1:
        raise ValueError(f"{name} must be at least 1; received {count}")
    return count
