from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from movierank.data.ratings import Dataset, Int32Array, Ratings
from movierank.data.splits import Split, default_split, parse_split, split_ratings
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free


def dataset_of(num_ratings: int, order: Int32Array | None = None) -> Dataset:
    user_id = np.arange(1, num_ratings + 1, dtype=np.int32)
    ratings = Ratings(user_id, user_id.copy(), np.zeros(num_ratings, np.float32))
    return Dataset("tiny", "local", "", ratings, num_ratings, num_ratings, order, dict)


@given(st.integers(2, 300), st.integers(1, 99), st.integers(0, 10**18 - 1))
@example(190, 55, 0)
def test_the_two_parts_hold_every_rating_once(num_ratings: int, percent: int, seed: int) -> None:
    train = round(num_ratings * percent / 100)
    if not 0 < train < num_ratings:
        return
    split = split_ratings(dataset_of(num_ratings), f"{percent / 100}:{seed}")
    assert len(split.train) == train
    together = np.concatenate([split.train.user_id, split.test.user_id])
    assert sorted(together.tolist()) == list(range(1, num_ratings + 1))


def test_a_seed_fixes_the_split_and_another_seed_changes_it() -> None:
    def users(text: str) -> list[int]:
        return split_ratings(dataset_of(50), text).train.user_id.tolist()  # type: ignore[no-any-return]

    assert users("0.8:42") == users("0.8:42")
    assert users("0.8:42") != users("0.8:43")


def test_parts_are_contiguous_arrays_in_memory() -> None:
    split = split_ratings(dataset_of(50), "0.5:1")
    for array in (split.train.user_id, split.train.movie_id, split.test.label):
        assert array.flags["C_CONTIGUOUS"]
        assert array.flags["OWNDATA"]


def test_the_name_says_how_to_repeat_the_split() -> None:
    first = split_ratings(dataset_of(50), ".80:007")
    again: Split = split_ratings(dataset_of(50), first.name)
    assert first.name == "0.8:7"
    np.testing.assert_array_equal(first.test.user_id, again.test.user_id)


@pytest.mark.parametrize(
    "text", ["", "0.8", "0:1", "1:1", "1.5:1", "-0.5:1", "0.8:-1", "0.8:x", "nan:1", "0.8:1.5", "train"]
)
def test_bad_text_is_refused_with_the_form_to_use(text: str) -> None:
    with pytest.raises(MovierankError, match=r"0\.8:42"):
        parse_split(text)


def test_a_split_that_leaves_a_part_empty_is_refused() -> None:
    with pytest.raises(MovierankError, match="leaves a part empty"):
        split_ratings(dataset_of(3), "0.01:1")


@pytest.mark.parametrize("order", [None, np.arange(50, dtype=np.int32)])
def test_the_tutorials_split_is_refused_where_it_is_not_defined(order: Int32Array | None) -> None:
    with pytest.raises(MovierankError, match=r"use 0\.8:42"):
        split_ratings(dataset_of(50, order), "tutorial")


def test_only_the_tutorials_own_dataset_defaults_to_its_split() -> None:
    assert default_split("100k") == "tutorial"
    assert default_split("1m") == default_split("synthetic:9x9x9") == "0.8:42"


def test_the_name_of_a_split_can_be_read_back_however_small_its_fraction() -> None:
    split = parse_split("0.00009:1")
    assert split is not None
    assert parse_split(split.name) == split
