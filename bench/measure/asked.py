"""From options by name, as the commands and the Python functions take them, to the options of a measurement."""

from __future__ import annotations

import argparse
import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from bench.errors import BenchError
from bench.measure.option_table import BY_NAME, OPTIONS, QUICK, documented, reading
from bench.text.numbers import is_quantity, parse_percent

if TYPE_CHECKING:
    from bench.measure.options import Options
    from bench.schema.parity import Judge

Names = str | Sequence[str]

VERSUS_PRECISION = 0.02
VERSUS_BUDGET_S = 600.0  # about 40 processes of one cell on a machine of two cores (docs/method.md)


class Asked(TypedDict, total=False):
    """What to measure and how; an option that is left out or None has the command's default.

    Names are a sequence, or one text with commas. A share is 0.02 or `2%`, a time is in seconds or a text such as `5m`.
    `precision` takes a share, names of arithmetic, or a sequence with both.
    """

    backends: Names | None
    devices: Names | None
    loops: Names | None
    workload: str | None
    dataset: str | None
    data_source: str | None
    data_path: Path | str | None
    split: str | None
    batch_size: int | None
    epochs: int | None
    embedding_dimension: int | None
    learning_rate: float | None
    init: Literal["shared", "backend"] | None
    target_rmse: float | None
    processes: int | None
    seeds: int | None
    rounds: int | None
    round_seconds: float | None
    precision: float | str | Sequence[float | str] | None
    budget: float | str | None
    patience: float | str | None
    quick: bool | None
    threads: int | None
    order_seed: int | None
    timeout: float | None
    parity: bool | None
    profile: bool | None
    envelope: Judge | None
    copies: int | None
    resume: bool | None
    overwrite: bool | None


Asked.__doc__ = f"{inspect.cleandoc(Asked.__doc__ or '')}\n\nAttributes:\n{documented()}"


def options_from(output: Path | str | None, asked: Asked) -> Options:
    """Return the options of a measurement.

    Args:
        output: directory of the report; None for `results/local/` and the time.
        asked: options by name.

    Raises:
        BenchError: a number or a name is invalid.
        TypeError: there is no such option.
    """
    from bench.measure.matrix import parse_cells
    from bench.measure.options import Options
    from bench.schema.cell import FULL

    for name in asked:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, 1)
            raise TypeError(f"there is no option {name!r}{f'; do you mean {near[0]!r}?' if near else ''}")
    if asked.get("resume") and not output:
        raise BenchError("--resume goes on with the report in --output; say which")
    given: Mapping[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if given.get("resume") and given.get("overwrite"):
        raise BenchError("resume and overwrite exclude each other; give one of them")
    narrow, arithmetic = _split_precision(given.get("precision", ()))
    options = dict(QUICK) if given.get("quick") else {}
    options |= {
        each.attribute: each.read(given[each.name]) for each in OPTIONS if each.attribute and each.name in given
    }
    backends, devices, loops = (
        listed_names(given.get(name, BY_NAME[name].default)) for name in ("backends", "devices", "loops")
    )
    return Options(
        cells=parse_cells(backends, devices, loops, ",".join(arithmetic) or FULL),
        output=Path(output) if output else Path("results/local") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S"),
        existing="resume" if given.get("resume") else "overwrite" if given.get("overwrite") else "refuse",
        precision=narrow,
        **options,
    )


def asked_of(arguments: argparse.Namespace) -> Asked:
    """Return the arguments of a command that are options of a measurement."""
    return cast(Asked, {name: value for name, value in vars(arguments).items() if name in BY_NAME})


def versus_options_from(output: Path | str | None, asked: Asked) -> Options:
    """Return the options of two environments that are measured against each other, as `options_from` does.

    If no option says how much to measure or when to end, ratios are measured to within `VERSUS_PRECISION`, because five
    processes a side find a true 5 % too seldom (docs/method.md). Without another budget, `VERSUS_BUDGET_S` limits the
    time to reach this or another precision.

    Raises:
        BenchError: a number or a name is invalid.
        TypeError: there is no such option.
    """
    options = options_from(output, asked)
    if options.precision is None:
        if any(asked.get(name) for name in ("processes", "rounds", "budget", "quick")):
            return options
        options = replace(options, precision=VERSUS_PRECISION)
    return options if options.budget_s is not None else replace(options, budget_s=VERSUS_BUDGET_S)


def listed_names(names: Names) -> str:
    """Return names with commas between them, as the command takes them."""
    return names if isinstance(names, str) else ",".join(names)


def share_of(value: float | str) -> float:
    """Return 0.05 for 0.05 and for `5%`: a number as it is, a text as the command reads it.

    Raises:
        BenchError: the value is not a share.
    """
    if not isinstance(value, str) and value >= 1:
        return reading(parse_percent, f"{100 * value}%")
    return reading(parse_percent, value)


def _split_precision(value: float | str | Sequence[float | str]) -> tuple[float | None, list[str]]:
    """Return the half-width of intervals, None if the value has none, and the names of arithmetic."""
    values = [value] if isinstance(value, float | int | str) else list(value)
    shares = [share_of(each) for each in values if is_quantity(str(each))]
    if len(shares) > 1:
        raise BenchError("precision takes one share; beside it, names of arithmetic")
    return (shares[0] if shares else None), [str(each) for each in values if not is_quantity(str(each))]
