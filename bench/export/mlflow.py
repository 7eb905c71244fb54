"""Reports as runs of MLflow: a run a report with its summary and files, and below it a run a worker.

MLflow wants times of its own; all are the report's beginning and end, since a report has no others.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError
from bench.report.file import PAGE_NAME
from bench.report.view import View
from bench.schema.run import Run
from bench.text.headline import headline
from movierank.install_hint import install_hint

if TYPE_CHECKING:
    from mlflow import MlflowClient

SINGLE = ("import_s", "data_s", "build_s", "first_step_s", "train_s", "evaluate_s", "predict_s", "peak_rss_mib")
# What MLflow takes: characters of a tag's value, and parameters in one request (of metrics it takes 1000).
LONGEST_VALUE = 5000
MOST_AT_ONCE = 100

T = TypeVar("T")


def log_runs(reports: Sequence[View], tracking_uri: str | None, experiment: str) -> tuple[int, str]:
    """Log reports to a tracking server or store; return how many runs that made, and the store's URI.

    Args:
        reports: at least one.
        tracking_uri: URI as MLflow takes it; None for MLflow's default (`MLFLOW_TRACKING_URI`, or a file in the current
            folder).
        experiment: name of the experiment; created where it does not exist.

    Raises:
        BenchError: MLflow is not installed or what it says of a store that cannot be used. What was logged before stays
            there, marked failed.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise BenchError(f"MLflow is not installed: {install_hint('mlflow')}")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # MLflow's Git library complains where there is no git
    from mlflow import MlflowClient

    with _refusals():
        client = MlflowClient(tracking_uri=tracking_uri)
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        runs = sum(_Logger(client, experiment_id, view).log() for view in reports)
        return runs, str(client.tracking_uri)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Raise what MLflow refuses, or cannot reach, as a `BenchError` of one line."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, ImportError) as error:
        raise BenchError(f"MLflow: {' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class _Logger:
    client: MlflowClient
    experiment_id: str
    view: View

    @property
    def began_ms(self) -> int:
        return round(1e3 * self.view.started.timestamp())

    @property
    def ended_ms(self) -> int:
        ended = self.view.finished
        return self.began_ms if ended is None else round(1e3 * ended.timestamp())

    def log(self) -> int:
        """Log the report and its workers, and return how many runs that made."""
        report = self.view.report
        params = {
            **{f"workload.{name}": getattr(report.workload, name) for name in report.workload.__struct_fields__},
            **{f"settings.{name}": getattr(report.settings, name) for name in report.settings.__struct_fields__},
            **{f"version.{name}": version for name, version in report.software.packages.items()},
            **{
                "python": report.software.python,
                "cpu": report.machine.cpu_model,
                "git_commit": report.software.git_commit,
            },
        }
        tags = {"mlflow.note.content": headline(self.view)}
        status = "FINISHED" if report.finished else "KILLED"
        with self._run(self.view.name, params, tags, list(self._summary()), status) as parent:
            stored = self.view.path
            for file in () if stored is None else (stored, stored.parent / PAGE_NAME):
                if file.is_file():
                    self.client.log_artifact(parent, str(file))
            for run in self.view.ran:
                self._worker(run, parent)
        return 1 + len(self.view.ran)

    def _worker(self, run: Run, parent: str) -> None:
        names = ("backend", "device", "device_name", "loop", "process", "seed", "compile_mode", "threads")
        params = {name: getattr(run, name) for name in (*names, "compile_cache", "steps_per_round", "status")}
        tags = {"mlflow.parentRunId": parent} | ({"error": run.error} if run.error else {})
        status = "FINISHED" if run.status == "ok" else "FAILED"
        metrics = list(_measured(self.view, run))
        with self._run(f"{run.cell} {run.process}", params, tags, metrics, status):
            pass

    def _summary(self) -> Iterator[tuple[str, int, float]]:
        """Yield what the report says of each cell, by MLflow's names, which take no colon."""
        for row in self.view.summary.step_time:
            cell = str(row.cell).replace(":", "-")
            yield f"{cell}/step_time_ms", 0, row.median_ms
            if row.ci95_ms is not None:
                yield f"{cell}/step_time_ms_low", 0, row.ci95_ms[0]
                yield f"{cell}/step_time_ms_high", 0, row.ci95_ms[1]
        for score in self.view.summary.scores:
            yield f"{str(score.cell).replace(':', '-')}/test_{self.view.report.workload.metric}", 0, score.mean

    @contextlib.contextmanager
    def _run(
        self,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        metrics: Sequence[tuple[str, int, float]],
        status: str,
    ) -> Iterator[str]:
        """Make a run, yield its id, and end it with a status; `FAILED` where something goes wrong in between."""
        from mlflow.entities import Metric, Param

        cut = {key: value[:LONGEST_VALUE] for key, value in tags.items()}
        run = self.client.create_run(self.experiment_id, start_time=self.began_ms, tags=cut, run_name=name)
        run_id = run.info.run_id
        try:
            for few in _batches(metrics):
                self.client.log_batch(run_id, metrics=[Metric(key, value, self.began_ms, at) for key, at, value in few])
            known = [(key, value) for key, value in params.items() if value is not None]
            for some in _batches(known):
                self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in some])
            yield run_id
        except BaseException:
            self.client.set_terminated(run_id, "FAILED", end_time=self.ended_ms)
            raise
        self.client.set_terminated(run_id, status, end_time=self.ended_ms)


def _measured(view: View, run: Run) -> Iterator[tuple[str, int, float]]:
    """Yield name, step and value of all that a worker measured; the step is an epoch or a round, from 1, or 0."""
    metric = view.report.workload.metric
    for epoch, value in enumerate(run.train_scores, start=1):
        yield f"train_{metric}", epoch, value
    if run.test_score is not None:
        yield f"test_{metric}", len(run.train_scores), run.test_score
    for name in ("warmup_ms", "step_time_ms", "fit_setup_ms"):
        for number, value in enumerate(getattr(run, name), start=1):
            yield name, number, value
    if median := view.medians.get(run.cell, {}).get(run.process):
        yield "step_time_ms_median", 0, median
    for name in (*SINGLE, "peak_device_mib"):
        if (value := getattr(run, name)) is not None:
            yield name, 0, value


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), MOST_AT_ONCE):
        yield items[start : start + MOST_AT_ONCE]
