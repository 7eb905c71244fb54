"""The references of reports on disk: their trainings can be judged again without training an oracle.

What rounding does lies in `report.json` (`envelopes`), the oracles in `predictions.npz`. Of the built-in workload those
are test predictions, in float32. The early stages follow from the first batches in a moment, and are computed for those
seeds of which a training recorded them. The ratings are not stored, since a report may be published and MovieLens may
not: they come from the reader's own data. Of a custom workload all stages are stored, in float64: in float32 they would
be as far from what they were as rounding takes a training.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.errors import BenchError
from bench.parity.distances import TestPart
from bench.parity.rules import BackendRules, NumpyRules, Rules
from bench.parity.stages import BIAS_TRACE, Values, early_values, first_batches
from bench.parity.trainings import Place, Reference, ReferenceKey, References
from bench.report.predictions import MOST_STORED, Arrays, NamedReport
from bench.schema.parity import ORACLE, SeedEnvelope
from bench.schema.run import Workload
from movierank.data.splits import Split
from movierank.oracle import KNOWN_VARIANTS, Oracle
from movierank.weights import initial_weights


@dataclass(frozen=True)
class Stored:
    """What the trainings of some reports are judged by.

    Attributes:
        rules: rules of their workload.
        alone: references of each report, by which it was judged.
        together: references by which the trainings of each report are judged beside the others'.
    """

    rules: Rules
    alone: Sequence[References]
    together: Sequence[References]


def to_arrays(references: References) -> Arrays:
    """Return what `predictions.npz` keeps of references, by keys such as `oracle/s0/epoch 1`.

    A custom workload has the place in its keys: `oracle/jax/cpu/s0/epoch 1`.
    """
    arrays: Arrays = {}
    for (place, seed), reference in references.items():
        for name, values in {ORACLE: reference.oracle or {}, **reference.variants}.items():
            if place is None:
                late = {stage: np.asarray(array, np.float32) for stage, array in values.items() if _is_late(stage)}
                arrays |= {f"{name}/s{seed}/{stage}": array for stage, array in late.items()}
            else:
                arrays |= {f"{name}/{place}/s{seed}/{stage}": array for stage, array in values.items()}
    return arrays


def references_of(reports: Sequence[NamedReport], split: Split | None) -> Stored:
    """Return what the trainings of reports with one workload are judged by.

    Args:
        reports: at least one.
        split: the split of the built-in workload's ratings; None for a custom workload.

    Raises:
        BenchError: a report lacks its references, or those of two contradict each other.
    """
    if split is None:
        references = [_of_backends(report) for report in reports]
        rules = BackendRules(tables=reports[0].report.workload.tables, units=_trace_names(reports))
        return Stored(rules, references, references)
    return _of_numpy(reports, split)


def _of_backends(report: NamedReport) -> References:
    judged = {row.a.rpartition("/")[0] for row in report.report.parity if row.b == ORACLE}
    found: dict[ReferenceKey, Reference] = {}
    for envelope in report.report.envelopes:
        if envelope.place is None:
            continue
        place = Place(*envelope.place.split("/"))
        values = _values(report.arrays, f"{ORACLE}/{place}", envelope.seed)
        if not values and f"{place.backend}/{place.device}" in judged:
            raise BenchError(
                f"{report.name} stores no oracle of {place} to judge by: it is of an older version; measure it again"
            )
        found[place, envelope.seed] = Reference(envelope.stages, envelope.bias_step, values or None)
    return found


def _of_numpy(reports: Sequence[NamedReport], split: Split) -> Stored:
    """Return the references of the built-in workload.

    A seed that several reports have is judged together by the rounding envelope of the oldest; the oracles of known
    deviations are those of any.
    """
    workload = reports[0].report.workload
    for report in reports:
        for key in (f"{ORACLE}/s{e.seed}/epoch {workload.epochs}" for e in report.report.envelopes):
            if key not in report.arrays:
                raise BenchError(f"{report.name}: predictions.npz lacks {key!r}; measure the report again")
    for a, b in combinations(reports, 2):
        _require_same_oracles(a, b)
    oldest: dict[int, SeedEnvelope] = {}
    for report in sorted(reports, key=lambda report: report.report.created):
        for envelope in report.report.envelopes:
            oldest.setdefault(envelope.seed, envelope)
    everything = dict(ChainMap(*(report.arrays for report in reports)))
    early = {seed: _early(workload, seed, everything, split) for seed in oldest}

    def references(envelopes: Sequence[SeedEnvelope], arrays: Arrays) -> References:
        return {(None, envelope.seed): _reference(envelope, early[envelope.seed], arrays) for envelope in envelopes}

    return Stored(
        NumpyRules(test=TestPart.stored(split), epochs=workload.epochs),
        [references(report.report.envelopes, report.arrays) for report in reports],
        [references(list(oldest.values()), everything)] * len(reports),
    )


def _early(workload: Workload, seed: int, arrays: Arrays, split: Split) -> Mapping[str, Values]:
    """Return the stages of the oracles that are not stored, by name of the oracle."""
    weights = initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=seed)
    test = split.test.take(slice(0, MOST_STORED))
    # float32 would be too coarse to compare untrained predictions with.
    forward = Oracle(weights).predict(test.user_id, test.movie_id)
    recorded = any(key.endswith(f"/s{seed}/{BIAS_TRACE}") for key in arrays)
    batches = first_batches(split.train, workload.batch_size)

    def values(name: str) -> Values:
        squares = KNOWN_VARIANTS.get(name, "sum_then_square")
        rate = workload.learning_rate
        early = early_values(lambda: Oracle(weights, learning_rate=rate, squares=squares), batches) if recorded else {}
        return {"forward": forward, **early}

    present = {key.partition("/")[0] for key in arrays}
    return {name: values(name) for name in (ORACLE, *KNOWN_VARIANTS) if name in present}


def _reference(envelope: SeedEnvelope, early: Mapping[str, Values], arrays: Arrays) -> Reference:
    late = {name: _values(arrays, name, envelope.seed) for name in early}
    oracles = {name: {**early[name], **late[name]} for name in early if late[name]}
    oracle = oracles.pop(ORACLE)
    return Reference(envelope.stages, envelope.bias_step, oracle, oracles)


def _values(arrays: Arrays, name: str, seed: int) -> Values:
    """Return what is stored of one oracle by stage.

    Args:
        arrays: contents of a report's `predictions.npz`.
        name: `oracle`, followed by its place for a custom workload, or the name of a known deviation.
        seed: seed of the initial weights.
    """
    prefix = f"{name}/s{seed}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _is_late(stage: str) -> bool:
    return stage.startswith("epoch ") or stage == "training rmse"


def _trace_names(reports: Sequence[NamedReport]) -> list[str]:
    """Return the names of the numbers of a bias trace, as `bench.worker.workloads.recorder.trace_names` does.

    The moved weights of the first step are stored in the model's order; of those, vectors are traced.
    """
    for report in reports:
        for key, trace in report.arrays.items():
            if key.endswith(f"/{BIAS_TRACE}") and not key.startswith(f"{ORACLE}/"):
                moved = f"{key.removesuffix(BIAS_TRACE)}weights 1/"
                names = [
                    f"{stage.removeprefix(moved)}[{place}]"
                    for stage, array in report.arrays.items()
                    if stage.startswith(moved) and array.ndim == 1
                    for place in range(len(array))
                ]
                return names[: trace.shape[1]]
    return []


def _require_same_oracles(a: NamedReport, b: NamedReport) -> None:
    """Compare results of float64 that were stored as float32.

    BLAS sums in another order on another processor, and so moves a result by some 1e-12 of itself at most. That is
    nothing to float32, except where it decides which of two neighbouring numbers the result is rounded to: hence one
    spacing.
    """
    names = (ORACLE, *KNOWN_VARIANTS)
    for key in sorted(a.arrays.keys() & b.arrays.keys()):
        name, _, rest = key.partition("/")
        if name not in names:
            continue
        one, other = a.arrays[key], b.arrays[key]
        if one.shape == other.shape:
            apart = np.abs(one.astype(np.float64) - other)
            if np.all(apart <= np.spacing(np.maximum(np.abs(one), np.abs(other)))):
                continue
        seed, _, stage = rest.removeprefix("s").partition("/")
        raise BenchError(
            f"the float64 oracles stored in {a.name} and {b.name} differ (seed {seed}, {stage}): they were not trained "
            "from the same weights on the same ratings, or one is damaged"
        )
