"""The model's weights as plain arrays, so that every backend and the oracle can start from the same ones."""

from __future__ import annotations

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
        """Return the arrays in the order of `keras.Model.get_weights`."""
        return [getattr(self, field.name) for field in fields(self)]

    def astype(self, dtype: npt.DTypeLike) -> Weights:
        """Return a copy with every array in `dtype`."""
        return Weights(*(np.array(array, dtype) for array in self.as_list()))


def initial_weights(num_users: int, num_movies: int, embedding_dimension: int = 32, *, seed: int = 0) -> Weights:
    """Draw float32 weights from Keras's initialiser distributions with NumPy's Philox generator.

    Embeddings are uniform in ±0.05, kernels Glorot uniform (Glorot & Bengio, 2010: limit
    sqrt(6 / (fan_in + fan_out))), biases zero, as in Keras 3. The arrays are drawn one after the other in the
    order of `Weights`, each in float64 and then rounded.

    Raises:
        ValueError: a size is below 1.
    """
    if num_users < 1 or num_movies < 1 or embedding_dimension < 1:
        raise ValueError(
            "num_users, num_movies and embedding_dimension must be at least 1; "
            f"received {num_users}, {num_movies}, {embedding_dimension}"
        )
    generator = np.random.Generator(np.random.Philox(seed))
    hidden1, hidden2 = HIDDEN_UNITS

    def uniform(rows: int, columns: int, limit: float) -> npt.NDArray[np.float32]:
        return generator.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    def kernel(fan_in: int, fan_out: int) -> npt.NDArray[np.float32]:
        return uniform(fan_in, fan_out, float(np.sqrt(6.0 / (fan_in + fan_out))))

    return Weights(
        user_embedding=uniform(num_users + 1, embedding_dimension, EMBEDDING_LIMIT),
        candidate_embedding=uniform(num_movies + 1, embedding_dimension, EMBEDDING_LIMIT),
        kernel1=kernel(2 * embedding_dimension, hidden1),
        bias1=np.zeros(hidden1, np.float32),
        kernel2=kernel(hidden1, hidden2),
        bias2=np.zeros(hidden2, np.float32),
        kernel3=kernel(hidden2, 1),
        bias3=np.zeros(1, np.float32),
    )
