"""The real MovieLens 100K, as TFDS orders it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from movierank.data.ratings import Dataset, label_to_stars
from movierank.data.splits import split_ratings

pytestmark = pytest.mark.backend_free

# The tutorial's own pipeline from its shuffle on, over records in TFDS's order.
TUTORIAL = """
import sys
import numpy as np, tensorflow as tf
folder = sys.argv[1]
records = np.load(f"{folder}/records.npz")
preprocessed = tf.data.Dataset.from_tensor_slices((records["user_id"], records["movie_id"], records["label"]))
shuffled_ratings = preprocessed.shuffle(100_000, seed=42, reshuffle_each_iteration=False)
train_ratings = shuffled_ratings.take(80_000).batch(1000).cache()
test_ratings = shuffled_ratings.skip(80_000).take(20_000).batch(1000).cache()
for name, part in (("train", train_ratings), ("test", test_ratings)):
    batches = [[array.numpy() for array in batch] for batch in part]
    np.savez(f"{folder}/{name}.npz", *[np.concatenate(column) for column in zip(*batches)])
"""


def test_has_grouplens_counts_and_rating_histogram(movielens: Dataset) -> None:
    stars = label_to_stars(movielens.ratings.label).astype(int)
    assert (len(movielens.ratings), movielens.num_users, movielens.num_movies) == (100_000, 943, 1682)
    assert len(np.unique(movielens.ratings.user_id)) == 943
    assert len(np.unique(movielens.ratings.movie_id)) == 1682
    assert np.bincount(stars).tolist() == [0, 6110, 11370, 27145, 34174, 21201]


def test_begins_with_the_record_that_tfds_puts_first(movielens: Dataset) -> None:
    first = movielens.ratings.take(slice(0, 1))
    assert (first.user_id[0], first.movie_id[0], label_to_stars(first.label)[0]) == (138, 357, 4)
    assert movielens.titles[357] == "One Flew Over the Cuckoo's Nest (1975)"


def test_is_the_same_data_in_the_same_order_on_every_machine(movielens: Dataset) -> None:
    assert movielens.sha256 == "9241faff5b863ab0ae7946222475e2f4488f61747eafac2988c10776eeda31f7"


@pytest.mark.parametrize(
    ("movie", "title"),
    [
        (204, "Back to the Future (1985)"),
        (141, "20,000 Leagues Under the Sea (1954)"),
        (131, "Breakfast at Tiffany's (1961)"),
        (267, "unknown"),
        (543, "Misérables, Les (1995)"),
        (1412, "Land Before Time III: The Time of the Great Giving (1995) (V)"),
    ],
)
def test_titles_read_as_grouplens_writes_them(movielens: Dataset, movie: int, title: str) -> None:
    assert len(movielens.titles) == 1682
    assert movielens.titles[movie] == title


def test_arrays_cannot_be_written(movielens: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        movielens.ratings.label[0] = 0


def test_tutorial_split_is_what_the_tutorials_pipeline_gives(movielens: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "records.npz", **movielens.ratings.features, label=movielens.ratings.label)
    done = subprocess.run([sys.executable, "-c", TUTORIAL, str(tmp_path)], capture_output=True, text=True, check=False)
    if "No module named 'tensorflow'" in done.stderr:
        pytest.skip("TensorFlow runs the tutorial's pipeline")
    assert done.returncode == 0, done.stderr
    split = split_ratings(movielens, "tutorial")
    for name, part in (("train", split.train), ("test", split.test)):
        with np.load(tmp_path / f"{name}.npz") as expected:
            np.testing.assert_array_equal(part.user_id, expected["arr_0"])
            np.testing.assert_array_equal(part.movie_id, expected["arr_1"])
            np.testing.assert_array_equal(part.label, expected["arr_2"])
