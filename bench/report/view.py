"""A report that was read, with its figures derived once for all that show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from bench.errors import BenchError
from bench.report.file import load_report, report_path
from bench.report.rounds import Counted, counted_rounds, medians_of, which_count
from bench.report.summary import Summary, summarise
from bench.schema.cell import Cell, short_names
from bench.schema.report import Report
from bench.schema.run import Run


@dataclass(frozen=True, eq=False)
class View:
    """A report and what follows from its runs; each figure is derived at its first use, and once.

    Attributes:
        report: report as it was read or measured.
        name: name that distinguishes it from others that are shown.
        path: its `report.json`; None for a report that no file holds.

    Raises:
        BenchError: from a property, where the report holds an impossible step time or date.
    """

    report: Report
    name: str = "A report"
    path: Path | None = None

    @cached_property
    def _derived(self) -> tuple[dict[Cell, Counted], Summary]:
        try:
            counted = counted_rounds(self.report.runs)
            return counted, summarise(self.report.runs, counted)
        except ValueError as error:
            raise BenchError(f"{self._place} holds an impossible step time: {error}. Measure it again.") from error

    @property
    def counted(self) -> dict[Cell, Counted]:
        """The rounds that count, by cell."""
        return self._derived[0]

    @property
    def summary(self) -> Summary:
        """Step times, ratios and mean scores."""
        return self._derived[1]

    @cached_property
    def medians(self) -> dict[Cell, dict[int, float]]:
        """Each cell's median round in ms by process index."""
        return {cell: medians_of(counted.rounds) for cell, counted in self.counted.items()}

    @cached_property
    def counting(self) -> list[list[bool]]:
        """For each run, in order, whether each of its rounds counts in statistics."""
        return which_count(self.report.runs, self.counted)

    @cached_property
    def names(self) -> dict[str, str]:
        """Each cell's short name, by its full name."""
        return short_names(run.cell for run in self.report.runs)

    @property
    def ran(self) -> list[Run]:
        """The runs that were not skipped."""
        return [run for run in self.report.runs if run.status != "skipped"]

    @cached_property
    def final_scores(self) -> dict[Cell, list[tuple[Run, float]]]:
        """Each cell's runs that are `ok` with their test score after the last epoch."""
        found: dict[Cell, list[tuple[Run, float]]] = {}
        for run in self.report.runs:
            if run.status == "ok" and run.test_score is not None:
                found.setdefault(run.cell, []).append((run, run.test_score))
        return found

    @cached_property
    def started(self) -> datetime:
        """When measuring began, in UTC."""
        return self._time(self.report.created)

    @cached_property
    def finished(self) -> datetime | None:
        """When measuring ended, in UTC; None where it was cut off."""
        return None if self.report.finished is None else self._time(self.report.finished)

    @property
    def _place(self) -> str:
        return self.name if self.path is None else str(self.path)

    def _time(self, text: str) -> datetime:
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise BenchError(f"{self._place} is damaged: {text!r} is no time in ISO 8601") from error
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def load_views(paths: Sequence[Path]) -> list[View]:
    """Read reports, each named by its folder, with a number behind it where two folders have the same name.

    Raises:
        BenchError: a report cannot be read, or holds an impossible step time.
    """
    views: list[View] = []
    for path in paths:
        file = report_path(path)
        view = View(load_report(path), _new_name(file, {one.name for one in views}), file)
        _ = view.summary  # so that nothing is written where one of them is damaged
        views.append(view)
    return views


def _new_name(file: Path, taken: set[str]) -> str:
    name = file.resolve().parent.name or "report"
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
