"""The training loops: Keras's `fit`, and two loops that keep a whole epoch on the device.

`fused` trains any compiled Keras model with its own loss, metrics and optimizer (`movierank.loops.fused`). `native`
is the ranking model's mathematics written by hand in the framework (`movierank.loops.native`), the yardstick for
the other two. Both update embedding tables row by row where that pays and is exact; a suffix requests one way by name:

    fused-rows, native-rows       only the rows that a batch has touched
    fused-tables, native-tables   whole tables at every step, as `fit` does
    fused-slices                  rows, as Keras updates them on TensorFlow: slices of one id are squared before they
                                  are added (docs/deviations.md), which is not Adagrad; on that backend alone

This module does not import a framework, so that a command line can be checked without one.
"""

from __future__ import annotations

from typing import Literal, get_args

Loop = Literal["fit", "fused", "native"]
Updates = Literal["auto", "rows", "tables", "slices"]

LOOPS: tuple[Loop, ...] = get_args(Loop)
LOOP_NAMES = (
    "fit",
    "fused",
    "fused-rows",
    "fused-tables",
    "fused-slices",
    "native",
    "native-rows",
    "native-tables",
)


def parse_loop(name: str) -> tuple[Loop, Updates]:
    """Return the loop and the way of its embedding updates; `fused` gives `fused` and `auto`.

    Raises:
        ValueError: there is no such loop.
    """
    if name not in LOOP_NAMES:
        raise ValueError(f"unknown loop {name!r}; choose from {', '.join(LOOP_NAMES)}")
    loop, _, updates = name.partition("-")
    return loop, updates or "auto"  # type: ignore[return-value]  # LOOP_NAMES holds nothing else
