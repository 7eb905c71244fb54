"""The references of a report in `predictions.npz`: its trainings can be judged again without training an oracle.

Stored are the test part, the first batches, and the oracles' test predictions. The oracles' early stages follow from
the first batches in a moment, and are worked out for those seeds of which a training recorded them; what rounding does
lies in `report.json` (`envelopes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.distances import TestPart
from bench.errors import BenchError
from bench.parity_records import SeedEnvelope
from bench.predictions import Arrays
from bench.reference import Reference
from bench.report import Workload
from bench.stages import BIAS_TRACE, Values, early_values
from movierank.oracle import KNOWN_VARIANTS, Oracle
from movierank.ratings import Ratings
from movierank.weights import initial_weights

ORACLE = "oracle"
TEST = "test"
FIRST_BATCHES = "first batches"


@dataclass(frozen=True)
class StoredReferences:
    """What a report's trainings were judged by.

    Attributes:
        references: by seed.
        test: what the stored predictions are predictions of.
        test_ratings: the same as ratings.
    """

    references: Mapping[int, Reference]
    test: TestPart
    test_ratings: Ratings


def to_arrays(references: Mapping[int, Reference], test: Ratings, batches: Sequence[Ratings]) -> Arrays:
    """Returns what is stored of references, by key in `predictions.npz`.

    Args:
        references: by seed.
        test: the part of the test part that is predicted at every stage.
        batches: the first of an epoch.
    """
    arrays: dict[str, npt.NDArray[Any]] = {f"{TEST}/{name}": array for name, array in vars(test).items()}
    for name in ("user_id", "movie_id", "label"):
        arrays[f"{FIRST_BATCHES}/{name}"] = np.concatenate([getattr(batch, name) for batch in batches])
    arrays[f"{FIRST_BATCHES}/sizes"] = np.array([len(batch) for batch in batches])
    for seed, reference in references.items():
        for name, values in {ORACLE: reference.oracle, **reference.variants}.items():
            arrays |= {
                f"{name}/s{seed}/{stage}": np.asarray(array, np.float32)
                for stage, array in values.items()
                if _is_late(stage)
            }
    return arrays


def from_arrays(workload: Workload, envelopes: Sequence[SeedEnvelope], arrays: Arrays) -> StoredReferences:
    """Builds the references of a report again.

    Raises:
        BenchError: the report holds none; it has to be measured anew.
    """
    try:
        test = Ratings(*(arrays[f"{TEST}/{name}"] for name in ("user_id", "movie_id", "label")))
        batches = _batches(arrays)
        references = {envelope.seed: _reference(workload, envelope, arrays, test, batches) for envelope in envelopes}
    except KeyError as error:
        raise BenchError(f"predictions.npz lacks {error}; measure the report again with this version") from error
    return StoredReferences(references, TestPart.of(test.user_id, test.label), test)


def late_values(arrays: Arrays, name: str, seed: int) -> Values:
    """Returns what is stored of one oracle by stage: test predictions after each epoch, and training RMSEs.

    Args:
        arrays: of a report.
        name: `oracle`, or of a known deviation.
        seed: of the initial weights.
    """
    prefix = f"{name}/s{seed}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _batches(arrays: Arrays) -> list[Ratings]:
    together = Ratings(*(arrays[f"{FIRST_BATCHES}/{name}"] for name in ("user_id", "movie_id", "label")))
    ends = [0, *(int(end) for end in np.cumsum(arrays[f"{FIRST_BATCHES}/sizes"]))]
    return [together.take(slice(start, end)) for start, end in pairwise(ends)]


def _reference(
    workload: Workload, envelope: SeedEnvelope, arrays: Arrays, test: Ratings, batches: Sequence[Ratings]
) -> Reference:
    weights = initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=envelope.seed)
    # float32 would be too coarse to compare untrained predictions with.
    forward = Oracle(weights).predict(test.user_id, test.movie_id)
    recorded = any(key.endswith(f"/s{envelope.seed}/{BIAS_TRACE}") for key in arrays)

    def values(name: str) -> Values:
        squares = KNOWN_VARIANTS.get(name, "sum_then_square")

        def build() -> Oracle:
            return Oracle(weights, learning_rate=workload.learning_rate, squares=squares)

        early = early_values(build, batches) if recorded else {}
        return {"forward": forward, **early, **late_values(arrays, name, envelope.seed)}

    present = {key.partition("/")[0] for key in arrays}
    variants = {name: values(name) for name in KNOWN_VARIANTS if name in present}
    return Reference(envelope.stages, envelope.bias_step, values(ORACLE), variants)


def _is_late(stage: str) -> bool:
    return stage.startswith("epoch ") or stage == "training rmse"
