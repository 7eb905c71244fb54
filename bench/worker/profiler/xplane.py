"""Read the output of the profiler of XLA and TensorFlow: an `XSpace`, in a file `*.xplane.pb`.

A space has planes (the host, a GPU, the compiled programs), a plane has lines (threads, streams), a line has events.
Field numbers are those of tsl/profiler/protobuf/xplane.proto.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bench.worker.profiler.hlo import Instruction, instructions
from bench.worker.profiler.wire import EMPTY, Value, fields, grouped, integer, message, signed, text

# XSpace, XPlane, XLine, XEvent, XStat, the entries of a map, XEventMetadata and XStatMetadata
SPACE_PLANES = 1
PLANE_NAME, PLANE_LINES, PLANE_EVENT_METADATA, PLANE_STAT_METADATA = 2, 3, 4, 5
LINE_NAME, LINE_TIMESTAMP_NS, LINE_EVENTS = 2, 3, 4
EVENT_METADATA_ID, EVENT_OFFSET_PS, EVENT_DURATION_PS, EVENT_STATS = 1, 2, 3, 4
STAT_METADATA_ID, STAT_DOUBLE, STAT_UINT, STAT_INT, STAT_TEXT, STAT_BYTES, STAT_REF = 1, 2, 3, 4, 5, 6, 7
ENTRY_KEY, ENTRY_VALUE = 1, 2
METADATA_NAME, METADATA_STATS = 2, 5

PROGRAMS = "/host:metadata"
HLO = "Hlo Proto"
PROGRAM_ID = re.compile(r"\((\d+)\)$")  # end of a program's name, such as jit_train_step(48)

Stat = str | int | float | bytes
CONTENTS: dict[int, Callable[[Value], Stat]] = {
    STAT_DOUBLE: lambda value: float(struct.unpack("<d", message(value))[0]),
    STAT_UINT: integer,
    STAT_INT: signed,
    STAT_TEXT: text,
    STAT_BYTES: lambda value: bytes(message(value)),
}


@dataclass(frozen=True)
class Event:
    """An event on a line; times are in microseconds on one clock for all lines."""

    name: str
    start_us: float
    end_us: float
    stats: dict[str, Stat] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A thread or a stream."""

    name: str
    events: list[Event]


@dataclass(frozen=True)
class Plane:
    """A device or the host, with a name such as `/host:CPU` or `/device:GPU:0`."""

    name: str
    lines: list[Line]


@dataclass(frozen=True)
class Space:
    """A whole profile.

    Attributes:
        planes: planes with at least one event.
        programs: XLA's instructions by name, for each program that ran, by its number and by its name (`program_id` and
            `hlo_module` of an event); of several programs with one name only one is kept.
    """

    planes: list[Plane]
    programs: dict[int | str, dict[str, Instruction]]


@dataclass(frozen=True)
class _Named:
    name: str
    stats: list[memoryview]


def read_space(data: bytes) -> Space:
    """Return the content of an `*.xplane.pb`.

    Raises:
        ValueError: the bytes are not such a file.
    """
    planes: list[Plane] = []
    programs: dict[int | str, dict[str, Instruction]] = {}
    for value in grouped(data).get(SPACE_PLANES, []):
        parts = grouped(message(value))
        name = text(parts.get(PLANE_NAME, [EMPTY])[0])
        events = dict(map(_entry, parts.get(PLANE_EVENT_METADATA, [])))
        stats = {key: entry.name for key, entry in map(_entry, parts.get(PLANE_STAT_METADATA, []))}
        if name == PROGRAMS:
            programs.update(_programs(events.values(), stats))
        lines = [_line(message(line), events, stats) for line in parts.get(PLANE_LINES, [])]
        if any(line.events for line in lines):
            planes.append(Plane(name, lines))
    return Space(planes, programs)


def _programs(entries: Iterable[_Named], stats: dict[int, str]) -> Iterator[tuple[int | str, dict[str, Instruction]]]:
    for entry in entries:
        numbered = PROGRAM_ID.search(entry.name)
        proto = dict(_stat(stat, stats) for stat in entry.stats).get(HLO)
        if numbered and isinstance(proto, bytes):
            program = instructions(proto)
            yield int(numbered[1]), program
            yield entry.name[: numbered.start()], program


def _line(data: memoryview, events: dict[int, _Named], stats: dict[int, str]) -> Line:
    parts = grouped(data)
    timestamp_ns = integer(parts.get(LINE_TIMESTAMP_NS, [0])[-1])
    found = [_event(message(event), timestamp_ns, events, stats) for event in parts.get(LINE_EVENTS, [])]
    return Line(text(parts.get(LINE_NAME, [EMPTY])[-1]), found)


def _event(data: memoryview, timestamp_ns: int, events: dict[int, _Named], stats: dict[int, str]) -> Event:
    parts = grouped(data)
    metadata, offset_ps, duration_ps = (
        signed(parts.get(number, [0])[-1]) for number in (EVENT_METADATA_ID, EVENT_OFFSET_PS, EVENT_DURATION_PS)
    )
    values = dict(_stat(message(stat), stats) for stat in parts.get(EVENT_STATS, []))
    start_us = timestamp_ns / 1e3 + offset_ps / 1e6
    return Event(events[metadata].name if metadata in events else "", start_us, start_us + duration_ps / 1e6, values)


def _entry(value: Value) -> tuple[int, _Named]:
    """Read an entry of a map from numbers to metadata of events or stats, which begin alike."""
    entry = grouped(message(value))
    metadata = grouped(message(entry.get(ENTRY_VALUE, [EMPTY])[-1]))
    stats = [message(stat) for stat in metadata.get(METADATA_STATS, [])]
    return signed(entry.get(ENTRY_KEY, [0])[-1]), _Named(text(metadata.get(METADATA_NAME, [EMPTY])[-1]), stats)


def _stat(data: memoryview, names: dict[int, str]) -> tuple[str, Stat]:
    metadata = 0
    content: Stat = ""
    for number, value in fields(data):
        if number == STAT_METADATA_ID:
            metadata = signed(value)
        elif number == STAT_REF:
            content = names.get(integer(value), "")
        elif number in CONTENTS:
            content = CONTENTS[number](value)
    return names.get(metadata, ""), content
