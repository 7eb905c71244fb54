"""What two environments that were measured together say about each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from bench import run_command
from bench.compare_reports import compare_reports
from bench.comparison import Comparison, as_json
from bench.joined_parity import JoinedParity
from bench.options import Options
from bench.outcome import BAD_INPUT, FINE, RUNS_FAILED, WORSE, exit_code
from bench.parity_command import joined_of
from bench.parity_records import ORACLE, ParityResult
from bench.report import Report
from bench.two_environments import SIDES, measure_versus


@dataclass(frozen=True)
class Versus:
    """Two reports measured together, and what they say about each other.

    Attributes:
        base: of the older environment.
        new: of the newer one.
        output: directory that holds both, as `base` and `new`.
        comparison: of step times, RMSE and parity, with a verdict a cell.
        parity: of all cells of both; None where that of one was not judged.
    """

    base: Report
    new: Report
    output: Path
    comparison: Comparison
    parity: JoinedParity | None

    @property
    def outside(self) -> list[ParityResult]:
        """Where a cell of one side lies outside of one of the other, beyond known deviations."""
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
        """Returns plain dicts, lists and numbers for `versus --json`: those of `compare --json`, and further keys."""
        return {
            **as_json(self.comparison),
            "reports": {side: str(self.output / side) for side in SIDES},
            "exit_code": self.exit_code,
        }


def carry_out(options: Options, pythons: tuple[str, str], max_regression: float, console: Console) -> Versus:
    """Measures two environments and compares them; the reports lie in `options.output`, each with its page.

    Args:
        options: for both.
        pythons: interpreters or folders of virtual environments: the older and the newer one.
        max_regression: slowdown that is still fine, as a share.
        console: where progress is shown.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the output, valid.
    """
    base, new = measure_versus(options, pythons, console)
    for side in SIDES:
        run_command.write_page_beside(options.output / side)
    judged = joined_of([options.output / side for side in SIDES]) if base.parity and new.parity else None
    return outcome_of(base, new, options.output, max_regression, judged)


def outcome_of(base: Report, new: Report, output: Path, max_regression: float, parity: JoinedParity | None) -> Versus:
    """Returns what two reports measured together say, given the parity of all their cells."""
    comparison = compare_reports(base, new, max_regression=max_regression)
    if parity is not None:
        comparison = msgspec.structs.replace(comparison, parity_between=_between(parity))
    return Versus(base=base, new=new, output=output, comparison=comparison, parity=parity)


def _between(parity: JoinedParity) -> list[ParityResult]:
    """Returns where a cell of one side lies outside of one of the other; against the oracle, each report tells."""
    sides = {cell: report.name for report in parity.reports for cell in report.cells.values()}
    return [row for row in parity.outside if row.b != ORACLE and sides[row.a] != sides[row.b]]
