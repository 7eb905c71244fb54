"""A custom workload on the supervisor's side: what a user may ask for, and what a worker describes.

Only workers import the user's module. The first available backend of the run describes the workload, and draws the
initial weights that all share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from msgspec.structs import replace

from bench.errors import BenchError
from bench.measure.options import Options
from bench.measure.plan import Side
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.measure.recorder import Recorder
from bench.measure.subject import Say, Subject
from bench.parity.backend_oracle import reference_of
from bench.parity.rules import BackendRules
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.trainings import Place, Reference, Trajectory
from bench.report.predictions import MOST_STORED, load_arrays
from bench.report.time_to_target import time_to_metric
from bench.schema.cell import Cell, bare_loop
from bench.schema.derived import TimeToTarget
from bench.schema.messages import CustomJob, Describe, Described, Job, weights_name
from bench.schema.parity import COPIES
from bench.schema.run import Workload
from bench.system.environment import worker_environment
from movierank.loops import parse_loop

LOG_NAME = Path("logs") / "workload.log"
BUILT_IN = (
    "dataset",
    "data_source",
    "data_path",
    "split",
    "batch_size",
    "epochs",
    "embedding_dimension",
    "learning_rate",
    "target_rmse",
)


@dataclass(frozen=True, kw_only=True)
class CustomSubject(Subject):
    """A custom workload as a worker has described it.

    Attributes:
        target: `--workload` for workers, as `absolute_target` returns it.
        described: the worker's reply.
        folder: folder that holds the initial weights.
    """

    target: str
    described: Described
    folder: Path

    @property
    def stored_predictions(self) -> int:
        """Number of test examples whose predictions are stored: as many numbers as of the built-in workload."""
        return max(1, MOST_STORED // self.described.outputs)

    def custom_job(self, seed: int) -> CustomJob:
        """Return the part of a job that names the workload and its initial weights."""
        return CustomJob(
            target=self.target,
            metric=self.described.metric,
            weights=str((self.folder / weights_name(seed)).absolute()),
            tests_epochs=self.described.target is not None,
            has_floor=self.described.step_operations is not None,
        )

    @property
    def rules(self) -> BackendRules:
        """Rules of a custom workload."""
        return BackendRules(tables=self.described.tables, units=self.described.traced)

    def train_reference(
        self, place: Place | None, seed: int, judged: Sequence[Trajectory], side: Side, folder: Path, say: Say
    ) -> Reference | None:
        """Train the float64 oracle on the backend itself, or a float32 run in its place, and the copies."""
        if place is None:
            raise TypeError("an oracle of a custom workload has a place")
        job = side.make_job(Cell(backend=place.backend, device=place.device, loop=place.loop), seed)
        job = replace(
            job,
            early_stages=any(BIAS_TRACE in training.values for training in judged),
            predictions=str((folder / "reference.npz").absolute()),
            custom=None if job.custom is None else replace(job.custom, tests_epochs=False),
        )
        exact = plain = None
        try:
            copies = _trainings(side, job, range(COPIES))
            try:
                (exact,) = _trainings(side, replace(job, precision="float64"), [None])
            except WorkerLostError as error:
                say(f"{place}: no oracle in float64, so that only pairs of cells are judged: {error.error}")
                (plain,) = _trainings(side, job, [None])
        except WorkerLostError as error:
            say(f"{place}: its parity is not judged, since its copies could not be trained: {error.error}")
            return None
        counts = {"training": self.described.num_train, "test": self.described.num_test}
        examples = {f"{part} {self.described.metric}": count for part, count in counts.items()}
        return reference_of(exact, plain, copies, examples)

    def time_to_target(self, recorder: Recorder) -> list[TimeToTarget]:
        """Return how long each cell trains until the workload's metric is at its target or better, if it has one."""
        return time_to_metric(recorder.runs, self.record)


def _trainings(side: Side, job: Job, copies: Iterable[int | None]) -> list[Values]:
    """Return the values of trainings, all by one worker.

    Raises:
        WorkerLostError: the worker cannot go on, or what it left cannot be read.
    """
    what = "oracle" if job.precision == "float64" else "copies"
    try:
        return side.train(job, what, copies, lambda number, reply: load_arrays(Path(job.predictions)))
    except BenchError as error:
        raise WorkerLostError("failed", str(error)) from error


def refuse_built_in_options(options: Options) -> None:
    """Refuse options and loops that only the built-in workload has.

    Raises:
        BenchError: an option or a loop is the built-in workload's.
    """
    defaults = {field.name: field.default for field in fields(Options)}
    given = [name for name in BUILT_IN if getattr(options, name) != defaults[name]]
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BenchError(
            f"{named}: the built-in workload's; {options.workload} says its own data, batch size, epochs and target"
        )
    if options.envelope == "backend":
        raise BenchError(f"--envelope: {options.workload} is judged by its backend's own rounding anyway; drop it")
    native = [str(cell) for cell in options.cells if parse_loop(bare_loop(cell.loop))[0] == "native"]
    if native:
        raise BenchError(
            f"--loops: native is the built-in model written by hand, and cannot train {options.workload}; "
            "choose fit or fused"
        )


def describe(options: Options, variables: Mapping[str, str], folder: Path) -> CustomSubject:
    """Ask a worker what the workload is.

    Args:
        options: options with `workload` set.
        variables: variables that a worker's environment starts from.
        folder: for the initial weights; lasts as long as the measurement.

    Raises:
        BenchError: there is no such workload, it is wrong, or no backend of the run is available.
    """
    target = absolute_target(options.workload or "")
    log = options.output / LOG_NAME
    skipped = []
    for backend, device in dict.fromkeys((cell.backend, cell.device) for cell in options.cells):
        message = Describe(
            backend=backend,
            device=device,
            threads=options.threads,
            target=target,
            seeds=options.seeds,
            folder=str(folder.absolute()),
        )
        environment = worker_environment(backend, device, options.threads, variables)
        try:
            with WorkerProcess(options.worker_command, environment, log, options.timeout_s) as worker:
                described = worker.ask(message, Described)
        except WorkerLostError as error:
            if error.status == "skipped":
                skipped.append(error.error)
                continue
            where = "" if "\n" in error.error else f"\n  (log: {log})"
            raise BenchError(f"{error.error}{where}") from error
        record = _record(options, described)
        return CustomSubject(options=options, record=record, target=target, described=described, folder=folder)
    raise BenchError(f"{options.workload}: no backend of the run is available here: {'; '.join(skipped)}")


def _record(options: Options, described: Described) -> Workload:
    drawn = ", ".join(described.random)
    return Workload(
        dataset=described.name,
        source="own",
        sha256=described.sha256,
        split="own",
        num_users=0,
        num_movies=0,
        num_train=described.num_train,
        num_test=described.num_test,
        batch_size=described.batch_size,
        epochs=described.epochs,
        embedding_dimension=0,
        learning_rate=described.learning_rate,
        init=options.init,
        workload=options.workload,
        metric=described.metric,
        better=described.better,
        target=described.target,
        tables=described.tables,
        step_operations=described.step_operations,
        step_bytes=described.step_bytes,
        model_sha256=described.model_sha256,
        weights_sha256=described.weights_sha256 if options.init == "shared" else None,
        parameters=described.parameters,
        optimizer=described.optimizer,
        not_judged=f"{drawn} draws other random numbers on each backend" if drawn else None,
    )


def absolute_target(text: str) -> str:
    """Return `package.module:object` as it is, and `path/file.py:object` with the whole path, for a worker.

    Raises:
        BenchError: it is neither, or there is no such file.
    """
    where, _, name = text.rpartition(":")
    if not where or not name.isidentifier():
        raise BenchError(
            f"--workload {text}: give module:object or path/file.py:object, such as examples/digits.py:digits"
        )
    if not where.endswith(".py"):
        return text
    path = Path(where)
    if not path.is_file():
        raise BenchError(f"--workload {text}: there is no file {where}")
    return f"{path.absolute()}:{name}"
