"""The model's weights as plain arrays, so that every backend and the oracle can start from the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

HIDDEN_UNITS = (256, 64)
EMBEDDING_LIMIT = 0.05  # keras/src/initializers/random_initializers.py, RandomUniform's default range


@dataclass(frozen=True)
class Weights:
    """All trainable arrays, named as in `RankingModel`, in the order of `model.weights`.

    Attributes:
        user_embedding: [num_users + 1, D]; row 0 belongs to no user.
        candidate_embedding: [num_movies + 1, D]; row 0 belongs to no movie.
        kernel1: [2D, 256].
        bias1: [256].
        kernel2: [256, 64].
        bias2: [64].
        kernel3: [64, 1].
        bias3: [1].
    """

    user_embedding: npt.NDArray[np.floating]
    candidate_embedding: npt.NDArray[np.floating]
    kernel1: npt.NDArray[np.floating]
    bias1: npt.NDArray[np.floating]
    kernel2: npt.NDArray[np.floating]
    bias2: npt.NDArray[np.floating]
    kernel3: npt.NDArray[np.floating]
    bias3: npt.NDArray[np.floating]

    def as_list(self) -> list[npt.NDArray[np.floating]]:
        """Returns the arrays in the order of `keras.Model.get_weights`."""
        return [getattr(self, field.name) for field in fields(self)]

    @classmethod
    def from_list(cls, arrays: Sequence[npt.NDArray[np.floating]]) -> Weights:
        """Builds from arrays in the order of `keras.Model.get_weights`."""
        return cls(*arrays)

    def astype(self, dtype: npt.DTypeLike) -> Weights:
        """Returns a copy with every array in `dtype`."""
        return Weights(*(np.array(array, dtype) for array in self.as_list()))


def initial_weights(num_users: int, num_movies: int, embedding_dimension: int = 32, *, seed: int = 0) -> Weights:
    """Draws float32 weights from Keras's initialiser distributions with NumPy's Philox generator.

    Each array has a stream of its own (spawned from the seed), so that a change of one table's size leaves
    the other arrays as they were. Embeddings are uniform in ±0.05, kernels Glorot uniform (Glorot & Bengio,
    2010: limit sqrt(6 / (fan_in + fan_out))), biases zero, as in Keras 3.
    """
    if num_users < 1 or num_movies < 1 or embedding_dimension < 1:
        raise ValueError(
            "num_users, num_movies and embedding_dimension must be at least 1; "
            f"received {num_users}, {num_movies}, {embedding_dimension}"
        )
    streams = [np.random.Generator(np.random.Philox(child)) for child in np.random.SeedSequence(seed).spawn(5)]
    hidden1, hidden2 = HIDDEN_UNITS

    def embedding(stream: np.random.Generator, rows: int) -> npt.NDArray[np.float32]:
        return uniform(stream, (rows, embedding_dimension), EMBEDDING_LIMIT)

    def kernel(stream: np.random.Generator, fan_in: int, fan_out: int) -> npt.NDArray[np.float32]:
        return uniform(stream, (fan_in, fan_out), float(np.sqrt(6.0 / (fan_in + fan_out))))

    def uniform(stream: np.random.Generator, shape: tuple[int, int], limit: float) -> npt.NDArray[np.float32]:
        return stream.uniform(-limit, limit, shape).astype(np.float32)

    return Weights(
        user_embedding=embedding(streams[0], num_users + 1),
        candidate_embedding=embedding(streams[1], num_movies + 1),
        kernel1=kernel(streams[2], 2 * embedding_dimension, hidden1),
        bias1=np.zeros(hidden1, np.float32),
        kernel2=kernel(streams[3], hidden1, hidden2),
        bias2=np.zeros(hidden2, np.float32),
        kernel3=kernel(streams[4], hidden2, 1),
        bias3=np.zeros(1, np.float32),
    )
