"""Local files through TFDS, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from movierank.data.datasets import load_dataset
from movierank.data.ratings import label_to_stars
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free


def test_local_half_stars_are_read_through_tfds_whatever_backend_keras_is_told(
    empty_cache: Path, folder_latest_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "not installed")
    dataset = load_dataset("latest-small", source="local", path=folder_latest_small)
    rows = zip(
        dataset.ratings.user_id.tolist(),
        dataset.ratings.movie_id.tolist(),
        label_to_stars(dataset.ratings.label).tolist(),
        strict=True,
    )
    assert sorted(rows) == [(1, 1, 4.0), (1, 70, 0.5), (2, 70, 3.5)]
    assert (dataset.source, dataset.num_users, dataset.num_movies) == ("local", 2, 193609)
    assert dataset.titles[70] == "Amélie, l'été (2001)"
    assert dataset.tutorial_order is not None
    assert sorted(dataset.tutorial_order.tolist()) == [0, 1, 2]
    assert not list(empty_cache.rglob("*tfrecord*"))


def test_a_zip_gives_the_same_data_as_the_folder_and_auto_finds_it(empty_cache: Path, zip_1m: Path) -> None:
    said: list[str] = []
    from_zip = load_dataset("1m", source="local", path=zip_1m)
    again = load_dataset("1m", progress=said.append)
    assert (again.source, again.sha256, said) == ("local", from_zip.sha256, [])
    assert again.titles == {1: "Toy Story (1995)", 2: "Jumanji (1995)"}
    assert sorted(label_to_stars(again.ratings.label).tolist()) == [2.0, 5.0]
    assert again.tutorial_order is None


def test_what_tfds_cannot_read_is_said_in_a_line(empty_cache: Path, folder_100k: Path) -> None:
    users = folder_100k / "u.user"
    users.write_text(users.read_text().replace("technician", "astronaut"))
    with pytest.raises(MovierankError, match=r"^TFDS stopped with .*astronaut.*$"):
        load_dataset("100k", source="local", path=folder_100k)


def test_a_missing_tfds_is_said_with_what_to_install(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = "raise ModuleNotFoundError(\"No module named 'tensorflow_datasets'\")\n"
    (tmp_path / "tensorflow_datasets.py").write_text(absent)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MovierankError, match=r"No module named 'tensorflow_datasets'.*\[data\]"):
        load_dataset("100k")
