"""`python -m bench sweep`: time a step at several batch sizes, table sizes, widths or numbers of threads.

Each value is a small report of its own under `points/`, measured as `bench run` measures but without training to the
end and without parity. The values are not measured one after the other: every generation of processes, one a cell,
goes through all values in an order shuffled anew, and within a value the rounds of all cells are interleaved. So a
machine that slows down for a minute touches a point of one generation, not a stretch of the curve, and the interval
of each point, which rests on its processes, holds what the machine does over the whole sweep.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from bench.errors import BenchError
from bench.measure.conditions import print_conditions
from bench.measure.options import Options
from bench.measure.ranking_workload import RankingSubject
from bench.measure.run import measure
from bench.report.file import REPORT_NAME, claimed, load_report
from bench.schema.cell import Cell
from bench.schema.report import Report
from bench.studies.sweep.axes import Over, Point
from bench.studies.sweep.memory import HOST, estimated_need, groups_that_fit, memory_mib, shortage
from bench.studies.sweep.records import POINTS_NAME, SCHEMA, SWEEP_NAME, Measured, Sweep, SweepSettings, load_sweep
from bench.studies.sweep.summary import measured_at, models_of
from bench.system.files import write_json
from bench.system.machine import describe_machine
from bench.system.snapshot import take_snapshot
from bench.system.software import now
from movierank.data.datasets import load_dataset
from movierank.data.synthetic import PREFIX, parse_size
from movierank.errors import MovierankError

MAY_CHANGE = ("processes",)  # when a sweep is gone on with


@dataclass(frozen=True)
class SweepOptions:
    """What to sweep over and how to measure.

    Attributes:
        over: what changes from point to point.
        points: ascending by value.
        base: how to measure a point: cells, processes, rounds and so on; its `output` is the sweep's folder, and its
            `existing` is about that.
    """

    over: Over
    points: Sequence[Point]
    base: Options

    @property
    def settings(self) -> SweepSettings:
        """The part that is stored."""
        base = self.base
        return SweepSettings(
            over=self.over,
            values=[point.value for point in self.points],
            datasets=[point.dataset for point in self.points],
            batch_size=base.batch_size,
            embedding_dimension=base.embedding_dimension,
            threads=base.threads,
            processes=base.processes,
            rounds=base.rounds,
            round_s=base.round_s,
            order_seed=base.order_seed,
            timeout_s=base.timeout_s,
            cells=list(base.cells),
        )

    def folder_of(self, point: Point) -> Path:
        """Return the folder of a point's report."""
        return self.base.output / POINTS_NAME / str(point.value)

    def up_to(self, process: int, point: Point, cells: Sequence[Cell]) -> Options:
        """Return the options that measure a point up to this process of each of `cells`, resuming its report."""
        return dataclasses.replace(
            self.base,
            cells=cells,
            output=self.folder_of(point),
            dataset=point.dataset,
            batch_size=point.batch_size,
            embedding_dimension=point.embedding_dimension,
            threads=point.threads,
            processes=process + 1,
            order_seed=self.base.order_seed + process,
            seeds=1,
            trains=False,
            parity=False,
            existing="resume",
        )


def sweep(options: SweepOptions, console: Console) -> Sweep:
    """Measure all points, save after each, and return the result, which then lies in the folder.

    Raises:
        BenchError: bad input, or the folder cannot be written to or holds something else.
        KeyboardInterrupt: passed on; what was measured lies in the folder, valid.
    """
    _refuse_existing(options)
    if options.over != "table-rows":  # the largest batch must be in the data, and is better refused now than in an hour
        RankingSubject.load(options.up_to(0, options.points[-1], options.base.cells), console)
    with claimed(options.base.output):
        _refuse_existing(options)
        return _Sweeping(options, console).measure()


class _Sweeping:
    """A sweep that grows, and which cells are not measured at which points."""

    def __init__(self, options: SweepOptions, console: Console) -> None:
        self.options = options
        self.console = console
        self.random = random.Random(options.base.order_seed)
        self.reports: dict[int, Report] = {}
        self.refused: dict[tuple[int, Cell], str] = {}  # by value and cell; before any worker was started
        self.lost: set[tuple[int, Cell]] = set()  # no later process of these is started
        self.groups: dict[int, list[list[Cell]]] = {}  # by value: the cells whose workers live side by side
        self.sweep = self._fresh()

    def measure(self) -> Sweep:
        """Measure what is missing."""
        self._plan_memory()
        self._tell_noise()
        processes = self.options.base.processes
        total = processes * len(self.options.points)
        done = 0
        for process in range(processes):
            for point in self.random.sample(self.options.points, len(self.options.points)):
                done += 1
                for cells in self.groups[point.value]:
                    self._measure_group(process, point, cells, f"{done} of {total}")
        self.sweep = msgspec.structs.replace(self.sweep, finished=now())
        self._save()
        return self.sweep

    def _tell_noise(self) -> None:
        """Print what could distort the sweep once, not at every point and process."""
        before = take_snapshot(sample_s=self.options.base.watch_s)
        print_conditions(before, describe_machine(), max(point.threads for point in self.options.points), self.console)

    def _measure_group(self, process: int, point: Point, cells: Sequence[Cell], place: str) -> None:
        missing = [
            cell
            for cell in cells
            if (point.value, cell) not in self.lost and not _is_done(self.reports.get(point.value), cell, process)
        ]
        if not missing:
            return
        words = f"{self.options.over} {point.value:,}, process {process} ({place})"
        self.console.print(words)
        report = measure(self.options.up_to(process, point, missing), self.console, show_noise=False)
        self.reports[point.value] = report
        for run in report.runs:
            if run.status == "skipped" and not run.step_time_ms:  # what is not there is not there at other sizes either
                self.lost |= {(other.value, run.cell) for other in self.options.points}
                self.refused |= {
                    (other.value, run.cell): run.error or run.status
                    for other in self.options.points
                    if other.value not in self.reports
                }
            elif run.status != "ok" and not run.step_time_ms:
                self.lost.add((point.value, run.cell))
        self._save()

    def _plan_memory(self) -> None:
        """Leave out what would not fit in memory, and let workers live alone that do not fit side by side."""
        devices = [HOST, *(cell.device for cell in self.options.base.cells)]
        memory = {device: memory_mib(device) for device in dict.fromkeys(devices)}
        for point in self.options.points:
            rows, ratings = _extent(point)
            needs = {
                cell: estimated_need(cell, rows=rows, width=point.embedding_dimension, ratings=ratings)
                for cell in self.options.base.cells
            }
            groups = self.groups[point.value] = groups_that_fit(needs, memory)
            for cell in needs.keys() - {cell for group in groups for cell in group}:
                lacking = shortage({cell: needs[cell]}, memory)
                self.refused[(point.value, cell)] = f"not started, since it would not fit in memory: {lacking}"
        self._save()

    def _fresh(self) -> Sweep:
        """Return the stored sweep that is resumed, with its points loaded, or an empty one."""
        options, settings = self.options, self.options.settings
        file = options.base.output / SWEEP_NAME
        if options.base.existing == "overwrite" and file.exists():
            shutil.rmtree(options.base.output / POINTS_NAME, ignore_errors=True)
            file.unlink()
        if not file.exists():
            return Sweep(schema=SCHEMA, created=now(), settings=settings)
        stored = load_sweep(file)
        for name, asked in msgspec.structs.asdict(settings).items():
            if name not in MAY_CHANGE and asked != (before := getattr(stored.settings, name)):
                raise BenchError(
                    f"cannot resume: {name} was {before} in {file} and is {asked} now; choose another --output"
                )
        for point in options.points:
            if (options.folder_of(point) / REPORT_NAME).exists():
                self.reports[point.value] = load_report(options.folder_of(point))
        return msgspec.structs.replace(stored, settings=settings, finished=None)

    def _save(self) -> None:
        measured: list[Measured] = []
        for point in self.options.points:
            for cell in self.options.base.cells:
                report, refusal = self.reports.get(point.value), self.refused.get((point.value, cell))
                measured.append(measured_at(point, cell, report, refusal))
        first = next(iter(self.reports.values()), None)
        self.sweep = msgspec.structs.replace(
            self.sweep,
            machine=first.machine if first else self.sweep.machine,
            software=first.software if first else self.sweep.software,
            measured=measured,
            models=models_of(self.options.over, self.options.base.cells, measured),
            warnings=[
                f"{self.options.over} {value:,}: {warning}"
                for value, report in sorted(self.reports.items())
                for warning in (report.conditions.warnings if report.conditions else ())
            ],
        )
        write_json(self.sweep, self.options.base.output / SWEEP_NAME)


def _is_done(report: Report | None, cell: Cell, process: int) -> bool:
    runs = [] if report is None else report.runs
    return any(run.cell == cell and run.process == process and run.status == "ok" for run in runs)


def _extent(point: Point) -> tuple[int, int]:
    """Return the rows of both tables and the ratings of a point's dataset.

    Raises:
        BenchError: the dataset's name makes no sense, or it cannot be opened.
    """
    try:
        if point.dataset.startswith(PREFIX):
            size = parse_size(point.dataset)
            return size.users + size.movies + 2, size.ratings
        dataset = load_dataset(point.dataset)
    except MovierankError as error:
        raise BenchError(str(error)) from error
    return dataset.num_users + dataset.num_movies + 2, len(dataset.ratings)


def _refuse_existing(options: SweepOptions) -> None:
    folder = options.base.output
    if options.base.existing == "refuse" and (folder / SWEEP_NAME).exists():
        raise BenchError(f"{folder} already holds a sweep; choose another --output, --resume or --overwrite")
