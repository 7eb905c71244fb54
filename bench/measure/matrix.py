"""Which cells a run measures."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from bench.errors import BenchError
from bench.schema.cell import FULL, PRECISIONS, Cell, loop_name
from movierank.backends import BACKENDS
from movierank.loops import LOOP_NAMES

DEVICE = re.compile(r"cpu|gpu(:\d+)?")


def parse_cells(backends: str, devices: str, loops: str, precisions: str = FULL) -> list[Cell]:
    """Returns all combinations of four comma-separated lists, without repeats, in the order given.

    Raises:
        BenchError: a name is unknown or a list is empty.
    """
    chosen_backends = _parse_list("backend", backends)
    chosen_devices = _parse_list("device", devices)
    if "gpu" in chosen_devices:  # gpu:0 is the same device
        chosen_devices = [device for device in chosen_devices if device != "gpu:0"]
    chosen_loops = _parse_list("loop", loops)
    for backend in chosen_backends:
        if backend not in BACKENDS:
            hint = " (tox calls it tf; its name here is tensorflow)" if backend == "tf" else ""
            raise BenchError(f"unknown backend {backend!r}{hint}; choose from {', '.join(BACKENDS)}")
    for device in chosen_devices:
        if not DEVICE.fullmatch(device):
            raise BenchError(f"unknown device {device!r}; choose from cpu, gpu, gpu:N")
    for loop in chosen_loops:
        if loop not in LOOP_NAMES:
            raise BenchError(f"unknown loop {loop!r}; choose from {', '.join(LOOP_NAMES)}")
    chosen_precisions = _parse_list("precision", precisions)
    for precision in chosen_precisions:
        if precision not in PRECISIONS:
            raise BenchError(
                f"unknown precision {precision!r}; choose from {', '.join(PRECISIONS)}, or give the intervals' "
                "half-width as a share such as 2%"
            )
    return [
        Cell(backend=backend, device=device, loop=loop_name(loop, precision))
        for backend, device, loop, precision in itertools.product(
            chosen_backends, chosen_devices, chosen_loops, chosen_precisions
        )
    ]


def _parse_list(what: str, text: str) -> Sequence[str]:
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise BenchError(f"no {what} given; name at least one, separated by commas")
    return names
