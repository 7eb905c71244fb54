"""How far a float32 prediction may lie from the exact one, whatever the order of its additions.

A layer's sum of n products and a bias b takes n additions. Each is rounded by at most u = 2^-24 of a partial sum, which
is at most S = sum_i |a_i| |w_i| + |b|, in whatever order; all products together are rounded by at most u S in the sense
of squares. If the single roundings are as often up as down, independently of those before, the prediction's error is
a martingale, and by Azuma's inequality it exceeds

    lambda u sqrt( sum over layers l and their units j of  (n_l + 1) g_lj^2 S_lj^2 )

with a probability of at most 2 exp(-lambda^2 / 2) (Higham & Mary, A new approach to probabilistic rounding error
analysis, 2019; Connolly, Higham & Mary, Stochastic rounding and its probabilistic backward error analysis, 2021). Here
g_lj bounds how much a change of unit j's sum changes the prediction: 1 for the last layer, |w3| for the second and
|W2| |w3| for the first, as relu moves no two numbers further apart. Terms in u^2 are left out.

Splitting x W1 into a user's and a movie's part is another order of the same additions. Both ways of scoring lie within
this bound of the exact prediction, and within twice the bound of each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from movierank.weights import Weights

UNIT_ROUNDOFF = 2.0**-24
LAMBDA = 8.0  # 2.5e-14 a pair: less than one in a thousand that any of 10 k x 100 k pairs lies outside
PAIRS_AT_ONCE = 16_384  # 32 MiB of float64 in the first hidden layer

Array = npt.NDArray[np.floating[Any]]
Ids = npt.NDArray[np.integer[Any]]


def rounding_bound(weights: Weights, user_id: Ids, movie_id: Ids) -> npt.NDArray[np.float64]:
    """Return the bound for each pair, float64 [N], for user_id [N] and movie_id [N]; in label units.

    It holds where nothing overflows or underflows, and for products that are not computed with fewer bits than
    float32's.
    """
    exact = weights.astype(np.float64)
    parts = [slice(start, start + PAIRS_AT_ONCE) for start in range(0, len(user_id), PAIRS_AT_ONCE)]
    bounds = [_bound(exact, user_id[part], movie_id[part]) for part in parts]
    return np.concatenate(bounds) if bounds else np.zeros(0)


def _bound(weights: Weights, user_id: Ids, movie_id: Ids) -> npt.NDArray[np.float64]:
    kernel2, kernel3 = np.abs(weights.kernel2), np.abs(weights.kernel3)
    layers = [
        (weights.kernel1, weights.bias1, kernel2 @ kernel3),
        (weights.kernel2, weights.bias2, kernel3),
        (weights.kernel3, weights.bias3, np.ones((1, 1))),
    ]
    x = np.concatenate([weights.user_embedding[user_id], weights.candidate_embedding[movie_id]], axis=1)
    squares = np.zeros((len(x), 1))
    for kernel, bias, gain in layers:
        largest = np.abs(x) @ np.abs(kernel) + np.abs(bias)
        squares += (len(kernel) + 1) * np.square(largest) @ np.square(gain)
        x = np.maximum(x @ kernel + bias, 0)
    return LAMBDA * UNIT_ROUNDOFF * np.sqrt(squares[:, 0])
