"""What a page can show: reports, sweeps, scorings and planted faults, distinguished by what is in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError
from bench.report.file import load_report
from bench.report.view import View
from bench.schema.cell import Cell, cell_named
from bench.studies.mutants.records import Mutants
from bench.studies.score.records import SCHEMA as SCORE_SCHEMA
from bench.studies.score.records import ScoreReport
from bench.studies.sweep.records import SCHEMA as SWEEP_SCHEMA
from bench.studies.sweep.records import SWEEP_NAME, Sweep, load_sweep

Content = TypeVar("Content", ScoreReport, Mutants)


@dataclass(frozen=True)
class Shown:
    """All that one page shows, each with a name that distinguishes it from others.

    Attributes:
        reports: results of `run`, in the order in which they appear.
        sweeps: results of `sweep`.
        scorings: results of `score`.
        mutants: results of `mutants`.
    """

    reports: Sequence[View] = field(default=())
    sweeps: Sequence[tuple[str, Sweep]] = field(default=())
    scorings: Sequence[tuple[str, ScoreReport]] = field(default=())
    mutants: Sequence[tuple[str, Mutants]] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.reports or self.sweeps or self.scorings or self.mutants)

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of what is shown, by kind."""
        others = {"sweeps": self.sweeps, "scorings": self.scorings, "mutants": self.mutants}
        named = {kind: [name for name, _ in of_kind] for kind, of_kind in others.items()}
        return {"reports": [view.name for view in self.reports], **named}

    def cells(self) -> list[Cell]:
        """Return every cell, those with a step time first, the fastest of a report first."""
        found = [row.cell for view in self.reports for row in view.summary.step_time]
        found += [run.cell for view in self.reports for run in view.report.runs]
        found += [cell for _, sweep in self.sweeps for cell in sweep.settings.cells]
        found += [cell_named(line.cell) for _, scoring in self.scorings for line in scoring.throughput]
        return list(dict.fromkeys(found))


def load_shown(paths: Sequence[Path]) -> Shown:
    """Read directories of reports or sweeps, or files of any kind that a page shows.

    Raises:
        BenchError: there is nothing, it cannot be read, or it is of no kind that a page shows.
    """
    reports: list[View] = []
    sweeps: list[tuple[str, Sweep]] = []
    scorings: list[tuple[str, ScoreReport]] = []
    mutants: list[tuple[str, Mutants]] = []
    for path in paths:
        name, kind = str(path), _kind(path)
        if kind == SWEEP_SCHEMA:
            sweeps.append((name, load_sweep(path)))
        elif kind == SCORE_SCHEMA:
            scorings.append((name, _read(path, ScoreReport)))
        elif kind == "mutants":
            mutants.append((name, _read(path, Mutants)))
        elif kind is not None and kind.startswith("movierank-bench-"):
            raise BenchError(f"{path} has schema {kind}, which this version cannot read; upgrade movierank-bench")
        else:
            reports.append(View(load_report(path), name))
    return Shown(reports, sweeps, scorings, mutants)


class _Kind(msgspec.Struct):
    schema: str | None = None
    faults: list[msgspec.Raw] | None = None


def _kind(path: Path) -> str | None:
    """Return the schema, or `mutants`; None where `load_report` should say what is wrong."""
    file = path
    if path.is_dir():
        file = path / SWEEP_NAME
        if not file.is_file():
            return None
    try:
        head = msgspec.json.decode(file.read_bytes(), type=_Kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return "mutants" if head.schema is None and head.faults is not None else head.schema


def _read(path: Path, kind: type[Content]) -> Content:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {path}: {error}") from error
