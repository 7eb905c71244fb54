"""Cells and their names.

The arithmetic in which a cell trains is a part of its loop's name, so that two arithmetics are never one cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.schema.record import Record

PRECISIONS = ("float32", "bfloat16", "mixed_bfloat16", "tf32")
FULL = "float32"
REDUCED_NAME = re.compile(rf"/[\w-]+:({'|'.join(name for name in PRECISIONS if name != FULL)})(?=\s|$)")


def loop_name(loop: str, precision: str) -> str:
    """Return a cell's loop: `fit` for float32, `fit:bfloat16` for bfloat16."""
    return loop if precision == FULL else f"{loop}:{precision}"


def precision_of(cell: Cell) -> str:
    """Return a cell's arithmetic, one of `PRECISIONS`."""
    return cell.loop.partition(":")[2] or FULL


def bare_loop(name: str) -> str:
    """Return a cell's loop without its arithmetic: `fit` for `fit:bfloat16`."""
    return name.partition(":")[0]


def full_precision(cell: Cell) -> Cell:
    """Return the float32 cell of the same backend, device and loop."""
    return Cell(backend=cell.backend, device=cell.device, loop=bare_loop(cell.loop))


def is_reduced(name: str) -> bool:
    """Return whether a cell's name, as records of parity give it, names another arithmetic than float32."""
    return REDUCED_NAME.search(name) is not None


def full_name(name: str) -> str:
    """Return the name of the float32 cell beside a cell of any arithmetic, both as records of parity give them."""
    return REDUCED_NAME.sub(lambda found: found[0].partition(":")[0], name)


def short_names(cells: Iterable[Cell]) -> dict[str, str]:
    """Return each cell's shortest clear name: `jax`, `jax fused` on one device, `jax/gpu/fused` otherwise.

    Reduced precision is written out, as in `jax with bfloat16`.
    """
    unique = set(cells)
    full = {full_precision(cell) for cell in unique}
    one_loop = len({cell.backend for cell in full}) == len(full)
    one_device = len({cell.device for cell in full}) == 1
    return {str(cell): _name(cell, one_loop, one_device) for cell in unique}


def _name(cell: Cell, one_loop: bool, one_device: bool) -> str:
    full = full_precision(cell)
    base = cell.backend if one_loop else f"{cell.backend} {full.loop}" if one_device else str(full)
    return base if precision_of(cell) == FULL else f"{base} with {precision_of(cell)}"


class Cell(Record, frozen=True, kw_only=True, order=True):
    """The unit of comparison: one backend on one device with one loop."""

    backend: str
    device: str
    loop: str

    def __str__(self) -> str:
        """Return the cell's name, such as `jax/cpu/fit`."""
        return f"{self.backend}/{self.device}/{self.loop}"


class OfCell(Record, frozen=True, kw_only=True):
    """Base of the records of one cell.

    Attributes:
        backend, device, loop: the cell.
    """

    backend: str
    device: str
    loop: str

    @property
    def cell(self) -> Cell:
        """The cell that the record is about."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)


def cell_named(name: str) -> Cell:
    """Return the cell of a name in records of parity: `jax/cpu/fit`, in a joined report `jax/cpu/fit (results/jax)`.

    A missing part becomes an empty string.
    """
    backend, _, rest = name.partition(" ")[0].partition("/")
    device, _, loop = rest.partition("/")
    return Cell(backend=backend, device=device, loop=loop)
