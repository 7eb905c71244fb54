"""Event files that TensorBoard shows: a run a worker, RMSE by epoch, step time by round, and its hparams tab.

TensorBoard's own `EventFileWriter` imports TensorFlow where it is installed, only for its file system; so records are
written here with the writer below it. All events have the time at which the report was begun, since it has no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.export.folder import new_folder
from bench.report.view import View
from bench.schema.run import Run
from movierank.install_hint import install_hint

SECONDS = ("import_s", "build_s", "first_step_s", "train_s", "evaluate_s", "predict_s")
MEMORY = ("peak_rss_mib", "peak_device_mib")


def write_events(reports: Sequence[View], target: Path) -> int:
    """Write a folder of event files; `tensorboard --logdir` takes it. Return how many runs it has.

    A run of TensorBoard is `BACKEND-DEVICE-LOOP/PROCESS`, below the report's name where there are several reports.

    Raises:
        BenchError: TensorBoard is not installed, nothing has run, or `target` cannot be written or is not empty.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: F401  # absent where another package has the name
        from tensorboard.plugins.hparams import summary_v2
    except ImportError as error:
        raise BenchError(f"TensorBoard is not installed: {install_hint('tensorboard')}") from error
    ran = [(view, run) for view in reports for run in view.ran]
    if not ran:
        raise BenchError("nothing has run in these reports, so there are no events")
    hparams = [_hparams(view, run) for view, run in ran]
    experiment = summary_v2.hparams_config_pb(
        hparams=[summary_v2.HParam(name) for name in hparams[0]],
        metrics=[
            summary_v2.Metric(name) for name in dict.fromkeys(name for each in ran for name, _, _ in _values(*each))
        ],
        time_created_secs=ran[0][0].started.timestamp(),
    )
    with new_folder(target) as folder:
        _write(folder, ran[0][0].started.timestamp(), [(0, experiment)])
        for (view, run), chosen in zip(ran, hparams, strict=True):
            cell = str(run.cell).replace("/", "-").replace(":", "-")
            name = f"{view.name}/{cell}/{run.process}" if len(reports) > 1 else f"{cell}/{run.process}"
            began = view.started.timestamp()
            session = summary_v2.hparams_pb(chosen, trial_id=name, start_time_secs=began)
            _write(folder / name, began, [(0, session), *_scalars(view, run)])
    return len(ran)


def _hparams(view: View, run: Run) -> dict[str, Any]:
    workload = view.report.workload
    return {
        **{"report": view.name, "backend": run.backend, "device": run.device, "loop": run.loop},
        **{"process": run.process, "seed": run.seed, "status": run.status, "dataset": workload.dataset},
        **{"batch_size": workload.batch_size, "learning_rate": workload.learning_rate},
    }


def _values(view: View, run: Run) -> Iterator[tuple[str, int, float]]:
    """Yield tag, step and value of all that a worker measured; the step is an epoch or a round, from 1."""
    metric = view.report.workload.metric
    for epoch, value in enumerate(run.train_scores, start=1):
        yield f"train/{metric}", epoch, value
    if run.test_score is not None:
        yield f"test/{metric}", max(1, len(run.train_scores)), run.test_score
    for number, value in enumerate(run.warmup_ms, start=1):
        yield "step_time_ms/warm-up", number, value
    for number, value in enumerate(run.step_time_ms, start=1):
        yield "step_time_ms/steady", number, value
    for group, fields in (("seconds", SECONDS), ("memory", MEMORY)):
        for field in fields:
            if (value := getattr(run, field)) is not None:
                yield f"{group}/{field}", 1, value


def _scalars(view: View, run: Run) -> Iterator[tuple[int, Any]]:
    from tensorboard.compat.proto.summary_pb2 import Summary

    for name, step, value in _values(view, run):
        yield step, Summary(value=[Summary.Value(tag=name, simple_value=value)])


def _write(folder: Path, seconds: float, summaries: Iterable[tuple[int, Any]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard knows an event file by `tfevents` in its name.
    with (folder / f"events.out.tfevents.{seconds:.0f}.movierank-bench").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
        for step, summary in summaries:
            writer.write(Event(wall_time=seconds, step=step, summary=summary).SerializeToString())
