"""Faults in the training data: labels, ids, and the order of batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from movierank.data.ratings import Ratings, label_to_stars

if TYPE_CHECKING:
    from bench.worker.session import Session

Batches = list[Ratings]


def _labels_over_five(session: Session) -> None:
    train = session.split.train
    _train_on(session, replace(train, label=label_to_stars(train.label) / np.float32(5)))


def _labels_in_stars(session: Session) -> None:
    train = session.split.train
    _train_on(session, replace(train, label=label_to_stars(train.label)))


def _labels_shifted(session: Session) -> None:
    train = session.split.train
    _train_on(session, replace(train, label=np.roll(train.label, 1)))


def _movie_before(session: Session) -> None:
    train = session.split.train
    _train_on(session, replace(train, movie_id=train.movie_id - np.int32(1)))


def _one_example_short(session: Session) -> None:
    def first_for_last(batch: Ratings) -> Ratings:
        return batch.take(np.r_[0 : len(batch) - 1, 0])

    _rearrange(session, lambda batches: [first_for_last(batch) for batch in batches])


def _order_reversed(session: Session) -> None:
    _rearrange(session, lambda batches: batches[::-1])


def _fifth_batch_skipped(session: Session) -> None:
    _rearrange(session, lambda batches: [*batches[:4], *batches[5:]])


def _early_batches_swapped(session: Session) -> None:
    _rearrange(session, lambda batches: [batches[0], batches[2], batches[1], *batches[3:]])


def _late_batches_swapped(session: Session) -> None:
    _rearrange(session, lambda batches: [*batches[:-2], batches[-1], batches[-2]])


def _partial_batch_dropped(session: Session) -> None:
    _rearrange(session, lambda batches: [batch for batch in batches if len(batch) == session.job.batch_size])


def _order_within_batches(session: Session) -> None:
    _rearrange(session, lambda batches: [batch.take(slice(None, None, -1)) for batch in batches])


def _rearrange(session: Session, change: Callable[[Batches], Batches]) -> None:
    train, size = session.split.train, session.job.batch_size
    batches = change([train.take(slice(start, start + size)) for start in range(0, len(train), size)])
    arrays = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("user_id", "movie_id", "label"))
    _train_on(session, Ratings(*arrays))


def _train_on(session: Session, train: Ratings) -> None:
    session.split = replace(session.split, train=train)


DATA_FAULTS: dict[str, Callable[[Session], None]] = {
    "labels stars / 5": _labels_over_five,
    "labels in stars": _labels_in_stars,
    "labels shifted": _labels_shifted,
    "movie ids off by one": _movie_before,
    "one example short": _one_example_short,
    "order reversed": _order_reversed,
    "fifth batch skipped": _fifth_batch_skipped,
    "early batches swapped": _early_batches_swapped,
    "late batches swapped": _late_batches_swapped,
    "partial batch dropped": _partial_batch_dropped,
    "order within batches": _order_within_batches,
}
