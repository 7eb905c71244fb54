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

from bench.schema.cell import Cell
from bench.schema.profile import GROUPS, IDLE, OPERATIONS, Group, Profile, ProfiledOperation, ProfileShare
from bench.worker.profiler.trace import ROUND, Span, Trace

MOST_OPERATIONS = 10


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
    for length_us, running in _moments(trace.spans, mark):
        counted = [span for span in running if span.group in OPERATIONS] or running
        if not counted:
            of_group[IDLE] += length_us
        for span in counted:
            assert span.group is not None  # a mark is not work
            of_group[span.group] += length_us / len(counted)
            of_operation[called(span), span.group] += length_us / len(counted)
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


def _moments(spans: Sequence[Span], mark: Span) -> Iterator[tuple[float, list[Span]]]:
    """Yield the stretches of time within `mark` in which the same events run, in order.

    Each is its length in microseconds and the event that counts on each lane that is not idle.
    """
    changes = []
    for place, span in enumerate(spans):
        start, end = max(span.start_us, mark.start_us), min(span.end_us, mark.end_us)
        if span.group is not None and end > start:
            changes += [(start, 1, -span.end_us, place), (end, 0, -span.end_us, place)]
    changes.sort(key=lambda change: change[:3])  # ends first, then outer before inner
    open_on: defaultdict[str, dict[int, Span]] = defaultdict(dict)
    counts_on: dict[str, Span] = {}
    now = mark.start_us
    for at, starts, _, place in changes:
        if at > now:
            yield at - now, list(counts_on.values())
            now = at
        lane = spans[place].lane
        running = open_on[lane]
        if starts:
            running[place] = spans[place]
        else:
            del running[place]
        if running:
            inner_first = list(reversed(running.values()))
            counts_on[lane] = next((span for span in inner_first if span.group in OPERATIONS), inner_first[0])
        else:
            counts_on.pop(lane, None)
    if mark.end_us > now:
        yield mark.end_us - now, list(counts_on.values())
