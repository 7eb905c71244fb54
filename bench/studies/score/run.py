"""`python -m bench score`: how fast each backend finds the best movies of all users, and whether they are the best."""

from __future__ import annotations

import itertools
import random
import tempfile
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from rich.console import Console

from bench.measure.process import ReplyT, WorkerLostError, WorkerProcess
from bench.schema.cell import Cell
from bench.schema.messages import Command, MeasureScoring, Scored, ScoreJob, ScoreReady, Stop, Stopped
from bench.statistics.calm import calm, limit_of
from bench.studies.score.agreement import Answer, judge
from bench.studies.score.options import SEED, Options
from bench.studies.score.records import SCHEMA, ScoreReport, ScoreRun
from bench.studies.score.summary import COLUMNS, Kind, ratios_of, rounds_of, throughput
from bench.system.environment import shared_environment, worker_environment
from bench.system.files import make_folder_of, write_json
from bench.system.machine import describe_machine
from bench.system.software import describe_software, now
from bench.system.watch import watch_of
from movierank.weights import initial_weights

PREDICTED_PAIRS = 262_144


def measure_scoring(options: Options, console: Console) -> ScoreReport:
    """Measure all cells, saving after every round, and return the result.

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
        self.order_of_repeats = random.Random(options.order_seed)  # the order does not depend on what is repeated
        self.watch = watch_of(options.threads, options.patience_s)
        self.live: dict[str, WorkerProcess] = {}
        self.runs: dict[tuple[str, int], ScoreRun] = {}
        self.given_up: dict[str, str] = {}

    def measure(self) -> None:
        """Measure processes of all cells side by side, then the next ones; judge the answers of the first."""
        for process in range(self.options.processes):
            if len(self.given_up) < len(self.options.cells):
                self.console.print(f"process {process + 1} of {self.options.processes}")
            for cell in self.order.sample(list(self.options.cells), len(self.options.cells)):
                self._start(cell, process)
            if process == 0:
                weights = initial_weights(self.options.num_users, self.options.num_movies, seed=SEED)
                self.report = replace(self.report, agreement=judge(self._answers(), weights))
            for _ in range(self.options.rounds):
                asked = list(itertools.product(self.live, COLUMNS))
                for name, kind in self.order.sample(asked, len(asked)):
                    self._take_round(name, process, kind)
                self._save()
            self._repeat_apart(process)
            for name in list(self.live):
                self._stop(name, process)
            self._save()
        self.report = replace(self.report, finished=now())
        self._save()

    def end(self) -> None:
        """End the workers that are left."""
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
        self.live[run.cell] = WorkerProcess(self.options.worker_command, environment, log, self.options.timeout_s)
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
        if (reply := self._ask(run.cell, process, job, ScoreReady)) is not None:
            ready = {name: getattr(reply, name) for name in reply.__struct_fields__}
            self.runs[run.cell, process] = replace(run, **ready)

    def _take_round(self, name: str, process: int, kind: Kind) -> None:
        """Measure a round of a worker that still lives, in the machine's usual state if that comes in time."""
        if name not in self.live:
            return
        self.watch.before_round()
        if (reply := self._ask(name, process, MeasureScoring(what=kind), Scored)) is not None:
            rates, looks = COLUMNS[kind]
            run, ratio = self.runs[name, process], self.watch.after_round()
            added = {rates: [*getattr(run, rates), reply.per_s], looks: [*getattr(run, looks), ratio]}
            self.runs[name, process] = replace(run, **added)

    def _repeat_apart(self, process: int) -> None:
        """Repeat rounds that were timed with the cores apart, as `bench run` does."""

        def lacking() -> list[tuple[str, Kind]]:
            limit = limit_of(ratios_of(self.runs.values()))
            return [
                (name, kind)
                for name, kind in itertools.product(self.live, COLUMNS)
                if len(calm(rounds_of(self.runs[name, process], kind, limit))) < self.options.rounds
            ]

        def take(asked: tuple[str, Kind]) -> None:
            self._take_round(asked[0], process, asked[1])
            self._save()

        self.watch.repeat(lacking, take, self.order_of_repeats, self.options.rounds)

    def _stop(self, name: str, process: int) -> None:
        if (reply := self._ask(name, process, Stop(), Stopped)) is not None:
            self.runs[name, process] = replace(
                self.runs[name, process],
                status="ok",
                error=None,
                peak_rss_mib=reply.peak_rss_mib,
                peak_device_mib=reply.peak_device_mib,
            )
            self.live.pop(name).close()

    def _ask(self, name: str, process: int, command: Command, expected: type[ReplyT]) -> ReplyT | None:
        """Return the reply; where there was none, record the run as ended and return None."""
        run = self.runs[name, process]
        try:
            return self.live[name].ask(command, expected)
        except WorkerLostError as error:
            self._lose(replace(run, status=error.status, error=error.error))
            return None

    def _lose(self, run: ScoreRun) -> None:
        """Record a run that has ended early; a cell that was never timed is not started again."""
        self.live.pop(run.cell).kill()
        self.runs[run.cell, run.process] = run
        self.console.print(f"{run.cell} process {run.process}: {run.error}")
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
