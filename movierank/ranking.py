"""Rank movies for a user with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierank.data.ratings import Dataset, Float32Array, label_to_stars
from movierank.errors import MovierankError
from movierank.model import RankingModel
from movierank.training import predict

SCORING_BATCH = 65_536  # large enough that one call scores MovieLens 25M's whole catalogue


@dataclass(frozen=True)
class RankedMovie:
    """One line of a ranking.

    Attributes:
        movie_id: id in the dataset.
        title: title in the dataset.
        stars: predicted stars, 1 + 4p for a prediction p; not clipped to 1..5.
    """

    movie_id: int
    title: str
    stars: float


def score_movies(model: RankingModel, user_id: int, movie_ids: npt.NDArray[np.int32]) -> Float32Array:
    """Return predicted stars, float32 [M], for one user and int32 `movie_ids` [M]."""
    features = {"user_id": np.full(len(movie_ids), user_id, np.int32), "movie_id": movie_ids}
    return label_to_stars(predict(model, features, batch_size=SCORING_BATCH))


def rank_movies(
    model: RankingModel,
    dataset: Dataset,
    user_id: int,
    *,
    movie_ids: Sequence[int] | None = None,
    top: int | None = None,
    exclude_rated: bool = False,
) -> list[RankedMovie]:
    """Rank `movie_ids`, or the whole catalogue, for one user, best first; equal scores by movie id.

    Args:
        model: model trained on `dataset`.
        dataset: dataset with titles, the catalogue and the users' ratings.
        user_id: user, from 1 to `dataset.num_users`.
        movie_ids: candidates; None for every movie with a title.
        top: number of movies to return; None for all.
        exclude_rated: whether to leave out the movies that the user has rated.

    Raises:
        MovierankError: a user or movie is not in the dataset, `top` is below 1, or the model's tables have
            other sizes than the dataset.
    """
    check_model_fits(model, dataset)
    if not 1 <= user_id <= dataset.num_users:
        raise MovierankError(f"user {user_id} is not in {dataset.name}: users go from 1 to {dataset.num_users}")
    if top is not None and top < 1:
        raise MovierankError(f"top must be at least 1; received {top}")
    candidates = _candidates(dataset, movie_ids)
    if exclude_rated:
        rated = dataset.ratings.movie_id[dataset.ratings.user_id == user_id]
        candidates = candidates[~np.isin(candidates, rated)]
    if not len(candidates):
        return []
    stars = score_movies(model, user_id, candidates)
    order = np.lexsort((candidates, -stars))[:top]
    return [
        RankedMovie(int(movie_id), dataset.titles[int(movie_id)], float(score))
        for movie_id, score in zip(candidates[order], stars[order], strict=True)
    ]


def check_model_fits(model: RankingModel, dataset: Dataset) -> None:
    """Refuse a model whose tables were not built for `dataset`.

    Raises:
        MovierankError: the tables' sizes differ.
    """
    wanted = (dataset.num_users + 1, dataset.num_movies + 1)
    found = (model.num_users, model.num_candidates)
    if wanted != found:
        raise MovierankError(
            f"the model has tables of {found[0]} users and {found[1]} movies, but {dataset.name} needs "
            f"{wanted[0]} and {wanted[1]}; name the dataset it was trained on with --dataset"
        )


def _candidates(dataset: Dataset, movie_ids: Sequence[int] | None) -> npt.NDArray[np.int32]:
    if movie_ids is None:
        return np.array(sorted(dataset.titles), np.int32)
    unknown = [movie_id for movie_id in movie_ids if movie_id not in dataset.titles]
    if unknown:
        raise MovierankError(f"no movie {', '.join(map(str, unknown))} in {dataset.name}")
    return np.array(list(dict.fromkeys(movie_ids)), np.int32)
