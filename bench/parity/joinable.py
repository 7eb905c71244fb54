"""What reports must share for the parity of all their cells to be judged together, and their common references."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bench.errors import BenchError
from bench.parity.stored import StoredReferences, from_arrays
from bench.report.comparable import workload_key
from bench.report.predictions import NamedReport
from bench.schema.parity import ORACLE, SeedEnvelope
from bench.schema.report import Report
from movierank.data.splits import Split
from movierank.oracle import KNOWN_VARIANTS


def require_joinable(reports: Sequence[NamedReport]) -> None:
    """Checks what `report.json` alone tells.

    Raises:
        BenchError: a report was measured from each backend's own initial weights or stores no references, or two
            have different workloads.
    """
    for name, report, _ in reports:
        if report.workload.not_judged is not None:
            raise BenchError(f"{name}: whether its trainings agree cannot be judged: {report.workload.not_judged}")
        if report.workload.init == "backend":
            raise BenchError(
                f"{name} was measured with each backend's own initial weights, so its trainings are different ones; "
                "measure again without --init backend"
            )
        if not report.envelopes and report.finished is None:
            raise BenchError(f"{name} was cut off before its parity was judged; `bench run --resume` goes on with it")
        if not report.envelopes:
            raise BenchError(
                f"{name} stores no references to judge by: it is of an older version, was measured with --no-parity, "
                "or on data for which parity must be asked for; measure it again with --parity"
            )
    first, *others = reports
    for other in others:
        differing = _differing(first.report, other.report)
        if differing:
            raise BenchError(
                f"{first.name} and {other.name} have different workloads: {differing}; measure both with the same"
            )
        if first.report.workload.weights_sha256 != other.report.workload.weights_sha256:
            raise BenchError(f"{first.name} and {other.name} {_different_weights(first.report, other.report)}")


def _differing(a: Report, b: Report) -> str:
    # Equal checksums mean equal ratings in equal order, by whatever name and from whatever source.
    ours, theirs = ({n: v for n, v in workload_key(report).items() if n != "dataset"} for report in (a, b))
    parts = [f"{_words(n)} {_short(n, ours[n])} and {_short(n, theirs[n])}" for n in ours if ours[n] != theirs[n]]
    return ", ".join(parts)


def _different_weights(a: Report, b: Report) -> str:
    if a.settings.seeds != b.settings.seeds:
        return f"have {a.settings.seeds} and {b.settings.seeds} seeds; measure both with the same --seeds"
    return (
        "start from different initial weights, as other backends or releases draw them; measure both in one run or by "
        "`versus`, or let build() set weights drawn by NumPy (docs/own-workload.md)"
    )


def _words(field: str) -> str:
    named = {"sha256": "sha256 of the dataset", "model_sha256": "sha256 of the model"}
    return named.get(field, field.replace("_", " "))


def _short(field: str, value: object) -> str:
    return f"{str(value)[:12]}…" if field.endswith("sha256") else str(value)


def common_references(reports: Sequence[NamedReport], split: Split) -> StoredReferences:
    """Returns what the trainings of all reports are judged by, with the split of their ratings.

    A seed that several reports have is judged by the rounding envelope of the oldest; the oracles of known deviations
    are those of any.

    Raises:
        BenchError: a report lacks its references, or those of two contradict each other.
    """
    for report in reports:
        last = f"epoch {report.report.workload.epochs}"
        for key in (f"{ORACLE}/s{envelope.seed}/{last}" for envelope in report.report.envelopes):
            if key not in report.arrays:
                raise BenchError(f"{report.name}: predictions.npz lacks {key!r}; measure the report again")
    for a, b in combinations(reports, 2):
        _require_same_oracles(a, b)
    envelopes: dict[int, SeedEnvelope] = {}
    for report in sorted(reports, key=lambda report: report.report.created):
        for envelope in report.report.envelopes:
            envelopes.setdefault(envelope.seed, envelope)
    everything = dict(ChainMap(*(report.arrays for report in reports)))
    return from_arrays(reports[0].report.workload, list(envelopes.values()), everything, split)


def _require_same_oracles(a: NamedReport, b: NamedReport) -> None:
    """Compares results of float64 that were stored as float32.

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
