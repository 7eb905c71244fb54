"""Convert PyTorch's exported trace to events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.schema.profile import Group
from bench.worker.profiler.groups import fused_in, group_of_torch
from bench.worker.profiler.trace import ROUND, Span

OPTIMIZER = "optimizer"  # mark around the optimizer's calls
INPUT = "enumerate(DataLoader)"  # beginning of the mark that a DataLoader sets around the next batch
KERNELS = {"kernel", "gpu_memcpy", "gpu_memset"}
ON_HOST = {"cpu_op", "user_annotation", "cuda_runtime", "cuda_driver"}
# These call operations; their own time is the framework's.
RUNTIME = ("autograd::", "torch::autograd::", "## ", "AOTDispatcher", "TorchDynamo", "Torch-Compiled")


@dataclass(frozen=True)
class _Called:
    """An event on the host, with the names of its callers and of itself, the outermost first."""

    event: Mapping[str, Any]
    names: tuple[str, ...]


def spans_of(exported: Mapping[str, Any]) -> list[Span]:
    """Return the events of an exported trace.

    Args:
        exported: content of the file.
    """
    events = [event for event in exported["traceEvents"] if event.get("ph") == "X"]
    lanes = _lanes(exported["traceEvents"])
    kernels = [event for event in events if event.get("cat") in KERNELS]
    called = list(_called([event for event in events if event.get("cat") in ON_HOST]))
    callers = {each.event.get("args", {}).get("External id"): each.names for each in called}
    spans = []
    for each in called:
        group, scope = _kind(each.names, on_host=True)
        if kernels and group not in (None, "input pipeline"):
            group = "runtime"  # the host only submits work
        spans.append(_span(each.event, lanes, group, scope))
    for event in kernels:
        names = (*callers.get(event.get("args", {}).get("External id"), ()), str(event["name"]))
        spans.append(_span(event, lanes, *_kind(names, on_host=False)))
    return spans


def _kind(names: Sequence[str], *, on_host: bool) -> tuple[Group | None, str]:
    """Return an event's kind of work, and its place in the model or its outermost caller."""
    *callers, name = names
    if name in (ROUND, OPTIMIZER):
        return None, ""
    if any(each.startswith(INPUT) for each in names):
        return "input pipeline", ""
    if on_host and _is_runtime(name):  # a kernel may be called `cutlass_80_simt_sgemm_…`
        return "runtime", ""
    if (fused := fused_in(name)) is not None:
        return group_of_torch([name], in_optimizer=False), f"fused {fused}"
    outer = next((each for each in callers if each not in (ROUND, OPTIMIZER) and not each.startswith(RUNTIME)), name)
    in_optimizer = OPTIMIZER in callers
    path = dict.fromkeys(each.removeprefix("aten::") for each in (*([OPTIMIZER] * in_optimizer), outer, name))
    operations = [each for each in names if each not in (ROUND, OPTIMIZER)]
    return group_of_torch(operations, in_optimizer=in_optimizer), "/".join(path)


def _is_runtime(name: str) -> bool:
    node = name.rstrip("0123456789").endswith("Backward")  # a node of autograd encloses the operations of its formula
    return node or name.startswith((*RUNTIME, "cuda", "cu"))


def _called(events: Sequence[Mapping[str, Any]]) -> Iterator[_Called]:
    by_lane: dict[Any, list[Mapping[str, Any]]] = {}
    for event in events:
        by_lane.setdefault((event["pid"], event["tid"]), []).append(event)
    for of_lane in by_lane.values():
        open_: list[Mapping[str, Any]] = []
        for event in sorted(of_lane, key=lambda event: (event["ts"], -event["dur"])):
            while open_ and open_[-1]["ts"] + open_[-1]["dur"] <= event["ts"]:
                open_.pop()
            open_.append(event)
            yield _Called(event, tuple(str(each["name"]) for each in open_))


def _span(event: Mapping[str, Any], lanes: Mapping[Any, str], group: Group | None, scope: str) -> Span:
    start_us = float(event["ts"])
    lane = lanes.get((event["pid"], event["tid"]), f"{event['pid']} {event['tid']}")
    return Span(str(event["name"]), lane, start_us, start_us + float(event["dur"]), group, scope)


def _lanes(events: Sequence[Mapping[str, Any]]) -> dict[Any, str]:
    return {
        (event["pid"], event["tid"]): str(event["args"]["name"])
        for event in events
        if event.get("ph") == "M" and event.get("name") == "thread_name"
    }
