"""The result of `bench score` on the terminal."""

from __future__ import annotations

from rich.console import Console

from bench.studies.score.records import EXACT, Interval, ScoreReport, Throughput
from bench.text.numbers import listed, three_digits, with_interval
from bench.text.table import FittingTable

LEGEND = (
    "× floor: time over the least that its products take, at the rate of that worker's fastest product; × best: of all "
    "backends' fastest. gain: over Keras's predict on the same pairs."
)


def print_scoring(report: ScoreReport, console: Console) -> None:
    """Print throughput, what was lost, and whether the backends found the same movies."""
    if report.throughput:
        console.print(_table(report))
    for text in words(report):
        console.print(text, soft_wrap=True)


def _table(report: ScoreReport) -> FittingTable:
    settings = report.settings
    table = FittingTable(
        title=f"top {settings.k} of {settings.num_movies:,} movies for {settings.num_users:,} users",
        padding=(0, 0, 0, 1),
    )
    table.add_column("backend", no_wrap=True)
    for column in ("M pairs/s [95 %]", "users/s", "× floor [95 %]", "× best", "gain"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in report.throughput:
        table.add_row(
            line.cell,
            with_interval(line.pairs_per_s / 1e6, scaled(line.pairs_ci95)),
            three_digits(line.users_per_s),
            with_interval(line.times_floor, line.times_floor_ci95),
            three_digits(line.times_best_floor),
            three_digits(line.gain),
        )
    return table


def scaled(ci95: Interval | None) -> Interval | None:
    """Return an interval of pairs a second in millions."""
    return None if ci95 is None else (ci95[0] / 1e6, ci95[1] / 1e6)


def words(report: ScoreReport) -> list[str]:
    """Return a line for each thing that the table does not show."""
    lines = [LEGEND] if report.throughput else ["No backend could be measured here:"]
    lines += [_beside(report.throughput[0], line) for line in report.throughput[1:] if line.times_fastest is not None]
    users = sorted({run.users for run in report.runs if run.pairs_per_s})
    if users and users[0] < report.settings.num_users:
        times = [
            f"{three_digits(report.settings.num_users / line.users_per_s)} s ({line.cell})"
            for line in report.throughput
        ]
        lines.append(
            f"Timed on the first {listed(f'{count:,}' for count in users)} users; "
            f"all {report.settings.num_users:,} would take {listed(times)}."
        )
    lines += [f"{line.cell}: {_apart(line)}" for line in report.throughput if line.apart_rounds]
    for found in report.agreement:
        with_whom = "the float64 oracle" if found.b == EXACT else found.b
        missed = f"; {found.surely_missed} movies surely missed" if found.surely_missed else ""
        lines.append(
            f"{found.a} and {with_whom}: {found.verdict} rounding, {found.share_of_bound:.2g} of its bound "
            f"(largest difference {found.largest:.1e}); same list for {found.same_lists:.1%} of {found.users} users"
            f"{missed}."
        )
    lost = {run.cell: run for run in report.runs if run.status != "ok"}
    lines += [f"{cell}: {run.status}: {run.error}" for cell, run in lost.items()]
    return lines


def _apart(line: Throughput) -> str:
    if line.calm:
        return f"{line.apart_rounds} rounds left out, timed while the cores shared no cache."
    return (
        f"{line.apart_rounds} rounds were timed while the cores shared no cache; too few others are left to leave them "
        "out, so measure again or give --patience 10m."
    )


def _beside(fastest: Throughput, line: Throughput) -> str:
    ratio = with_interval(line.times_fastest or 0.0, line.times_fastest_ci95)
    return f"{line.cell} takes {ratio} × as long as {fastest.cell}."
