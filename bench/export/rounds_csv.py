"""Rounds as CSV, one a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench.export.exported import Exported

COLUMNS = (
    *("report", "created", "dataset", "batch_size", "backend", "device", "loop", "process", "seed", "status"),
    *("compile_mode", "round", "turn", "steps", "step_time_ms"),
)


def as_csv(reports: Sequence[Exported]) -> str:
    """Returns a header and a row a round, in the order of the runs; what is not known is empty.

    Runs that failed later keep the rounds that they measured; a run without rounds has no row.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for exported in reports:
        report = exported.report
        for run in report.runs:
            for number, step_time_ms in enumerate(run.step_time_ms):
                turn = run.turns[number] if number < len(run.turns) else None
                writer.writerow(
                    (
                        *(exported.name, report.created, report.workload.dataset, report.workload.batch_size),
                        *(run.backend, run.device, run.loop, run.process, run.seed, run.status, run.compile_mode),
                        *(number, turn, run.steps_per_round, repr(step_time_ms)),
                    )
                )
    return text.getvalue()
