"""Keeps what has been measured, and writes it down after every answer of a worker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.predictions import Arrays, key_of, load_arrays, save_predictions
from bench.report import Cell, Conditions, ParityResult, Report, Run
from bench.report_file import PREDICTIONS_NAME, save_report
from bench.summary import summarise

RunKey = tuple[Cell, int]


class Recorder:
    """A report that grows.

    Args:
        directory: of the report; exists.
        report: to start from; its runs are kept.
        arrays: predictions to start from.
    """

    def __init__(self, directory: Path, report: Report, arrays: Arrays) -> None:
        self.directory = directory
        self.report = report
        self.arrays = arrays
        self._runs: dict[RunKey, Run] = {(run.cell, run.process): run for run in report.runs}

    @property
    def runs(self) -> list[Run]:
        """All runs so far, by cell as asked for and process."""
        return list(self._runs.values())

    def run_of(self, key: RunKey) -> Run | None:
        """Returns what is known of one run."""
        return self._runs.get(key)

    def put(self, run: Run) -> None:
        """Stores a run in place of what was known of it, and saves the report.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        self._runs[(run.cell, run.process)] = run
        self.save()

    def put_predictions(self, run: Run, path: Path) -> None:
        """Takes over the predictions that a worker left in `path`, and saves them.

        Raises:
            BenchError: they cannot be read or written.
        """
        for stage, array in load_arrays(path).items():
            self.arrays[key_of(run, stage)] = array
        save_predictions(self.arrays, self.directory)

    def note(self, conditions: Conditions) -> None:
        """Stores what could distort the measurement, and saves the report.

        Raises:
            BenchError: the report cannot be written; the one before is untouched.
        """
        self.report = msgspec.structs.replace(self.report, conditions=conditions)
        self.save()

    def order_runs(self, cells: Iterable[Cell]) -> None:
        """Sorts the runs by the order of `cells`, then process."""
        places = {cell: place for place, cell in enumerate(cells)}
        ordered = sorted(self._runs, key=lambda key: (places.get(key[0], len(places)), key[1]))
        self._runs = {key: self._runs[key] for key in ordered}

    def finish(self, parity: list[ParityResult]) -> Report:
        """Adds the parity results and the time of the end, saves, and returns the report."""
        self.report = msgspec.structs.replace(self.report, parity=parity, finished=now())
        return self.save()

    def save(self) -> Report:
        """Writes the report with all figures derived anew, and returns it."""
        summary = summarise(self.runs)
        self.report = msgspec.structs.replace(
            self.report,
            runs=self.runs,
            step_time=summary.step_time,
            ratios=summary.ratios,
            rmse=summary.rmse,
        )
        save_report(self.report, self.directory)
        return self.report


def stored_arrays(directory: Path) -> Arrays:
    """Returns the predictions that a directory already holds; none where there are none."""
    path = directory / PREDICTIONS_NAME
    return load_arrays(path) if path.exists() else {}


def now() -> str:
    """Returns the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
