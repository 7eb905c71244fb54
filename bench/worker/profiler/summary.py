"""The shares of the wall time of traced steps, from a trace of any backend.

Every moment between the first step's start and the last one's end is counted once, so that all shares add up to 1:

1. On each lane the innermost operation counts, since the enclosing ones wait for it; where no operation runs there, the
   innermost other event counts.
2. If operations run on any lane, they share the moment equally, and anything that runs beside them costs nothing.
3. Otherwise the events of input pipeline and runtime share it.
4. Otherwise the profiler saw nothing: Python, or waiting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.schema.cell import Cell
from bench.schema.profile import GROUPS, IDLE, OPERATIONS, Group, Profile, ProfiledOperation, ProfileShare
from bench.worker.profiler.trace import ROUND, Span, Trace

MOST_OPERATIONS = 10


@dataclass(frozen=True)
class _Moment:
    """A stretch of time in which the same events run.

    Attributes:
        length_us: length in microseconds.
        running: the event that counts on each lane that is not idle.
    """

    length_us: float
    running: Sequence[Span]


def summarise_trace(trace: Trace, cell: Cell, process: int, file: str) -> Profile:
    """Return the shares of the time of a trace's steps.

    Args:
        trace: trace with the mark around its steps.
        cell: cell that was traced.
        process: index of the worker process that was traced.
        file: path of the trace in the report.

    Raises:
        ValueError: the mark is missing, or no operation was seen within it.
    """
    mark = next((span for span in trace.spans if span.name == ROUND), None)
    if mark is None or mark.end_us <= mark.start_us or trace.steps < 1:
        raise ValueError("the profiler did not see the steps")
    of_group: defaultdict[Group, float] = defaultdict(float)
    of_operation: defaultdict[tuple[str, Group], float] = defaultdict(float)
    for moment in _moments(trace.spans, mark):
        counted = [span for span in moment.running if span.group in OPERATIONS] or moment.running
        if not counted:
            of_group[IDLE] += moment.length_us
        for span in counted:
            assert span.group is not None  # a mark is not work
            of_group[span.group] += moment.length_us / len(counted)
            of_operation[called(span), span.group] += moment.length_us / len(counted)
    if not of_group.keys() & OPERATIONS:
        raise ValueError("the profiler saw no operation")
    calls = Counter(
        (called(span), span.group)
        for span in trace.spans
        if span.group is not None and mark.start_us <= span.start_us < mark.end_us
    )
    whole = mark.end_us - mark.start_us
    return Profile(
        backend=cell.backend,
        device=cell.device,
        loop=cell.loop,
        process=process,
        file=file,
        steps=trace.steps,
        step_ms=whole / 1e3 / trace.steps,
        operations_per_step=sum(count for (_, group), count in calls.items() if group in OPERATIONS) / trace.steps,
        shares=[
            ProfileShare(group=group, share=of_group[group] / whole)
            for group in sorted(GROUPS, key=lambda group: -of_group[group])
            if of_group[group]
        ],
        operations=[
            ProfiledOperation(
                name=name,
                group=group,
                share=time / whole,
                calls_per_step=calls[name, group] / trace.steps,
            )
            for (name, group), time in sorted(of_operation.items(), key=lambda item: -item[1])[:MOST_OPERATIONS]
        ],
    )


def called(span: Span) -> str:
    """Return an operation's name in a summary: its place in the model, else the framework's name."""
    return span.scope or span.name


def _moments(spans: Sequence[Span], mark: Span) -> Iterator[_Moment]:
    """Yield the stretches between the starts or ends of any two events within `mark`, in order."""
    changes = []
    for span in spans:
        start, end = max(span.start_us, mark.start_us), min(span.end_us, mark.end_us)
        if span.group is not None and end > start:
            changes += [(start, 1, span), (end, 0, span)]
    changes.sort(key=lambda change: (change[0], change[1], -change[2].end_us))  # ends first, then outer before inner
    open_on: dict[str, list[Span]] = {}
    counts_on: dict[str, Span] = {}
    now = mark.start_us
    for at, starts, span in changes:
        if at > now:
            yield _Moment(at - now, list(counts_on.values()))
            now = at
        running = open_on.setdefault(span.lane, [])
        if starts:
            running.append(span)
        else:
            _remove(running, span)
        if running:
            counts_on[span.lane] = next((each for each in reversed(running) if each.group in OPERATIONS), running[-1])
        else:
            counts_on.pop(span.lane, None)
    if mark.end_us > now:
        yield _Moment(mark.end_us - now, list(counts_on.values()))


def _remove(running: list[Span], span: Span) -> None:
    """Remove the last entry that is this very span; two spans may be equal."""
    for place in range(len(running) - 1, -1, -1):
        if running[place] is span:
            del running[place]
            return
