"""Quantities as people type them."""

from __future__ import annotations

import argparse
from typing import Any


def parse_percent(text: str) -> float:
    """Returns 0.05 for `5%` and for `0.05`.

    Raises:
        argparse.ArgumentTypeError: it is neither, or is negative.
    """
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a share such as 5% or 0.05; received {text!r}")
    return value


class PrecisionAction(argparse.Action):
    """Takes either meaning of `--precision`: the intervals' half-width (`2%`, `0.02`) or arithmetic (`float32,tf32`).

    A half-width goes to `precision`, as a share; names go to `arithmetic`, in one comma-separated list if given
    more than once. Whether they are known is for `bench.matrix.parse_cells` to say.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Stores one value.

        Raises:
            argparse.ArgumentError: it is a quantity, but not a share.
        """
        if not _is_quantity(values):
            namespace.arithmetic = ",".join(filter(None, (namespace.arithmetic, values)))
            return
        try:
            namespace.precision = parse_percent(values)
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def _is_quantity(text: str) -> bool:
    try:
        float(text.strip().removesuffix("%"))
    except ValueError:
        return text.strip().endswith("%")
    return True


def parse_duration(text: str) -> float:
    """Returns seconds for `90`, `90s`, `5m` or `1h`.

    Raises:
        argparse.ArgumentTypeError: it is none of these, or not above 0.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a time such as 90s, 5m or 1h; received {text!r}")
    return seconds
