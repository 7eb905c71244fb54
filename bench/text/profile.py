"""Where steps' time goes, on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from bench.schema.profile import GROUPS, Group, Profile
from bench.text.numbers import three_digits
from bench.text.table import FittingTable

HEADINGS: Mapping[Group, str] = {
    "matrix products": "matrix\nprod.",
    "embeddings": "embed-\ndings",
    "optimizer update": "optim-\nizer",
    "other operations": "other",
    "memory copies": "copies",
    "input pipeline": "input",
    "runtime": "run-\ntime",
    "python or waiting": "idle",
}
NAMED_OPERATIONS = 3
LONGEST_NAME = 40


def print_profiles(profiles: Sequence[Profile], names: Mapping[str, str], console: Console) -> None:
    """Print a table of the cells that were traced, what took most in each, and which have no trace and why.

    Args:
        profiles: profiles of one report.
        names: short name of each cell, by its full name.
        console: console to print to.
    """
    traced = [profile for profile in profiles if profile.file is not None]
    if traced:
        console.print(_table(traced, names))
    for line in _lines(profiles, names):
        console.print(line)


def _table(traced: Sequence[Profile], names: Mapping[str, str]) -> FittingTable:
    table = FittingTable(
        title="Where a step goes, in % of its time when traced (docs/profile.md)", show_edge=False, padding=0
    )
    table.add_column("", no_wrap=True)
    for heading in ("traced\nms", *(HEADINGS[group] for group in GROUPS)):
        table.add_column(heading, justify="right", no_wrap=True)
    for profile in traced:
        shares = {share.group: share.share for share in profile.shares}
        table.add_row(
            names.get(str(profile.cell), str(profile.cell)),
            three_digits(profile.step_ms),
            *(f"{100 * shares.get(group, 0):.0f}" for group in GROUPS),
        )
    return table


def _lines(profiles: Sequence[Profile], names: Mapping[str, str]) -> Iterator[str]:
    for profile in profiles:
        name = names.get(str(profile.cell), str(profile.cell))
        if profile.file is None:
            yield f"{name}: no profile: {profile.error}"
            continue
        most = profile.operations[:NAMED_OPERATIONS]
        count = "" if profile.operations_per_step is None else f"{profile.operations_per_step:.0f} operations a step, "
        yield f"{name}: {count}most in {', '.join(f'{_short(one.name)} {100 * one.share:.0f} %' for one in most)}"
    if any(profile.file for profile in profiles):
        yield "The traces are in profiles/ beside the report; https://ui.perfetto.dev opens them."


def _short(name: str) -> str:
    """Leave out the middle of a long name: a scope ends, and a kernel begins, with what matters."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
