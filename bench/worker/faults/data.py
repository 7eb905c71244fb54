"""Faults in the training data: labels, ids, and the order of batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from movierank.data.ratings import Ratings, label_to_stars

if TYPE_CHECKING:
    from bench.worker.session import Session

Batches = list[Ratings]

EXAMPLES: dict[str, Callable[[Ratings], Ratings]] = {
    "labels stars / 5": lambda train: replace(train, label=label_to_stars(train.label) / np.float32(5)),
    "labels in stars": lambda train: replace(train, label=label_to_stars(train.label)),
    "labels shifted": lambda train: replace(train, label=np.roll(train.label, 1)),
    "movie ids off by one": lambda train: replace(train, movie_id=train.movie_id - np.int32(1)),
}

BATCHES: dict[str, Callable[[Batches], Batches]] = {
    # The first example takes the last one's place.
    "one example short": lambda batches: [batch.take(np.r_[0 : len(batch) - 1, 0]) for batch in batches],
    "order reversed": lambda batches: batches[::-1],
    "fifth batch skipped": lambda batches: [*batches[:4], *batches[5:]],
    "early batches swapped": lambda batches: [batches[0], batches[2], batches[1], *batches[3:]],
    "late batches swapped": lambda batches: [*batches[:-2], batches[-1], batches[-2]],
    "partial batch dropped": lambda batches: [batch for batch in batches if len(batch) == len(batches[0])],
    "order within batches": lambda batches: [batch.take(slice(None, None, -1)) for batch in batches],
}


def _change(session: Session, change: Callable[[Ratings], Ratings]) -> None:
    session.split = replace(session.split, train=change(session.split.train))


def _rearrange(session: Session, change: Callable[[Batches], Batches]) -> None:
    train, size = session.split.train, session.job.batch_size
    batches = change([train.take(slice(start, start + size)) for start in range(0, len(train), size)])
    arrays = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("user_id", "movie_id", "label"))
    session.split = replace(session.split, train=Ratings(*arrays))


DATA_FAULTS: dict[str, Callable[[Session], None]] = {
    **{name: partial(_change, change=change) for name, change in EXAMPLES.items()},
    **{name: partial(_rearrange, change=change) for name, change in BATCHES.items()},
}
