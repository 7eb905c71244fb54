"""What a finished report means to a script."""

from __future__ import annotations

from bench.parity_records import ParityResult
from bench.precision import is_reduced
from bench.report import Report

FINE, WORSE, BAD_INPUT, RUNS_FAILED = 0, 1, 2, 3


def exit_code(report: Report) -> int:
    """Returns 3 where a run failed or nothing was measured, 1 where parity is broken, else 0.

    A backend or device that is missing on this machine is no failure as long as another one was measured, and
    reduced precision breaks no parity.
    """
    statuses = {run.status for run in report.runs}
    if "ok" not in statuses or statuses - {"ok", "skipped"}:
        return RUNS_FAILED
    if any(map(breaks_parity, report.parity)):
        return WORSE
    return FINE


def counts(result: ParityResult) -> bool:
    """Returns whether parity is broken where this record is `outside`: both of its trainings are in float32.

    Other arithmetic was asked for, and to lie outside float32's rounding is what it does.
    """
    return not is_reduced(result.a) and not is_reduced(result.b)


def breaks_parity(result: ParityResult) -> bool:
    """Returns whether a record tells of another model: outside, explained by nothing known, and in float32."""
    return result.verdict == "outside" and result.known is None and counts(result)
