"""The options of a measurement, once: for `--help`, the Python functions, `Options` and docs/commands.md.

The module imports nothing heavy, so that `--help` and `from bench import run` start at once.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.text.numbers import parse_duration, parse_precision
from movierank.backends import BACKENDS
from movierank.commands.data_options import DATA_OPTIONS

WHAT, DATA, WORKLOAD, HOW, EXISTING = "what to compare", "data", "workload", "how to measure", "output"


@dataclass(frozen=True)
class Option:
    """One option: `--batch-size` of the commands, `batch_size` of the Python functions.

    Attributes:
        name: keyword of the Python functions.
        group: heading in `--help`.
        help: meaning, without the default.
        metavar: placeholder of the value in `--help`.
        type: function that reads the text of a value; None for a text, and where there is no value.
        default: value where the option is not given, as one may type it; None where `help` explains it.
        quick: value with `--quick`, where it is another.
        choices: all values, where these are few.
        action: of argparse, for an option without a value, or one that may be given twice.
        field: attribute of `bench.measure.options.Options`; by default `name`, empty where there is none.
    """

    name: str
    group: str
    help: str = ""
    metavar: str | None = None
    type: Callable[[str], Any] | None = None
    default: Any = None
    quick: Any = None
    choices: tuple[str, ...] | None = None
    action: Any = None
    field: str | None = None

    @property
    def flag(self) -> str:
        """The option as one types it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def attribute(self) -> str:
        """The attribute of `Options` that holds the value; empty where there is none."""
        return self.name if self.field is None else self.field

    def described(self) -> str:
        """Return the meaning and the default."""
        values = {"default": self.default, "quick": self.quick}
        known = [f"{name}: {_shown(value)}" for name, value in values.items() if value is not None]
        return f"{self.help} ({'; '.join(known)})".strip() if known else self.help

    def add(self, parser: argparse._ActionsContainer, **changes: Any) -> None:
        """Add the option to a command, with `changes` to the keyword arguments of `add_argument`.

        The command's default is None where `--quick` changes it.
        """
        default = self.default if self.quick is None else None
        settings = {"help": self.described().replace("%", "%%"), "default": default}
        settings |= {name: getattr(self, name) for name in ("metavar", "type", "choices", "action")}
        settings = {name: value for name, value in settings.items() if value is not None}
        parser.add_argument(self.flag, **{**settings, **changes})

    def read(self, value: Any) -> Any:
        """Return a value given in Python: paths and times also as a text.

        Raises:
            BenchError: the text is not a time.
        """
        if self.type is Path:
            return Path(value)
        return reading(parse_duration, value) if self.type is parse_duration else value


def reading(parse: Callable[[str], float], value: float | str) -> float:
    """Return a quantity that is given as a number, or as the command takes it.

    Raises:
        BenchError: the text is not such a quantity.
    """
    try:
        return parse(str(value))
    except argparse.ArgumentTypeError as error:
        raise BenchError(str(error)) from None


OPTIONS = (
    Option("backends", WHAT, "names with commas", "LIST", default=",".join(BACKENDS), field=""),
    Option("devices", WHAT, "cpu, gpu or gpu:N", "LIST", default="cpu", field=""),
    Option("loops", WHAT, "how training is driven", "LIST", default="fit", field=""),
    *(Option(name, DATA, **settings) for name, settings in DATA_OPTIONS.items()),
    Option(
        "workload",
        WORKLOAD,
        "a model of your own, also path/file.py:object, with its data (docs/own-workload.md)",
        "MODULE:OBJECT",
    ),
    Option("split", WORKLOAD, "tutorial, or FRACTION:SEED such as 0.8:42 (default: by dataset)"),
    Option("batch_size", WORKLOAD, "examples per step", "N", int, 1000),
    Option("epochs", WORKLOAD, "epochs of the training whose RMSE is reported", "N", int, 5),
    Option("embedding_dimension", WORKLOAD, "width of both embedding tables", "N", int, 32),
    Option("learning_rate", WORKLOAD, "learning rate of Adagrad", "X", float, 0.1),
    Option(
        "init",
        WORKLOAD,
        "initial weights: the same for every backend, or each one's own",
        default="shared",
        choices=("shared", "backend"),
    ),
    Option("target_rmse", WORKLOAD, "report the training time until the test RMSE is this low", "X", float, 0.26),
    Option("processes", HOW, "per cell, at least --seeds", "N", int, 5, 2),
    Option("seeds", HOW, "seeds of the initial weights", "N", int, 3, 2),
    Option("rounds", HOW, "timed rounds per process", "N", int, 5, 4),
    Option("round_seconds", HOW, "shortest time of a round, in seconds", "S", float, 0.4, 0.2, field="round_s"),
    Option(
        "precision",
        HOW,
        "2%: start processes until every interval is this narrow either way (with --budget 5m if none is given), ten "
        "at least; a list of float32, bfloat16, mixed_bfloat16, tf32: arithmetic to compare, each a cell of its own "
        "(default: float32). May be given twice, once for each",
        "2%|LIST",
        parse_precision,
        action="append",
        field="",
    ),
    Option(
        "budget",
        HOW,
        "start processes as long as this allows (parity not counted), but in any case five of a cell, or --processes",
        "5m",
        parse_duration,
        field="budget_s",
    ),
    Option(
        "patience",
        HOW,
        "how long to wait in all while the machine's cores do not share a cache, and to repeat rounds timed meanwhile",
        "2m",
        parse_duration,
        default="2m",
        quick="15s",
        field="patience_s",
    ),
    Option("quick", HOW, "fewer and shorter rounds: a first look", action="store_true", field=""),
    Option("threads", HOW, "CPU threads of a worker (default: all usable cores)", "N", int),
    Option("order_seed", HOW, "seed of the random order of rounds", "N", int, 0),
    Option(
        "timeout",
        HOW,
        "longest wait for one answer of a worker, in seconds",
        "SECONDS",
        float,
        600.0,
        field="timeout_s",
    ),
    Option("parity", HOW, "judge parity (default: on small data)", action=argparse.BooleanOptionalAction),
    Option(
        "profile",
        HOW,
        "afterwards trace some steps of each cell, to show where their time goes (docs/profile.md)",
        action="store_true",
    ),
    Option(
        "envelope",
        HOW,
        "whose rounding parity is judged by: that of the oracle's float32 copies, or of permuted copies that each "
        "cell trains itself after the measurement",
        default="oracle",
        choices=("oracle", "backend"),
    ),
    Option("copies", HOW, "permuted copies of each cell and seed for --envelope backend", "N", int, 6),
    Option("resume", EXISTING, "go on with the report in --output", action="store_true", field=""),
    Option("overwrite", EXISTING, "replace the report in --output", action="store_true", field=""),
)
BY_NAME = {option.name: option for option in OPTIONS}
_HELD = [each for each in OPTIONS if each.attribute]
DEFAULTS = {each.attribute: each.read(each.default) for each in _HELD if each.default is not None}
QUICK = {each.attribute: each.read(each.quick) for each in _HELD if each.quick is not None}


def documented() -> str:
    """Return the options as the lines of a docstring, a keyword each."""
    return "\n".join(f"    {each.name}: {_in_python(each)}" for each in OPTIONS)


def as_markdown() -> str:
    """Return the options as a table for docs/commands.md."""
    rows = [f"| `{each.flag}` | `{each.name}` | {_in_python(each).replace('|', '/')} |" for each in OPTIONS]
    return "\n".join(["| option | in Python | meaning |", "|---|---|---|", *rows])


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_python(option: Option) -> str:
    choices = f"`{'` or `'.join(option.choices)}`; " if option.choices else ""
    return choices + re.sub(r"--([a-z-]+)", lambda found: f"`{found[1].replace('-', '_')}`", option.described())
