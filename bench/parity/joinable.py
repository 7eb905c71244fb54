"""What reports must share for the parity of all their cells to be judged together."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import BenchError
from bench.report.comparable import workload_key
from bench.report.predictions import NamedReport
from bench.schema.report import Report


def require_joinable(reports: Sequence[NamedReport]) -> None:
    """Check what `report.json` alone says.

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
