"""The result of `bench validate` on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bench.studies.validate.judged import Outcome
from bench.studies.validate.run import Validation
from bench.studies.validate.stopping import Stopped
from bench.text.table import FittingTable

SAID = ("gate fails", "slower", "faster", "same", "undecided", "interval holds it")


def print_validation(result: Validation, console: Console) -> None:
    """Print the verdicts on trials with a known answer, and the coverage on simulated cells."""
    console.print(
        _outcomes(
            f"{result.backend}: {result.rounds} rounds of each process, sides measured {_how(result)}",
            result.outcomes,
        )
    )
    for outcome in result.outcomes:
        console.print(
            f"+{outcome.slowdown:.0%}: estimated at {outcome.median_ratio - 1:+.1%}; one process a side under "
            f"pytest-benchmark's median:5% fails {outcome.pytest_benchmark_fails:.0%}",
            soft_wrap=True,
        )
    if result.drift is not None:
        beyond = f"{result.drift.sd:.1%} (standard deviation) beyond the scatter of their processes"
        seen = f"hardly by more than their processes scatter, and could hide {result.drift.sd:.1%} of drift"
        console.print(
            f"Sides scatter {seen if result.drift.at_most else f'by {beyond}'}; "
            "`bench compare --validation` allows for as much.",
            soft_wrap=True,
        )
    console.print("Neighbouring trials share a side, and those of all changes their base.")
    if result.pooled:
        console.print(_outcomes("from the same samples, drawn together at random", result.pooled))
    simulated = _table(
        "95 % intervals on simulated cells", ("processes", "rounds", "process sd", "round sd", "interval holds it")
    )
    for row in result.simulated:
        simulated.add_row(
            str(row.processes), str(row.rounds), f"{row.process_sd:.0%}", f"{row.round_sd:.0%}", f"{row.coverage:.1%}"
        )
    console.print(simulated)
    if result.stopped:
        console.print(_stopped(result.stopped))


def _how(result: Validation) -> str:
    return "together" if any(trial.together for trial in result.trials) else "one after the other"


def _outcomes(title: str, outcomes: Sequence[Outcome]) -> FittingTable:
    table = _table(title, ("change", "pro-\ncesses", "trials", *SAID))
    for row in outcomes:
        table.add_row(
            f"+{row.slowdown:.0%}", str(row.processes), str(row.trials), *(f"{share:.0%}" for share in row.shares)
        )
    return table


def _stopped(rows: Sequence[Stopped]) -> FittingTable:
    table = _table(
        f"as many simulated pairs as versus takes to {rows[0].precision:.0%}",
        ("pair sd", "pairs at most", "pairs (median)", "interval holds it"),
    )
    for row in rows:
        table.add_row(f"{row.pair_sd:.0%}", str(row.most), str(row.pairs), f"{row.coverage:.1%}")
    return table


def _table(title: str, columns: tuple[str, ...]) -> FittingTable:
    table = FittingTable(title=title, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right")
    return table
