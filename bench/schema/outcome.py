"""Exit codes."""

from __future__ import annotations

from bench.schema.parity import breaks_parity
from bench.schema.report import Report

FINE, WORSE, BAD_INPUT, RUNS_FAILED = 0, 1, 2, 3


def exit_code(report: Report) -> int:
    """Return the exit code of a report: 3 where a run failed or nothing was measured, 1 where parity is broken, else 0.

    A backend or device that is missing on this machine is not a failure as long as another one was measured. Reduced
    precision does not break parity.
    """
    statuses = {run.status for run in report.runs}
    if "ok" not in statuses or statuses - {"ok", "skipped"}:
        return RUNS_FAILED
    if any(map(breaks_parity, report.parity)):
        return WORSE
    return FINE
