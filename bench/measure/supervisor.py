"""Start workers, take their rounds in random order, and record every reply.

The processes of one generation, one for each cell, live side by side, and their rounds are interleaved in an order
that is shuffled anew each time, so that drift of the machine hits all cells alike. Then the next generation starts:
differences between processes show between generations. Where two environments are measured against each other, each
is a side with its own cells and report, and a generation holds both.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from bench.errors import BenchError
from bench.measure.design import Spent, fewest, next_rounds
from bench.measure.giving_up import GivenUp
from bench.measure.plan import Plan, Side
from bench.measure.process import WorkerLostError, WorkerProcess
from bench.measure.profile import ask_for_profile
from bench.measure.progress import Progress
from bench.measure.recorder import with_reply
from bench.report.predictions import load_arrays
from bench.report.rounds import ratios_of
from bench.schema.cell import Cell
from bench.schema.messages import (
    Command,
    Job,
    MeasureRound,
    Ready,
    Reply,
    Rounded,
    Steady,
    Stop,
    Stopped,
    Train,
    Trained,
    WarmUp,
    log_name,
)
from bench.schema.run import Run
from bench.statistics.calm import calm, limit_of, marked
from bench.system.watch import StateWatch

LIMITS_MEASURED = 5  # processes of a cell that measure the device's limits; the best counts (`bench.report.floors`)


@dataclass(eq=False)
class LiveWorker:
    """A worker that still replies: its side, process, job and run so far."""

    side: Side
    process: WorkerProcess
    job: Job
    run: Run


class Supervisor:
    """A measurement in progress.

    Args:
        plan: what to measure.
        sides: one, or two whose rounds are interleaved.
        progress: progress to show.
        watch: watch of the machine's state around rounds.
        note_conditions: called when the workers of a generation have ended.
    """

    def __init__(
        self,
        plan: Plan,
        sides: Sequence[Side],
        progress: Progress,
        watch: StateWatch,
        note_conditions: Callable[[], None],
    ) -> None:
        self.plan = plan
        self.sides = sides
        self.progress = progress
        self.watch = watch
        self.note_conditions = note_conditions
        watch.remember(ratio for side in sides for ratio in ratios_of(side.recorder.runs))
        self.random = random.Random(plan.settings.order_seed)
        self.random_repeats = random.Random(plan.settings.order_seed)  # the order does not depend on what is repeated
        self.turn = 1 + max((turn for side in sides for run in side.recorder.runs for turn in run.turns), default=-1)
        self.given_up = GivenUp()
        self.live: list[LiveWorker] = []

    def measure(self) -> None:
        """Measure every run that is missing; whatever ends it, no worker is left and every reply is recorded.

        Raises:
            BenchError: the report cannot be written.
            KeyboardInterrupt: passed on once the runs in progress are recorded as interrupted.
        """
        try:
            spent: list[Spent] = []
            while (rounds := next_rounds(self.plan.settings, self._runs(), spent, self._gaining())) is not None:
                spent.append(self._measure_generation(len(spent), rounds))
        finally:
            self._abandon()
            for side in self.sides:
                side.recorder.order_runs(self.plan.cells)

    def _runs(self) -> list[list[Run]]:
        return [side.recorder.runs for side in self.sides]

    def _gaining(self) -> list[Cell]:
        """Return the cells that gain by a further process: for two sides, those that both measure."""
        return [cell for cell in self.plan.cells if not self.given_up.anywhere(cell)]

    def _measure_generation(self, process: int, rounds: int) -> Spent:
        cells = self.plan.cells if process < fewest(self.plan.settings) else self._gaining()
        seats = [(side, cell) for side in self.sides for cell in cells]
        missing = [seat for seat in seats if not self._is_done(*seat, process)]
        if not missing:
            return Spent()
        started = time.monotonic()
        for side, cell in self.random.sample(missing, len(missing)):
            self._start(side, cell, process)
        steady, workers = time.monotonic(), len(self.live)
        for _ in range(rounds):
            for worker in self.random.sample(self.live, len(self.live)):
                self._round(worker)
        self.watch.repeat(lambda: self._short_of(rounds), self._round, self.random_repeats, rounds)
        ended = time.monotonic()
        for worker in list(self.live):
            self._ask(worker, Stop(limits=self._wants_limits(worker)), Stopped)
        outside_s = steady - started + time.monotonic() - ended
        self.note_conditions()
        return Spent(outside_s=outside_s, rounds_s=ended - steady, rounds=rounds, workers=workers)

    def _round(self, worker: LiveWorker) -> None:
        self.watch.before_round()
        self._ask(worker, MeasureRound(slowdown=worker.side.slowdown), Rounded)

    def _short_of(self, rounds: int) -> list[LiveWorker]:
        """Return the workers that have fewer than `rounds` rounds that count in their report as it is now."""
        limits = {side: limit_of(ratios_of(side.recorder.runs)) for side in self.sides}
        return [
            worker
            for worker in self.live
            if len(calm(marked(worker.run.step_time_ms, worker.run.handover, limits[worker.side]))) < rounds
        ]

    def _wants_limits(self, worker: LiveWorker) -> bool:
        """Return whether a worker should measure the device's limits: more than `LIMITS_MEASURED` would cost rounds."""
        known = [run for run in worker.side.recorder.runs if run.cell == worker.run.cell and run.matrix_gflop_s]
        return len(known) < LIMITS_MEASURED

    def _is_done(self, side: Side, cell: Cell, process: int) -> bool:
        run = side.recorder.run_of((cell, process))
        least = 1 if self.plan.settings.adaptive else self.plan.settings.rounds
        return run is not None and run.status == "ok" and len(run.step_time_ms) >= least

    def _start(self, side: Side, cell: Cell, process: int) -> None:
        job = side.make_job(cell, process)
        name = log_name(cell.backend, cell.device, cell.loop, process)
        run = Run(
            backend=cell.backend,
            device=cell.device,
            loop=cell.loop,
            process=process,
            seed=job.seed,
            status="interrupted",  # true until it is done
            error="the measurement was cut off",
            log=str(name),
        )
        if (reason := self.given_up.reason(side, cell)) is not None:
            side.recorder.put(replace(run, status="skipped", error=reason, log=None))
            self.progress.skip(side.called(cell), process)
            return
        worker = LiveWorker(side, side.start(job, name), job, run)
        self.live.append(worker)
        asked: list[tuple[Command, type[Reply]]] = [(job, Ready), (Train(), Trained), (WarmUp(), Steady)]
        for command, expected in asked:
            if worker in self.live and (self.plan.settings.trains or not isinstance(command, Train)):
                self._ask(worker, command, expected)

    def _ask(self, worker: LiveWorker, command: Command, expected: type[Reply]) -> None:
        self.progress.show(worker.side.called(worker.run.cell), worker.run.process, command)
        try:
            reply = worker.process.ask(command, expected)
        except WorkerLostError as error:
            self._lose(worker, replace(worker.run, status=error.status, error=error.error))
            return
        if isinstance(reply, Trained):
            try:
                arrays = load_arrays(Path(worker.job.predictions))
            except BenchError as error:
                self._lose(worker, replace(worker.run, status="failed", error=str(error)))
                return
            worker.side.recorder.hold_predictions(worker.run, arrays)
        worker.run = with_reply(worker.run, reply)
        if isinstance(reply, Rounded):
            worker.run = replace(
                worker.run,
                turns=[*worker.run.turns, self.turn],
                handover=[*worker.run.handover, self.watch.after_round()],
            )
            self.turn += 1
        worker.side.recorder.put(worker.run)
        self.progress.advance()
        if isinstance(reply, Stopped):
            if self.plan.profile:
                self._take_profile(worker)
            self.live.remove(worker)
            worker.process.close()
            self.given_up.note(worker.side, worker.run)

    def _take_profile(self, worker: LiveWorker) -> None:
        """Trace the first worker of each cell that has finished its rounds."""
        recorder, cell = worker.side.recorder, worker.run.cell
        if any(profile.cell == cell for profile in recorder.report.profiles):
            return
        self.progress.note(worker.side.called(cell), worker.run.process, "tracing")
        profile = ask_for_profile(worker.process, worker.job, recorder.directory)
        recorder.add_profile(profile)
        if profile.file is not None:
            worker.run = replace(worker.run, profile=profile.file)
            recorder.put(worker.run)

    def _lose(self, worker: LiveWorker, run: Run) -> None:
        """Record a run that has ended early; `bench.measure.giving_up` decides whether its cell is started again."""
        self.live.remove(worker)
        worker.process.kill()
        self.given_up.note(worker.side, run)
        worker.side.recorder.put(run)
        self.progress.lose(worker.side.called(run.cell), run)

    def _abandon(self) -> None:
        for worker in self.live:
            worker.process.kill()
        with contextlib.suppress(BenchError):  # what stopped it may be that nothing can be written
            for worker in self.live:
                worker.side.recorder.put(worker.run)
        self.live.clear()
