"""The reports that an export is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.report.file import load_report, report_path
from bench.report.summary import Summary, summarise
from bench.schema.report import Report


@dataclass(frozen=True)
class Exported:
    """A report with what an exporter needs beside it.

    Attributes:
        name: of its folder, with a number behind it where two have the same.
        file: its `report.json`.
        report: what the file holds.
        summary: derived from its runs.
    """

    name: str
    file: Path
    report: Report
    summary: Summary

    @property
    def started(self) -> datetime:
        """When measuring began, in UTC.

        Raises:
            BenchError: the report does not tell in ISO 8601.
        """
        return _time(self.report.created, self.file)

    @property
    def finished(self) -> datetime | None:
        """When it ended, in UTC; None where it was cut off.

        Raises:
            BenchError: the report does not tell in ISO 8601.
        """
        return None if self.report.finished is None else _time(self.report.finished, self.file)


def load_exported(paths: Sequence[Path]) -> list[Exported]:
    """Reads reports.

    Raises:
        BenchError: one cannot be read, or holds an impossible step time.
    """
    exported: list[Exported] = []
    for path in paths:
        report, file = load_report(path), report_path(path)
        try:
            summary = summarise(report.runs)
        except ValueError as error:
            raise BenchError(f"{path} holds an impossible step time: {error}. Measure it again.") from error
        exported.append(Exported(_new_name(file, {one.name for one in exported}), file, report, summary))
    return exported


def _new_name(file: Path, taken: set[str]) -> str:
    name = file.resolve().parent.name or "report"
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _time(text: str, file: Path) -> datetime:
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise BenchError(f"{file} is damaged: {text!r} is no time in ISO 8601") from error
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
