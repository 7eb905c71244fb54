"""Quantities as people type them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable

Interval = tuple[float, float]


def parse_percent(text: str) -> float:
    """Return 0.05 for `5%` and for `0.05`.

    Raises:
        argparse.ArgumentTypeError: it is neither, or is negative; or it is 1 or more without `%`: 5 would be 500 %,
            and a gate that nothing fails.
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a share such as 5% or 0.05; received {text!r}")
    if value >= 1 and not text.endswith("%"):
        raise argparse.ArgumentTypeError(f"{text} would be {100 * value:g} %; write {value:g}%, or {value / 100:g}")
    return value


def parse_precision(text: str) -> float | str:
    """Return either meaning of `--precision`: the intervals' half-width as a share, or names of arithmetic.

    `2%` and `0.02` are a half-width; of anything else, `bench.measure.matrix.parse_cells` says whether it is known.

    Raises:
        argparse.ArgumentTypeError: it is a quantity, but not a share.
    """
    return parse_percent(text) if is_quantity(text) else text


def is_quantity(text: str) -> bool:
    """Return whether a value of `--precision` is a number or a share, not a name."""
    try:
        float(text.strip().removesuffix("%"))
    except ValueError:
        return text.strip().endswith("%")
    return True


def parse_duration(text: str) -> float:
    """Return seconds for `90`, `90s`, `5m` or `1h`; whether 0 makes sense is for the option to say.

    Raises:
        argparse.ArgumentTypeError: it is none of these, or negative.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 5m or 1h; received {text!r}")
    return seconds


def three_digits(value: float | None) -> str:
    """Return a positive number with three digits and no exponent: `0.845`, `12.8`, `552`; a dash for None."""
    if value is None:
        return "–"
    digits = 3 if value <= 0 else max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def with_interval(value: float | None, ci95: Interval | None = None, unit: str = "") -> str:
    """Return `1.23 [1.10, 1.40]`, such as `1.23 s [1.10, 1.40]` with a unit; no interval, or a dash, for None."""
    ends = "" if ci95 is None else f" [{three_digits(ci95[0])}, {three_digits(ci95[1])}]"
    return f"{three_digits(value)}{unit}{ends}"


def listed(parts: Iterable[str], word: str = "and") -> str:
    """Return `a`, `a and b`, or `a, b and c`, with another `word` as `or`; there must be at least one part."""
    *front, last = list(parts)
    return f"{', '.join(front)} {word} {last}" if front else last
