"""Rounds as CSV, one a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench.report.view import View

COLUMNS = (
    *("report", "created", "dataset", "batch_size", "backend", "device", "loop", "process", "seed", "status"),
    *("compile_mode", "round", "turn", "steps", "step_time_ms", "handover", "counts"),
)


def as_csv(reports: Sequence[View]) -> str:
    """Return a header and a row a round, in the order of the runs; what is not known is empty.

    Runs that failed later keep the rounds that they measured; a run without rounds has no row. `counts` says whether a
    round is one of those that statistics are made of (`bench.report.rounds`).
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for view in reports:
        report = view.report
        for run, counting in zip(report.runs, view.counting, strict=True):
            for number, (step_time_ms, counts) in enumerate(zip(run.step_time_ms, counting, strict=True)):
                turn = run.turns[number] if number < len(run.turns) else None
                handover = run.handover[number] if number < len(run.handover) else None
                writer.writerow(
                    (
                        *(view.name, report.created, report.workload.dataset, report.workload.batch_size),
                        *(run.backend, run.device, run.loop, run.process, run.seed, run.status, run.compile_mode),
                        *(number, turn, run.steps_per_round, repr(step_time_ms), handover, "yes" if counts else "no"),
                    )
                )
    return text.getvalue()
