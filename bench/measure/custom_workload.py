"""The supervisor's side of a workload of the user's own: what it may be asked for, and what a worker says that it is.

Only workers import the user's module. The first backend of the run that is to be had describes it, and draws the
initial weights that all share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.errors import BenchError
from bench.measure.options import Options
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.report.predictions import MOST_STORED
from bench.schema.cell import bare_loop
from bench.schema.messages import CustomJob, Describe, Described, weights_name
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


@dataclass(frozen=True)
class OwnWorkload:
    """A workload of the user's own as a worker has described it.

    Attributes:
        target: for workers, as `bench.measure.custom_workload.absolute_target` returns it.
        described: the answer.
        folder: where the initial weights lie.
        record: for the report.
    """

    target: str
    described: Described
    folder: Path
    record: Workload

    @property
    def stored(self) -> int:
        """How many test examples' predictions are stored: as many numbers as of the built-in workload."""
        return max(1, MOST_STORED // self.described.outputs)

    def part_of_job(self, seed: int) -> CustomJob:
        """Returns what a job says of it."""
        weights = str((self.folder / weights_name(seed)).absolute())
        tests_epochs = self.described.target is not None
        return CustomJob(
            target=self.target,
            metric=self.described.metric,
            weights=weights,
            tests_epochs=tests_epochs,
            has_floor=self.described.step_operations is not None,
        )


def refuse_what_is_built_in(options: Options) -> None:
    """Refuses options and loops that only the built-in workload has.

    Raises:
        BenchError: naming them.
    """
    defaults = {field.name: field.default for field in fields(Options)}
    given = [name for name in BUILT_IN if getattr(options, name) != defaults[name]]
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise BenchError(
            f"{named}: the built-in workload's; {options.workload} says its own data, batch size, epochs and target"
        )
    if options.envelope == "backend":
        raise BenchError(
            f"--envelope: {options.workload} is judged by its backend's own rounding anyway; leave it away"
        )
    native = [str(cell) for cell in options.cells if parse_loop(bare_loop(cell.loop))[0] == "native"]
    if native:
        raise BenchError(
            f"--loops: native is the built-in model written by hand, and cannot train {options.workload}; "
            "choose fit or fused"
        )


def describe(
    options: Options, variables: Mapping[str, str], worker_command: Sequence[str], folder: Path
) -> OwnWorkload:
    """Asks a worker what the workload is.

    Args:
        options: with `workload` set.
        variables: that a worker's environment starts from.
        worker_command: program and arguments of a worker.
        folder: for the initial weights; lasts as long as the measurement.

    Raises:
        BenchError: there is no such workload, something is wrong with it, or no backend of the run is to be had.
    """
    target = absolute_target(options.workload or "")
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
            with WorkerProcess(worker_command, environment, options.output / LOG_NAME, options.timeout_s) as worker:
                described = worker.ask(message, Described)
        except WorkerLostError as error:
            if error.status == "skipped":
                skipped.append(error.error)
                continue
            raise BenchError(
                f"{error.error}\n  (log: {options.output / LOG_NAME})" if "\n" not in error.error else error.error
            ) from error
        return OwnWorkload(target, described, folder, _record(options, described))
    raise BenchError(f"{options.workload}: no backend of the run is to be had here: {'; '.join(skipped)}")


def with_own(options: Options, own: OwnWorkload) -> Options:
    """Returns options with the batch size and epochs that the workload has."""
    return replace(options, batch_size=own.described.batch_size, epochs=own.described.epochs)


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
    """Returns `package.module:object` as it is, and `path/file.py:object` with the whole path, for a worker.

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
