"""From what a user asks for, by the names of the command's options, to what is measured."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from bench.errors import BenchError
from bench.text.numbers import is_quantity, parse_duration, parse_percent
from movierank.backends import BACKENDS

if TYPE_CHECKING:
    from bench.measure.options import Options
    from bench.schema.parity import Judge

Names = str | Sequence[str]

VERSUS_PRECISION = 0.02
VERSUS_BUDGET_S = 600.0  # about 40 processes of one cell on a machine of two cores (docs/method.md)
QUICK: dict[str, Any] = {"processes": 2, "seeds": 2, "rounds": 4, "round_s": 0.2, "patience_s": 15.0}
RENAMED = {"round_seconds": "round_s", "timeout": "timeout_s"}
AS_GIVEN = (
    *("dataset", "data_source", "split", "batch_size", "epochs", "embedding_dimension", "learning_rate", "init"),
    *("workload", "target_rmse", "processes", "seeds", "rounds", "threads", "order_seed"),
    *("parity", "envelope", "copies", "profile"),
)


class Asked(TypedDict, total=False):
    """What to measure and how; what is left out or None takes the command's default.

    Attributes:
        backends: of `jax`, `torch` and `tensorflow`; a sequence, or one string with commas. All three by default.
        devices: likewise, `cpu`, `gpu` or `gpu:N`; `cpu` by default.
        loops: likewise, `fit`, `fused` or `native` (docs/loops.md); `fit` by default.
        workload: `module:object` or `path/file.py:object`: a model of your own with its data (docs/own-workload.md),
            in place of the next options down to `learning_rate`.
        dataset: `100k` (the default), `latest-small`, `1m`, `20m`, `25m` or `synthetic:USERSxMOVIESxRATINGS`.
        data_source: `auto` (the default), `tfds`, `wheel`, `local` or `synthetic`.
        data_path: MovieLens folder or zip, for `data_source="local"`.
        split: `tutorial`, or `FRACTION:SEED` such as `0.8:42`; by default the dataset's own.
        batch_size: examples a step; 1000.
        epochs: of the training whose RMSE is reported; 5.
        embedding_dimension: width of both tables; 32.
        learning_rate: Adagrad's; 0.1.
        init: initial weights: `shared` by every backend (the default), or each `backend`'s own.
        target_rmse: the training time until the test RMSE is this low is told; 0.26.
        processes: of a cell, at least `seeds`; 5. `versus` takes as many as its precision needs.
        seeds: of the initial weights; 3.
        rounds: timed, of a process; 5.
        round_seconds: shortest time of a round; 0.4.
        precision: half-width of the intervals at which measuring ends, from ten processes on, as a share (0.02 or
            `2%`; by default 2 % in `versus` and none in `run`); or arithmetic to compare (`float32`, `bfloat16`, …),
            each a cell of its own; or a sequence with both.
        budget: time in which it ends, in seconds or as `5m`; five processes of a cell, or `processes`, are
            measured in any case.
        patience: likewise, how long to wait in all while the machine's cores share no cache (docs/machine-state.md);
            `2m`, or 15 s with `quick`.
        quick: fewer and shorter rounds: a first look.
        threads: CPU threads of a worker; all usable cores by default.
        order_seed: of the rounds' random order; 0.
        timeout: longest wait for one answer of a worker, in seconds; 600.
        parity: whether to judge it; by default where that takes seconds.
        profile: whether to trace some steps of each cell afterwards, to tell where their time goes.
        envelope: whose rounding it is judged by: of the `oracle`'s copies (the default), or of permuted copies that
            each cell trains itself (`backend`).
        copies: of each cell and seed for `envelope="backend"`, at least 3; 6.
        resume: go on with the report in the output.
        overwrite: replace the report in the output.
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


def options_from(output: Path | str | None, asked: Asked) -> Options:
    """Returns the options that are meant.

    Args:
        output: directory of the report; None for `results/local/` and the time.
        asked: what else is given.

    Raises:
        BenchError: a number or a name means nothing.
        TypeError: there is no such option.
    """
    from bench.measure.matrix import parse_cells
    from bench.measure.options import Options
    from bench.schema.cell import FULL

    _refuse_unknown(asked)
    if asked.get("resume") and not output:
        raise BenchError("--resume goes on with the report in --output; say which")
    given: Mapping[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if given.get("resume") and given.get("overwrite"):
        raise BenchError("resume and overwrite exclude each other; give one of them")
    narrow, arithmetic = _split_precision(given.get("precision", ()))
    options = {name: given[name] for name in AS_GIVEN if name in given}
    options |= {field: given[name] for name, field in RENAMED.items() if name in given}
    if narrow is not None:
        options["precision"] = narrow
    for name in ("budget", "patience"):
        if name in given:
            options[f"{name}_s"] = _read(parse_duration, given[name])
    if "data_path" in given:
        options["data_path"] = Path(given["data_path"])
    return Options(
        cells=parse_cells(
            listed_names(given.get("backends", BACKENDS)),
            listed_names(given.get("devices", "cpu")),
            listed_names(given.get("loops", "fit")),
            ",".join(arithmetic) or FULL,
        ),
        output=Path(output) if output else Path("results/local") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S"),
        existing="resume" if given.get("resume") else "overwrite" if given.get("overwrite") else "refuse",
        **{**(QUICK if given.get("quick") else {}), **options},
    )


def asked_of(arguments: argparse.Namespace) -> Asked:
    """Returns those of a command's arguments that say what to measure and how."""
    return cast(Asked, {name: value for name, value in vars(arguments).items() if name in Asked.__annotations__})


def versus_options_from(output: Path | str | None, asked: Asked) -> Options:
    """Returns the options of two environments that are measured against each other, as `options_from` does.

    Where it is said neither how much to measure nor when to end, their ratios are measured to within
    `VERSUS_PRECISION`, or as near as `VERSUS_BUDGET_S` allows, which is the budget of another precision too: five
    processes a side see a true 5 % too seldom (docs/method.md).

    Raises:
        BenchError: a number or a name means nothing.
        TypeError: there is no such option.
    """
    options = options_from(output, asked)
    if options.precision is None:
        if any(asked.get(name) for name in ("processes", "rounds", "budget", "quick")):
            return options
        options = replace(options, precision=VERSUS_PRECISION)
    return options if options.budget_s is not None else replace(options, budget_s=VERSUS_BUDGET_S)


def listed_names(names: Names) -> str:
    """Returns names with commas between them, as the command takes them."""
    return names if isinstance(names, str) else ",".join(names)


def share_of(value: float | str) -> float:
    """Returns 0.05 for 0.05 and for `5%`; a number is taken as it is, and a text as the command takes it.

    Raises:
        BenchError: it is no share.
    """
    if not isinstance(value, str) and value >= 1:
        return _read(parse_percent, f"{100 * value}%")
    return _read(parse_percent, value)


def _refuse_unknown(asked: Mapping[str, object]) -> None:
    for name in asked:
        if name not in Asked.__annotations__:
            near = difflib.get_close_matches(name, Asked.__annotations__, 1)
            raise TypeError(f"there is no option {name!r}{f'; do you mean {near[0]!r}?' if near else ''}")


def _split_precision(value: float | str | Sequence[float | str]) -> tuple[float | None, list[str]]:
    """Returns the half-width of intervals that is asked for, if one is, and the names of arithmetic."""
    values = [value] if isinstance(value, float | int | str) else list(value)
    shares = [share_of(each) for each in values if is_quantity(str(each))]
    if len(shares) > 1:
        raise BenchError("precision takes one share; beside it, names of arithmetic")
    return (shares[0] if shares else None), [str(each) for each in values if not is_quantity(str(each))]


def _read(parse: Any, value: float | str) -> float:
    try:
        return float(parse(str(value)))
    except argparse.ArgumentTypeError as error:
        raise BenchError(str(error)) from None
