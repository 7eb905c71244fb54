"""The result of `bench validate` on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from bench.validate import Validation


def print_validation(result: Validation, console: Console) -> None:
    """Prints what was said of trials with a known answer, and the coverage on simulated cells."""
    said = _table(
        f"{result.backend}: {result.processes} processes × {result.rounds} rounds on either side",
        (
            "true change",
            "trials",
            "slower",
            "faster",
            "same",
            "undecided",
            "covered",
            "median ratio",
            "pytest-benchmark fails",
        ),
    )
    for outcome in result.outcomes:
        shares = (outcome.called_slower, outcome.called_faster, outcome.called_same, outcome.undecided, outcome.covered)
        said.add_row(
            f"+{outcome.slowdown:.0%}",
            str(outcome.trials),
            *(f"{share:.0%}" for share in shares),
            f"{outcome.median_ratio:.3f}",
            f"{outcome.pytest_benchmark_fails:.0%}",
        )
    console.print(said)
    if result.pooled:
        console.print(_pooled(result))
    simulated = _table(
        "95 % intervals on simulated cells", ("processes", "rounds", "process sd", "round sd", "coverage")
    )
    for row in result.simulated:
        simulated.add_row(
            str(row.processes), str(row.rounds), f"{row.process_sd:.0%}", f"{row.round_sd:.0%}", f"{row.coverage:.1%}"
        )
    console.print(simulated)


def _pooled(result: Validation) -> Table:
    table = _table(
        "with more processes on either side, from the same samples drawn together at random",
        ("true change", "processes", "slower", "faster", "same", "undecided", "covered"),
    )
    for outcome in result.pooled:
        shares = (outcome.called_slower, outcome.called_faster, outcome.called_same, outcome.undecided, outcome.covered)
        table.add_row(f"+{outcome.slowdown:.0%}", str(outcome.processes), *(f"{share:.0%}" for share in shares))
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table
