"""The split of ratings into a train and a test part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from movierank.data.ratings import Dataset, Ratings
from movierank.errors import MovierankError

TUTORIAL = "tutorial"
TUTORIAL_TRAIN = 80_000
TUTORIAL_TEST = 20_000
GENERAL = "0.8:42"


@dataclass(frozen=True)
class Split:
    """Two parts of a dataset that share no rating; contiguous arrays in memory.

    Attributes:
        train: ratings to train on, in the order in which batches are taken.
        test: ratings to test with.
        name: `tutorial` or `FRACTION:SEED`.
    """

    train: Ratings
    test: Ratings
    name: str


@dataclass(frozen=True)
class RandomSplit:
    """A permutation by NumPy's Philox generator with `seed`, the first `fraction` of which is for training."""

    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """The split as text, for example `0.8:42`."""
        return f"{np.format_float_positional(self.fraction, trim='-')}:{self.seed}"


def default_split(dataset_name: str) -> str:
    """Return `tutorial` for 100k, the tutorial's dataset, and `0.8:42` for every other."""
    return TUTORIAL if dataset_name == "100k" else GENERAL


def parse_split(text: str) -> RandomSplit | None:
    """Parse `FRACTION:SEED`; None means the tutorial's split.

    Raises:
        MovierankError: the text is neither, the fraction is not between 0 and 1, or the seed is not a whole number.
    """
    if text == TUTORIAL:
        return None
    parts = re.fullmatch(r"([0-9]*\.?[0-9]+):([0-9]{1,18})", text)
    if parts is None or not 0 < float(parts[1]) < 1:
        raise MovierankError(
            f"Unknown split {text!r}; use tutorial, or FRACTION:SEED with 0 < FRACTION < 1, such as {GENERAL}."
        )
    return RandomSplit(float(parts[1]), int(parts[2]))


def split_ratings(dataset: Dataset, split: str = TUTORIAL) -> Split:
    """Split a dataset.

    Args:
        dataset: dataset to split.
        split: `tutorial` (the first 80,000 of the tutorial's shuffle train, the next 20,000 test) or `FRACTION:SEED`.

    Raises:
        MovierankError: the text is bad, the dataset has no such split, or a part would be empty.
    """
    chosen = parse_split(split)
    return _tutorial_split(dataset) if chosen is None else _random_split(dataset.ratings, chosen)


def _tutorial_split(dataset: Dataset) -> Split:
    order, needed = dataset.tutorial_order, TUTORIAL_TRAIN + TUTORIAL_TEST
    if order is None or len(order) < needed:
        why = "has no such order" if order is None else f"has only {len(order)} ratings of the {needed} it needs"
        raise MovierankError(f"The tutorial's split is not defined for {dataset.name}, which {why}; use {GENERAL}.")
    return Split(
        train=dataset.ratings.take(order[:TUTORIAL_TRAIN]),
        test=dataset.ratings.take(order[TUTORIAL_TRAIN:needed]),
        name=TUTORIAL,
    )


def _random_split(ratings: Ratings, chosen: RandomSplit) -> Split:
    # The user gave a decimal, and 190 * 0.55 is a little more than 104.5 in floating point.
    train = round(Fraction(repr(chosen.fraction)) * len(ratings))
    if not 0 < train < len(ratings):
        raise MovierankError(f"The split {chosen.name} of {len(ratings)} ratings leaves a part empty.")
    order = np.arange(len(ratings), dtype=np.int32)
    np.random.Generator(np.random.Philox(chosen.seed)).shuffle(order)
    return Split(train=ratings.take(order[:train]), test=ratings.take(order[train:]), name=chosen.name)
