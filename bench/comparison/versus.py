"""The outcome of `versus`: two environments measured together, and their comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.comparison.limits import Limits
from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.comparison.words import as_json
from bench.parity.join import JoinedParity
from bench.schema.outcome import BAD_INPUT, FINE, RUNS_FAILED, WORSE, exit_code
from bench.schema.parity import ORACLE, ParityResult
from bench.schema.report import SIDES, Report


@dataclass(frozen=True)
class Versus:
    """Two reports measured together, and their comparison.

    Attributes:
        base: of the older environment.
        new: of the newer one.
        output: directory that holds both, as `base` and `new`.
        comparison: of step times, RMSE and parity, with a verdict a cell.
        parity: parity of all cells of both; None where that of one was not judged.
    """

    base: Report
    new: Report
    output: Path
    comparison: Comparison
    parity: JoinedParity | None

    @property
    def outside(self) -> list[ParityResult]:
        """Results where a cell of one side lies outside of one of the other, beyond known deviations."""
        return self.comparison.parity_between or []

    @property
    def exit_code(self) -> int:
        """3 where runs failed, 2 where nothing could be compared, 1 where something is worse, else 0."""
        if RUNS_FAILED in (exit_code(self.base), exit_code(self.new)):
            return RUNS_FAILED
        if self.comparison.nothing_compared:
            return BAD_INPUT
        return WORSE if self.comparison.is_worse else FINE

    def as_json(self) -> dict[str, object]:
        """Return plain dicts, lists and numbers for `versus --json`: those of `compare --json`, and further keys."""
        return {
            **as_json(self.comparison),
            "reports": {side: str(self.output / side) for side in SIDES},
            "exit_code": self.exit_code,
        }


def outcome_of(base: Report, new: Report, output: Path, limits: Limits, parity: JoinedParity | None) -> Versus:
    """Return the outcome of two reports measured together, given the parity of all their cells."""
    comparison = compare_reports(base, new, limits)
    if parity is not None:
        comparison = msgspec.structs.replace(comparison, parity_between=_between(parity))
    return Versus(base=base, new=new, output=output, comparison=comparison, parity=parity)


def _between(parity: JoinedParity) -> list[ParityResult]:
    """Return where a cell of one side lies outside of one of the other; each report has its own against the oracle."""
    sides = {cell: report.name for report in parity.reports for cell in report.cells.values()}
    return [row for row in parity.outside if row.b != ORACLE and sides[row.a] != sides[row.b]]
