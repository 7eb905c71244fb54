from __future__ import annotations

import numpy as np

from movierank.oracle import Oracle
from movierank.scoring.rounding import rounding_bound
from movierank.weights import Weights, initial_weights


def test_float32_lies_within_the_bound_and_half_precision_does_not() -> None:
    drawn = initial_weights(30, 40, 32, seed=1)
    weights = Weights(**{**vars(drawn), "bias1": np.full(256, 0.1, np.float32), "bias3": np.full(1, 0.5, np.float32)})
    rng = np.random.default_rng(0)
    users, movies = rng.integers(1, 31, 20_000), rng.integers(1, 41, 20_000)
    exact = Oracle(weights).predict(users, movies)
    bound = rounding_bound(weights, users, movies)
    assert bound.shape == (20_000,)
    assert (np.abs(Oracle(weights, dtype=np.float32).predict(users, movies) - exact) <= bound).all()
    assert (bound < 3e-5).all()
    coarse = weights.astype(np.float16).astype(np.float32)
    assert (np.abs(Oracle(coarse).predict(users, movies) - exact) > bound).any()


def test_no_pairs_have_no_bounds() -> None:
    none = np.zeros(0, np.int32)
    assert rounding_bound(initial_weights(2, 2), none, none).shape == (0,)
