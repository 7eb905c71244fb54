"""The best movies of a block of users in JAX: a scan over blocks of movies, compiled by XLA."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from movierank.model import RankingModel


def compile_mode() -> str:
    """Return what compiles the scoring."""
    return "xla"


def on_gpu(model: RankingModel) -> bool:
    """Return whether the model's weights lie on a GPU."""
    return any(device.platform != "cpu" for device in model.weights[0].value.devices())


def start(model: RankingModel, movies: npt.NDArray[np.int32], block: int, k: int) -> Scorer:
    """Compute the movies' part of the first layer, as described in `movierank.scoring.top.scoring_of`."""
    return Scorer([variable.value for variable in model.weights], movies, block, k)


class Scorer:
    """The scorer of JAX, as described in `movierank.scoring.top.Scorer`."""

    def __init__(self, weights: list[Any], movies: npt.NDArray[np.int32], block: int, k: int) -> None:
        self.weights = weights
        self.k = k
        self.parts = _movie_parts(weights, movies, block)

    def top(self, users: npt.NDArray[np.int32], allowed: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
        """Return places among the movies and predictions."""
        return _top(self.weights, self.parts, users, allowed, self.k)  # type: ignore[no-any-return]  # jax is untyped


@partial(jax.jit, static_argnames="block")
def _movie_parts(weights: list[Any], movies: Any, block: int) -> Any:
    table, kernel = weights[1], weights[2]
    parts = table[movies] @ kernel[table.shape[1] :]
    return parts.reshape(-1, block, parts.shape[1])


@partial(jax.jit, static_argnames="k")
def _top(weights: list[Any], parts: Any, users: Any, allowed: Any, k: int) -> Any:
    user_table, _, kernel1, bias1, kernel2, bias2, kernel3, bias3 = weights
    user_parts = user_table[users] @ kernel1[: user_table.shape[1]] + bias1
    blocks, block, hidden = parts.shape

    def better(best: Any, now: Any) -> Any:
        movie_parts, is_allowed, first = now
        h1 = jax.nn.relu(user_parts[:, None] + movie_parts).reshape(-1, hidden)
        h2 = jax.nn.relu(h1 @ kernel2 + bias2)
        scores = jnp.where(is_allowed, (h2 @ kernel3 + bias3).reshape(len(users), block), -jnp.inf)
        # The best so far come first and have lower places: `top_k` takes the first of equals.
        places = jnp.broadcast_to(first + jnp.arange(block), scores.shape)
        values, chosen = jax.lax.top_k(jnp.concatenate([best[1], scores], axis=1), k)
        return (jnp.take_along_axis(jnp.concatenate([best[0], places], axis=1), chosen, axis=1), values), None

    nothing = (jnp.zeros((len(users), k), jnp.int32), jnp.full((len(users), k), -jnp.inf, jnp.float32))
    by_block = jnp.moveaxis(allowed.reshape(-1, blocks, block), 1, 0)
    best, _ = jax.lax.scan(better, nothing, (parts, by_block, block * jnp.arange(blocks)))
    return best
