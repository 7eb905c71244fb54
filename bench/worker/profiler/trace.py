"""A trace of some training steps, as a file that https://ui.perfetto.dev and chrome://tracing open.

The format is Chrome's "Trace Event Format": complete events (`ph` X) with `ts` and `dur` in microseconds, and metadata
events (`ph` M) that name processes and threads. Each event's `cat` is its kind of work, one of `GROUPS`, and
`args.scope` its place in the model, where the framework reports it.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.schema.profile import GROUPS, Group
from bench.system.files import atomic_write

MARK = "annotation"  # category of an event that names a stretch of time and is not work
ROUND = "traced steps"  # name of the mark around the steps
PROCESS = 1


@dataclass(frozen=True)
class Span:
    """One event.

    Attributes:
        name: name in the framework.
        lane: unique name of the thread or stream it ran on.
        start_us, end_us: start and end in microseconds, on one clock for all lanes.
        group: kind of work; None for a mark.
        scope: place in the model that it comes from; empty where unknown.
    """

    name: str
    lane: str
    start_us: float
    end_us: float
    group: Group | None
    scope: str = ""


@dataclass(frozen=True)
class Trace:
    """The events that a profiler saw.

    Attributes:
        spans: events of all lanes, in any order, among them the mark `ROUND`.
        steps: number of training steps within that mark.
        about: facts for a reader of the file, such as the backend.
    """

    spans: Sequence[Span]
    steps: int
    about: dict[str, str]


class _Event(msgspec.Struct, kw_only=True):
    name: str
    ph: str
    pid: int
    tid: int = 0
    cat: str = ""
    ts: float = 0.0
    dur: float = 0.0
    args: dict[str, Any] = {}


class _File(msgspec.Struct, kw_only=True):
    displayTimeUnit: str = "ms"  # the format's name
    otherData: dict[str, str] = {}
    traceEvents: list[_Event]


def write_trace(trace: Trace, target: Path) -> None:
    """Write a trace as compressed JSON, atomically; its first event is at time 0.

    Raises:
        BenchError: the file cannot be written; `target` is untouched.
    """
    lanes = {lane: number for number, lane in enumerate(dict.fromkeys(span.lane for span in trace.spans), start=1)}
    zero = min((span.start_us for span in trace.spans), default=0.0)
    events = [_Event(name="process_name", ph="M", pid=PROCESS, args={"name": trace.about.get("cell", "worker")})]
    for lane, number in lanes.items():
        events += [
            _Event(name="thread_name", ph="M", pid=PROCESS, tid=number, args={"name": lane}),
            _Event(name="thread_sort_index", ph="M", pid=PROCESS, tid=number, args={"sort_index": number}),
        ]
    events += [
        _Event(
            name=span.name,
            ph="X",
            pid=PROCESS,
            tid=lanes[span.lane],
            cat=span.group or MARK,
            ts=round(span.start_us - zero, 3),
            dur=round(span.end_us - span.start_us, 3),
            args={"scope": span.scope} if span.scope else {},
        )
        for span in trace.spans
    ]
    file = _File(otherData={**trace.about, "steps": str(trace.steps)}, traceEvents=events)
    with atomic_write(target) as temporary:
        temporary.write_bytes(gzip.compress(msgspec.json.encode(file), compresslevel=6, mtime=0))


def read_trace(path: Path) -> Trace:
    """Return the trace that `write_trace` wrote.

    Raises:
        BenchError: the file cannot be read, or is not such a trace.
    """
    try:
        file = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=_File)
        steps = int(file.otherData["steps"])
    except (OSError, EOFError, msgspec.MsgspecError, KeyError, ValueError) as error:
        raise BenchError(f"{path} is not a trace of this program: {error}") from error
    names = {event.tid: str(event.args["name"]) for event in file.traceEvents if event.name == "thread_name"}
    groups = {str(group): group for group in GROUPS}
    return Trace(
        spans=[
            Span(
                name=event.name,
                lane=names.get(event.tid, str(event.tid)),
                start_us=event.ts,
                end_us=event.ts + event.dur,
                group=groups.get(event.cat),
                scope=str(event.args.get("scope", "")),
            )
            for event in file.traceEvents
            if event.ph == "X"
        ],
        steps=steps,
        about=file.otherData,
    )
