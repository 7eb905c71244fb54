"""The references of a report in `predictions.npz`: its trainings can be judged again without training an oracle.

Stored are the oracles' test predictions. Their early stages follow from the first batches in a moment, and are worked
out for those seeds of which a training recorded them; what rounding does lies in `report.json` (`envelopes`). The
ratings are not stored, since a report may be published and MovieLens may not: they come from the reader's own data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.parity.distances import TestPart
from bench.parity.numpy_oracle import Reference
from bench.parity.stages import BIAS_TRACE, Values, early_values, first_batches
from bench.report.predictions import MOST_STORED, Arrays
from bench.schema.parity import ORACLE, SeedEnvelope
from bench.schema.run import Workload
from movierank.data.ratings import Ratings
from movierank.data.splits import Split
from movierank.oracle import KNOWN_VARIANTS, Oracle
from movierank.weights import initial_weights


@dataclass(frozen=True)
class StoredReferences:
    """What a report's trainings were judged by.

    Attributes:
        references: by seed.
        test: what the stored predictions are predictions of.
    """

    references: Mapping[int, Reference]
    test: TestPart


def to_arrays(references: Mapping[int, Reference]) -> Arrays:
    """Returns what is stored of references, by seed; by key in `predictions.npz`."""
    arrays: Arrays = {}
    for seed, reference in references.items():
        for name, values in {ORACLE: reference.oracle, **reference.variants}.items():
            arrays |= {
                f"{name}/s{seed}/{stage}": np.asarray(array, np.float32)
                for stage, array in values.items()
                if _is_late(stage)
            }
    return arrays


def from_arrays(
    workload: Workload, envelopes: Sequence[SeedEnvelope], arrays: Arrays, split: Split
) -> StoredReferences:
    """Builds the references of a report again.

    Args:
        workload: of the report.
        envelopes: of the report.
        arrays: of its `predictions.npz`.
        split: of the workload's ratings.
    """
    test = split.test.take(slice(0, MOST_STORED))
    batches = first_batches(split.train, workload.batch_size)
    references = {envelope.seed: _reference(workload, envelope, arrays, test, batches) for envelope in envelopes}
    return StoredReferences(references, TestPart.of(test.user_id, test.label))


def late_values(arrays: Arrays, name: str, seed: int) -> Values:
    """Returns what is stored of one oracle by stage: test predictions after each epoch, and training RMSEs.

    Args:
        arrays: of a report.
        name: `oracle`, or of a known deviation.
        seed: of the initial weights.
    """
    prefix = f"{name}/s{seed}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


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
