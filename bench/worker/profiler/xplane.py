"""Read the output of the profiler of XLA and TensorFlow: an `XSpace`, in a file `*.xplane.pb`.

A space has planes (the host, a GPU, the compiled programs), a plane has lines (threads, streams), a line has events.
Field numbers are those of tsl/profiler/protobuf/xplane.proto.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.worker.profiler.hlo import Instruction, instructions
from bench.worker.profiler.wire import Value, fields, integer, message, signed, text

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
    for number, value in fields(data):
        if number != SPACE_PLANES:
            continue
        parts: dict[int, list[Value]] = {}
        for part, content in fields(message(value)):
            parts.setdefault(part, []).append(content)
        name = text(parts[PLANE_NAME][0]) if PLANE_NAME in parts else ""
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
    name, timestamp_ns, found = "", 0, []
    for number, value in fields(data):
        if number == LINE_NAME:
            name = text(value)
        elif number == LINE_TIMESTAMP_NS:
            timestamp_ns = integer(value)
        elif number == LINE_EVENTS:
            found.append(message(value))
    return Line(name, [_event(event, timestamp_ns, events, stats) for event in found])


def _event(data: memoryview, timestamp_ns: int, events: dict[int, _Named], stats: dict[int, str]) -> Event:
    metadata = offset_ps = duration_ps = 0
    values = {}
    for number, value in fields(data):
        if number == EVENT_METADATA_ID:
            metadata = signed(value)
        elif number == EVENT_OFFSET_PS:
            offset_ps = signed(value)
        elif number == EVENT_DURATION_PS:
            duration_ps = signed(value)
        elif number == EVENT_STATS:
            name, content = _stat(message(value), stats)
            values[name] = content
    start_us = timestamp_ns / 1e3 + offset_ps / 1e6
    return Event(events[metadata].name if metadata in events else "", start_us, start_us + duration_ps / 1e6, values)


def _entry(value: Value) -> tuple[int, _Named]:
    """Read an entry of a map from numbers to metadata of events or stats, which begin alike."""
    key, name, stats = 0, "", []
    for number, part in fields(message(value)):
        if number == ENTRY_KEY:
            key = signed(part)
        elif number == ENTRY_VALUE:
            for place, content in fields(message(part)):
                if place == METADATA_NAME:
                    name = text(content)
                elif place == METADATA_STATS:
                    stats.append(message(content))
    return key, _Named(name, stats)


def _stat(data: memoryview, names: dict[int, str]) -> tuple[str, Stat]:
    metadata = 0
    content: Stat = ""
    for number, value in fields(data):
        if number == STAT_METADATA_ID:
            metadata = signed(value)
        elif number == STAT_TEXT:
            content = text(value)
        elif number == STAT_BYTES:
            content = bytes(message(value))
        elif number == STAT_REF:
            content = names.get(integer(value), "")
        elif number == STAT_DOUBLE:
            (content,) = struct.unpack("<d", message(value))
        elif number == STAT_INT:
            content = signed(value)
        elif number == STAT_UINT:
            content = integer(value)
    return names.get(metadata, ""), content
