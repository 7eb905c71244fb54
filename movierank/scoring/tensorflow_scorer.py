"""The best movies of a block of users in TensorFlow: a loop over blocks of movies, compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from movierank.model import RankingModel


def compile_mode() -> str:
    """Return what compiles the scoring."""
    return "xla"


def on_gpu(model: RankingModel) -> bool:
    """Return whether the model's weights lie on a GPU."""
    return "GPU" in model.weights[0].value.device


def start(model: RankingModel, movies: npt.NDArray[np.int32], block: int, k: int) -> Scorer:
    """Compute the movies' part of the first layer, as described in `movierank.scoring.top.scoring_of`."""
    return Scorer([tf.convert_to_tensor(variable.value) for variable in model.weights], movies, block, k)


class Scorer:
    """The scorer of TensorFlow, as described in `movierank.scoring.top.Scorer`."""

    def __init__(self, weights: list[Any], movies: npt.NDArray[np.int32], block: int, k: int) -> None:
        self.weights = weights
        self.k = k
        self.parts = _movie_parts(weights, tf.constant(movies), block)

    def top(self, users: npt.NDArray[np.int32], allowed: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
        """Return places among the movies and predictions."""
        # A tf.function compiles Python numbers in as constants, so the arrays become tensors.
        return _top(self.weights, self.parts, tf.constant(users), tf.constant(allowed), self.k)  # type: ignore[no-any-return]  # untyped


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow ships no types
def _movie_parts(weights: list[Any], movies: Any, block: int) -> Any:
    table, kernel = weights[1], weights[2]
    parts = tf.matmul(tf.gather(table, movies), kernel[table.shape[1] :])
    return tf.reshape(parts, (-1, block, kernel.shape[1]))


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _top(weights: list[Any], parts: Any, users: Any, allowed: Any, k: int) -> Any:
    user_table, _, kernel1, bias1, kernel2, bias2, kernel3, bias3 = weights
    user_parts = tf.matmul(tf.gather(user_table, users), kernel1[: user_table.shape[1]]) + bias1
    blocks, block, hidden = parts.shape
    count = users.shape[0]
    by_block = tf.transpose(tf.reshape(allowed, (-1, blocks, block)), (1, 0, 2))

    def better(number: Any, best_places: Any, best: Any) -> Any:
        h1 = tf.reshape(tf.nn.relu(user_parts[:, None] + parts[number]), (-1, hidden))
        h2 = tf.nn.relu(tf.matmul(h1, kernel2) + bias2)
        scores = tf.reshape(tf.matmul(h2, kernel3) + bias3, (count, block))
        scores = tf.where(by_block[number], scores, -np.inf)
        # The best so far come first and have lower places: `top_k` takes the first of equals.
        places = tf.broadcast_to(number * block + tf.range(block), scores.shape)
        values, chosen = tf.math.top_k(tf.concat([best, scores], axis=1), k)
        return number + 1, tf.gather(tf.concat([best_places, places], axis=1), chosen, batch_dims=1), values

    nothing = (tf.zeros((count, k), tf.int32), tf.fill((count, k), np.float32(-np.inf)))
    _, best_places, best = tf.while_loop(lambda number, *_: number < blocks, better, (0, *nothing))
    return best_places, best
