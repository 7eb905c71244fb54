"""`python -m bench score`: how fast each backend finds the best movies of all users, and whether they are the best."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from rich.console import Console

from bench.environment import shared_environment, usable_cores, worker_environment
from bench.errors import BenchError
from bench.machine import describe_machine
from bench.options import WORKER_COMMAND
from bench.protocol import (
    Command,
    MeasureScoring,
    Reply,
    Scored,
    ScoreJob,
    ScoreReady,
    Stop,
    Stopped,
)
from bench.recorder import now
from bench.report import Cell
from bench.report_file import make_folder_of, write_json
from bench.score_agreement import Answer, judge
from bench.score_records import SCHEMA, ScoreReport, ScoreRun, ScoreSettings
from bench.score_summary import throughput
from bench.software import describe_software
from bench.worker_process import WorkerLostError, WorkerProcess
from movierank.weights import initial_weights

SEED = 0
ROUND_PAIRS = {"cpu": 4_000_000, "gpu": 400_000_000}  # half a second on two cores, some tenths on a large GPU
PREDICTED_PAIRS = 262_144
KINDS = ("top", "predict", "products")


@dataclass(frozen=True)
class Options:
    """What to score and how.

    Attributes:
        cells: backends and devices; their loop means nothing here.
        output: JSON file of the result.
        num_users: highest user id.
        num_movies: highest movie id.
        users: whose best movies a round searches; None for as many as make a round long enough to time.
        round_pairs: about as many pairs make a round long enough on the CPU.
        k: movies kept for each user.
        processes: for each cell.
        rounds: of a process, of each kind.
        threads: of a worker.
        order_seed: of the rounds' order.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
    """

    cells: Sequence[Cell]
    output: Path
    num_users: int = 943
    num_movies: int = 1682
    users: int | None = None
    round_pairs: int = ROUND_PAIRS["cpu"]
    k: int = 10
    processes: int = 3
    rounds: int = 5
    threads: int = field(default_factory=usable_cores)
    order_seed: int = 0
    timeout_s: float = 600.0
    worker_command: Sequence[str] = WORKER_COMMAND

    def __post_init__(self) -> None:
        """Refuses numbers that mean nothing.

        Raises:
            BenchError: naming the option.
        """
        for name in ("users", "k", "processes", "rounds", "threads"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise BenchError(f"--{name if name != 'k' else 'top'} must be at least 1; received {value}")
        if self.users is not None and self.users > self.num_users:
            raise BenchError(f"--users {self.users} is more than --size has ({self.num_users:,})")
        if not self.timeout_s > 0:
            raise BenchError(f"--timeout must be above 0; received {self.timeout_s}")

    def users_on(self, device: str) -> int:
        """Returns how many users' best movies a round searches."""
        pairs = self.round_pairs if device == "cpu" else ROUND_PAIRS["gpu"]
        return self.users or max(1, min(self.num_users, pairs // self.num_movies))

    def settings(self) -> ScoreSettings:
        """Returns the part that the result keeps."""
        return ScoreSettings(
            num_users=self.num_users,
            num_movies=self.num_movies,
            k=self.k,
            processes=self.processes,
            rounds=self.rounds,
            threads=self.threads,
            seed=SEED,
            order_seed=self.order_seed,
            timeout_s=self.timeout_s,
        )


def measure_scoring(options: Options, console: Console) -> ScoreReport:
    """Measures all cells, saving after every round, and returns the result.

    Raises:
        BenchError: the result cannot be written.
        KeyboardInterrupt: passed on; what was measured is saved.
    """
    make_folder_of(options.output)
    environment = shared_environment(options.cells[0].device, options.threads)
    report = ScoreReport(
        schema=SCHEMA,
        created=now(),
        machine=describe_machine(),
        software=describe_software(environment),
        settings=options.settings(),
    )
    with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder:
        scoring = Scoring(options, report, Path(folder), console)
        try:
            scoring.measure()
        finally:
            scoring.end()
    return scoring.report


class Scoring:
    """One measurement in progress.

    Args:
        options: what to measure.
        report: to fill.
        folder: for the workers' logs and answers.
        console: to say which process is being measured.
    """

    def __init__(self, options: Options, report: ScoreReport, folder: Path, console: Console) -> None:
        self.options = options
        self.report = report
        self.folder = folder
        self.console = console
        self.order = random.Random(options.order_seed)
        self.live: dict[str, WorkerProcess] = {}
        self.runs: dict[tuple[str, int], ScoreRun] = {}
        self.given_up: dict[str, str] = {}

    def measure(self) -> None:
        """Measures processes of all cells side by side, then the next ones; judges the answers of the first."""
        for process in range(self.options.processes):
            self.console.print(f"process {process + 1} of {self.options.processes}", highlight=False)
            for cell in self.order.sample(list(self.options.cells), len(self.options.cells)):
                self._start(cell, process)
            if process == 0:
                weights = initial_weights(self.options.num_users, self.options.num_movies, seed=SEED)
                self.report = replace(self.report, agreement=judge(self._answers(), weights))
            for _ in range(self.options.rounds):
                asked = list(itertools.product(self.live, KINDS))
                for name, kind in self.order.sample(asked, len(asked)):
                    if name in self.live:
                        self._take_round(name, process, kind)
                self._save()
            for name in list(self.live):
                self._stop(name, process)
            self._save()
        self.report = replace(self.report, finished=now())
        self._save()

    def end(self) -> None:
        """Ends the workers that are left."""
        for worker in self.live.values():
            worker.kill()
        self.live.clear()

    def _start(self, cell: Cell, process: int) -> None:
        run = ScoreRun(
            backend=cell.backend,
            device=cell.device,
            process=process,
            users=self.options.users_on(cell.device),
            predicted_pairs=min(PREDICTED_PAIRS, self.options.num_users * self.options.num_movies),
            status="interrupted",  # true until it is done
            error="the measurement was cut off",
        )
        self.runs[run.cell, process] = run
        if run.cell in self.given_up:
            self.runs[run.cell, process] = replace(run, status="skipped", error=self.given_up[run.cell])
            return
        log = self.folder / f"{run.cell.replace('/', '-').replace(':', '')}-{process}.log"
        environment = worker_environment(cell.backend, cell.device, self.options.threads)
        self.live[run.cell] = WorkerProcess(self.options.worker_command, environment, log)
        job = ScoreJob(
            backend=cell.backend,
            device=cell.device,
            threads=self.options.threads,
            num_users=self.options.num_users,
            num_movies=self.options.num_movies,
            users=run.users,
            predicted_pairs=run.predicted_pairs,
            k=self.options.k,
            seed=SEED,
            answers=str(self._answer_of(run.cell)) if process == 0 else None,
        )
        reply = self._ask(run.cell, process, job)
        if isinstance(reply, ScoreReady):
            ready = {name: getattr(reply, name) for name in reply.__struct_fields__}
            self.runs[run.cell, process] = replace(run, **ready)

    def _take_round(self, name: str, process: int, kind: str) -> None:
        reply = self._ask(name, process, MeasureScoring(what=kind))  # type: ignore[arg-type]  # one of KINDS
        if isinstance(reply, Scored):
            column = {"top": "pairs_per_s", "predict": "predict_pairs_per_s", "products": "products_per_s"}[kind]
            run = self.runs[name, process]
            self.runs[name, process] = replace(run, **{column: [*getattr(run, column), reply.per_s]})

    def _stop(self, name: str, process: int) -> None:
        reply = self._ask(name, process, Stop())
        if isinstance(reply, Stopped):
            self.runs[name, process] = replace(
                self.runs[name, process],
                status="ok",
                error=None,
                peak_rss_mib=reply.peak_rss_mib,
                peak_device_mib=reply.peak_device_mib,
            )
            self.live.pop(name).close()

    def _ask(self, name: str, process: int, command: Command) -> Reply | None:
        """Returns the answer; None, and the run is recorded as ended, where there was none."""
        run = self.runs[name, process]
        try:
            return self.live[name].ask_to_go_on(command, self.options.timeout_s)
        except WorkerLostError as error:
            self._lose(replace(run, status=error.status, error=error.error))
            return None

    def _lose(self, run: ScoreRun) -> None:
        """Records a run that has ended early; a cell that was never timed is not started again."""
        self.live.pop(run.cell).kill()
        self.runs[run.cell, run.process] = run
        self.console.print(f"{run.cell} process {run.process}: {run.error}", highlight=False, markup=False)
        if not run.pairs_per_s:
            self.given_up[run.cell] = run.error or run.status

    def _answer_of(self, name: str) -> Path:
        return self.folder / f"{name.replace('/', '-').replace(':', '')}.npz"

    def _answers(self) -> dict[str, Answer]:
        answers = {}
        for cell in self.options.cells:
            name = f"{cell.backend}/{cell.device}"
            if name in self.live:
                with np.load(self._answer_of(name)) as stored:
                    answers[name] = Answer(stored["ids"], stored["predictions"])
        return answers

    def _save(self) -> None:
        runs = list(self.runs.values())
        self.report = replace(self.report, runs=runs, throughput=throughput(runs, self.options.num_movies))
        write_json(self.report, self.options.output)
