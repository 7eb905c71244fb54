"""The arithmetic in which a cell trains: a part of its loop's name, so that two arithmetics are never one cell."""

from __future__ import annotations

import re

from bench.report import Cell

PRECISIONS = ("float32", "bfloat16", "mixed_bfloat16", "tf32")
FULL = "float32"
REDUCED_NAME = re.compile(rf"/[\w-]+:({'|'.join(name for name in PRECISIONS if name != FULL)})(?=\s|$)")


def loop_name(loop: str, precision: str) -> str:
    """Returns a cell's loop: `fit` for float32, `fit:bfloat16` for bfloat16."""
    return loop if precision == FULL else f"{loop}:{precision}"


def precision_of(cell: Cell) -> str:
    """Returns one of `PRECISIONS`."""
    return cell.loop.partition(":")[2] or FULL


def bare_loop(name: str) -> str:
    """Returns a cell's loop without its arithmetic: `fit` for `fit:bfloat16`."""
    return name.partition(":")[0]


def full_precision(cell: Cell) -> Cell:
    """Returns the float32 cell of the same backend, device and loop."""
    return Cell(backend=cell.backend, device=cell.device, loop=bare_loop(cell.loop))


def is_reduced(name: str) -> bool:
    """Returns whether a cell's name, as records of parity give it, tells of another arithmetic than float32's."""
    return REDUCED_NAME.search(name) is not None


def full_name(name: str) -> str:
    """Returns the name, as records of parity give it, of the float32 cell beside a cell of any arithmetic."""
    return REDUCED_NAME.sub(lambda found: found[0].partition(":")[0], name)


def dtype_policy(precision: str) -> str:
    """Returns Keras's name of the dtype policy; tf32 is float32 to Keras and differs in matrix products alone."""
    return FULL if precision == "tf32" else precision
