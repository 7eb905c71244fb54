from __future__ import annotations

import numpy as np
import pytest

from movierank.weights import EMBEDDING_LIMIT, initial_weights

# Two reports can only be compared when both started from these.
PUBLISHED = [-0.048593297600746155, -0.02672959491610527, 0.051288582384586334]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (initial_weights(30, 40, seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first.as_list(), again.as_list(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.kernel1, other.kernel1)


def test_the_first_weights_are_the_ones_that_published_reports_started_from() -> None:
    weights = initial_weights(943, 1682, seed=0)
    drawn = [weights.user_embedding[0, 0], weights.candidate_embedding[0, 0], weights.kernel1[0, 0]]
    np.testing.assert_array_equal(drawn, np.array(PUBLISHED, np.float32))


def test_arrays_fill_the_ranges_of_the_initialisers_evenly() -> None:
    weights = initial_weights(943, 1682, 32)
    limits = {
        "user_embedding": EMBEDDING_LIMIT,
        "candidate_embedding": EMBEDDING_LIMIT,
        "kernel1": (6 / (64 + 256)) ** 0.5,
        "kernel2": (6 / (256 + 64)) ** 0.5,
        "kernel3": (6 / (64 + 1)) ** 0.5,
    }
    for name, limit in limits.items():
        array = getattr(weights, name)
        assert np.abs(array).max() <= np.float32(limit)
        # Of a uniform distribution the standard deviation is limit / sqrt(3), here to five standard errors.
        assert array.std() == pytest.approx(limit / 3**0.5, rel=5 * 0.45 / array.size**0.5), name
    assert not any(bias.any() for bias in (weights.bias1, weights.bias2, weights.bias3))


@pytest.mark.parametrize("sizes", [(0, 5, 32), (5, 0, 32), (5, 5, 0), (-1, 5, 32)])
def test_empty_sizes_are_refused_with_what_was_received(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=", ".join(map(str, sizes))):
        initial_weights(*sizes)


def test_a_list_has_every_array_in_the_order_of_its_field() -> None:
    weights = initial_weights(3, 5, 4)
    assert all(array is getattr(weights, name) for array, name in zip(weights.as_list(), vars(weights), strict=True))


def test_another_dtype_is_a_copy() -> None:
    weights = initial_weights(3, 5, 4)
    copy = weights.astype(np.float32)
    copy.bias1[:] = 1
    assert not weights.bias1.any()
    assert all(array.dtype == np.float64 for array in weights.astype(np.float64).as_list())


def test_keras_draws_arrays_of_the_same_shapes_and_spread_in_the_same_order() -> None:
    pytest.importorskip("keras")
    from movierank.model import RankingModel

    model = RankingModel(944, 1683, 32)
    model.build({"user_id": (None,), "movie_id": (None,)})
    for ours, theirs in zip(initial_weights(943, 1682, 32).as_list(), model.get_weights(), strict=True):
        assert ours.shape == theirs.shape
        assert ours.std() == pytest.approx(theirs.std(), rel=5 * 0.45 * 2**0.5 / ours.size**0.5)
        if ours.size > 10_000:
            assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)
