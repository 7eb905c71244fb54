"""Trainings as MLPerf's `:::MLLOG` lines, with the keys of mlcommons/logging's `mllog/constants.py`.

A report does not say when a worker did what, only how long its phases took. So `time_ms` is no time of day:
it counts from 0 at the worker's start, and what lies between the measured phases is left out. MLPerf's tools take
differences of it. An event whose time is not known is left out, and so is whatever a report does not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bench.errors import BenchError
from bench.report.view import View
from bench.schema.report import Report
from bench.schema.run import Run

PREFIX = ":::MLLOG "
POINT, START, END = "POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"


def as_files(reports: Sequence[View]) -> dict[str, str]:
    """Return a file's text by its path: `CELL/result_PROCESS.txt`, as MLPerf lays results out.

    They lie in a folder a report where there are several reports. Skipped runs have none.

    Args:
        reports: at least one.
    """
    files = {}
    for view in reports:
        folder = f"{view.name}/" if len(reports) > 1 else ""
        for run in view.ran:
            cell = str(run.cell).replace("/", "-").replace(":", "-")
            files[f"{folder}{cell}/result_{run.process}.txt"] = _text(view.report, run)
    return files


def as_one_file(reports: Sequence[View]) -> str:
    """Return the lines of all runs, one run after the other; the namespace of a line names its run.

    Raises:
        BenchError: nothing has run.
    """
    several = len(reports) > 1
    texts = [_text(view.report, run, f"{view.name}/" if several else "") for view in reports for run in view.ran]
    if not texts:
        raise BenchError("nothing has run in these reports, so there are no events")
    return "".join(texts)


def _text(report: Report, run: Run, before: str = "") -> str:
    namespace = f"{before}{run.cell}/{run.process}"
    return "".join(
        PREFIX
        + json.dumps(
            {
                "namespace": namespace,
                "time_ms": round(1e3 * seconds),
                "event_type": event_type,
                "key": key,
                "value": value,
                "metadata": metadata,
            },
            allow_nan=False,
        )
        + "\n"
        for seconds, event_type, key, value, metadata in _events(report, run)
    )


Event = tuple[float, str, str, Any, dict[str, Any]]


def _events(report: Report, run: Run) -> Iterator[Event]:
    """Yield seconds since the worker's start, type, key, value and metadata of each event."""
    yield 0, START, "init_start", None, {"created": report.created}
    for key, value in _facts(report, run).items():
        yield 0, POINT, key, value, {}
    phases = (run.import_s, run.data_s, run.build_s, run.first_step_s)
    if None in phases:
        return
    now = sum(phase for phase in phases if phase is not None)
    yield now, END, "init_stop", None, {}
    if run.train_s is None or not run.train_scores:
        return
    block = {"first_epoch_num": 1, "epoch_count": len(run.train_scores)}
    yield now, START, "run_start", None, {}
    yield now, START, "block_start", None, block
    now += run.train_s
    yield now, END, "block_stop", None, block
    if run.evaluate_s is None or run.test_score is None:
        return
    epoch = {"epoch_num": len(run.train_scores)}
    yield now, START, "eval_start", None, epoch
    now += run.evaluate_s
    named = {"metric": report.workload.metric, "better": report.workload.better}
    yield now, POINT, "eval_accuracy", run.test_score, {**epoch, **named}
    yield now, END, "eval_stop", None, epoch
    yield now, END, "run_stop", None, {"status": "success" if run.status == "ok" else "aborted"}


def _facts(report: Report, run: Run) -> dict[str, Any]:
    workload = report.workload
    custom = workload.workload is not None
    return {
        "submission_benchmark": workload.dataset if custom else f"movierank-{workload.dataset}",
        "submission_platform": f"{run.backend} on {run.device_name or run.device}, {report.machine.cpu_model}",
        "seed": run.seed,
        "global_batch_size": workload.batch_size,
        "opt_name": workload.optimizer.lower() if workload.optimizer else "adagrad",
        "opt_base_learning_rate": workload.learning_rate,
        "train_samples": workload.num_train,
        "eval_samples": workload.num_test,
    }
