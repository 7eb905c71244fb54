"""The cells of a run, from lists of names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

from bench.errors import BenchError
from bench.schema.cell import FULL, PRECISIONS, Cell, loop_name
from movierank.backends import BACKENDS
from movierank.loops import LOOP_NAMES

DEVICE = re.compile(r"cpu|gpu(:\d+)?")


def parse_cells(backends: str, devices: str, loops: str, precisions: str = FULL) -> list[Cell]:
    """Return all combinations of four comma-separated lists, without repeats, in the order given.

    Raises:
        BenchError: a name is unknown or a list is empty.
    """
    chosen_devices = _parse_list("device", devices, DEVICE.fullmatch, "cpu, gpu, gpu:N")
    if "gpu" in chosen_devices:  # gpu:0 is the same device
        chosen_devices = [device for device in chosen_devices if device != "gpu:0"]
    a_width = ", or give the intervals' half-width as a share such as 2%"
    combinations = itertools.product(
        _parse_list("backend", backends, BACKENDS.__contains__, ", ".join(BACKENDS)),
        chosen_devices,
        _parse_list("loop", loops, LOOP_NAMES.__contains__, ", ".join(LOOP_NAMES)),
        _parse_list("precision", precisions, PRECISIONS.__contains__, ", ".join(PRECISIONS) + a_width),
    )
    return [
        Cell(backend=backend, device=device, loop=loop_name(loop, precision))
        for backend, device, loop, precision in combinations
    ]


def _parse_list(what: str, text: str, is_known: Callable[[str], object], choices: str) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise BenchError(f"no {what} given; name at least one, separated by commas")
    for name in names:
        if not is_known(name):
            hint = " (tox calls it tf; its name here is tensorflow)" if (what, name) == ("backend", "tf") else ""
            raise BenchError(f"unknown {what} {name!r}{hint}; choose from {choices}")
    return names
