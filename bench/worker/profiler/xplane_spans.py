"""Convert the events of the profiler of XLA and TensorFlow to those of a trace."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.schema.profile import Group
from bench.worker.profiler.groups import KERNEL_MOVES, KERNEL_PRODUCTS, group_of_instruction, group_of_tensorflow
from bench.worker.profiler.hlo import Instruction
from bench.worker.profiler.trace import ROUND, Span
from bench.worker.profiler.xplane import Event, Plane, Space

DEVICE_PLANE = "/device:"
NODE = re.compile(r"([^\s:]+):(_?[A-Z]\w*)")  # an operation of a graph: its node's name and its type
INPUT = re.compile(r"Iterator|ParallelMap|Prefetch|Dataset|InstantiatedCapturedFunction")
# Lines that the profiler's tools add to a device's streams; they count the same time again.
DERIVED_LINES = {"Steps", "XLA Modules", "TensorFlow Name Scope", "TensorFlow Ops", "XLA TraceMe", "Source code"}
WRAPPERS = re.compile(r"^(?:jit\([\w<>]+\)/|(?:Stateful)?PartitionedCall/)+")


def spans_of(space: Space, optimizer: str) -> list[Span]:
    """Return the events of all planes.

    Args:
        space: content of the file.
        optimizer: name scope of the optimizer.
    """
    on_device = any(plane.name.startswith(DEVICE_PLANE) for plane in space.planes)
    return [span for plane in space.planes for span in _spans(plane, space, optimizer, on_device)]


def _spans(plane: Plane, space: Space, optimizer: str, on_device: bool) -> Iterator[Span]:
    device = plane.name.startswith(DEVICE_PLANE)
    for number, line in enumerate(plane.lines, start=1):
        if device and line.name in DERIVED_LINES:
            continue
        lane = f"{plane.name.removeprefix('/')} {number}: {line.name}"
        for event in line.events:
            if event.name == ROUND:
                yield Span(event.name, lane, event.start_us, event.end_us, group=None)
                continue
            group, scope = _kind(event, space, optimizer)
            if on_device and not device and group != "input pipeline":
                group = "runtime"  # the host only submits work
            elif device and group == "runtime":
                group = "matrix products" if KERNEL_PRODUCTS.search(event.name) else "other operations"
            yield Span(event.name, lane, event.start_us, event.end_us, group, scope)


def _kind(event: Event, space: Space, optimizer: str) -> tuple[Group, str]:
    """Return an event's kind of work, and its place in the model."""
    if "hlo_op" in event.stats:
        instruction = _instruction(event, space)
        return group_of_instruction(instruction, optimizer), WRAPPERS.sub("", instruction.scope)
    node = NODE.fullmatch(str(event.stats.get("tf_op", event.name)))
    if node:
        return group_of_tensorflow(node[2], node[1], optimizer), WRAPPERS.sub("", node[1])
    if KERNEL_MOVES.search(event.name):
        return "memory copies", ""
    return "input pipeline" if INPUT.search(event.name) else "runtime", ""


def _instruction(event: Event, space: Space) -> Instruction:
    name = str(event.stats["hlo_op"])
    for key in ("program_id", "hlo_module"):
        program = event.stats.get(key)
        if isinstance(program, int | str) and name in (known := space.programs.get(program, {})):
            return known[name]
    # The profiler did not store this program, but XLA's name of an instruction begins with its opcode.
    opcode = name.partition(".")[0]
    return Instruction(opcode, "", frozenset({opcode}), frozenset())
