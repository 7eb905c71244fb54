"""Conditions that can distort a measurement, before it and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from msgspec.structs import replace

from bench.schema.machine import Conditions, Machine
from bench.system.noise import Noise
from bench.system.snapshot import Snapshot, others_percent

T = TypeVar("T", int, float)

BUSY_SHARE = 0.075  # of the usable cores used by other programs: from here on a step time on all cores shows it
SAMPLE_S = 0.5
SHORTEST_S = 1.0  # the kernel counts in ticks of 10 ms, so shares of less time mean nothing
BUSY_LOAD = 0.25  # of the usable cores: from here on, others' work shows in a two-core step time
STEAL_PERCENT = 1.0
THROTTLED_PERCENT = 0.1  # of the run
THROTTLED_BEFORE_MS = 1000.0  # since the control group began, which may have been for another program
THROTTLES_AN_HOUR = 1.0  # since boot; fewer come from a hot minute long ago
FEW_PAGES = 100  # swapped in by a system at rest
SWAP_USED_MIB = 100.0
MEMORY_LEFT_MIB = 1024.0  # a worker takes up to about that on MovieLens 100K


def conditions_between(before: Snapshot, after: Snapshot | None, machine: Machine, threads: int) -> Conditions:
    """Return the conditions that could distort a run that started at `before` and ended at `after`.

    Args:
        before: snapshot before the first worker starts, with a sample of others' CPU use.
        after: snapshot when the last worker has ended; `before` itself for a run of which no more is known; None for a
            run that has not begun, for which steal, throttling and the CPU quota are counted since boot.
        machine: machine of the run.
        threads: number of threads of each worker.
    """
    events, throttled_ms = before.throttle_events, before.cgroup_throttled_ms
    if after is not None:
        events, throttled_ms = _since(events, after.throttle_events), _since(throttled_ms, after.cgroup_throttled_ms)
    measured = Conditions(
        steal_percent=_steal_percent(before, after),
        load_1min_start=before.load_1min,
        load_1min_end=None if after is None else after.load_1min,
        others_cpu_percent=before.others_cpu_percent,
        others_cpu_run_percent=None if after is None else _others_in_run(before, after),
        throttle_events=events,
        swap_in_pages=None if after is None else _since(before.swap_in_pages, after.swap_in_pages),
        cgroup_throttled_ms=throttled_ms,
        memory_left_mib=before.memory_left_mib,
        transparent_hugepages=before.transparent_hugepages,
        numa_nodes=len({cpu.node for cpu in before.cpus if cpu.node is not None}) or None,
    )
    # Only Linux counts anything since boot, and its monotonic clock begins there (clock_gettime(2)).
    duration_s = before.monotonic_s if after is None else after.monotonic_s - before.monotonic_s
    warnings = [
        *_busy(measured, machine, before_run=after is None),
        *_settings(before, machine, threads, before_run=after is None),
        *_memory(before, measured),
        *_taken(measured, duration_s, before_run=after is None),
    ]
    return replace(measured, warnings=warnings)


def joined(earlier: Conditions | None, later: Conditions) -> Conditions:
    """Return the conditions of a run that was cut off and resumed: the sum of counts, the worse of two shares.

    For a part that was killed before its first record, others' CPU use just before it stands for their use during it.
    """
    if earlier is None:
        return later
    recorded = earlier.others_cpu_run_percent is not None or later.others_cpu_run_percent is not None
    return Conditions(
        steal_percent=_worse(earlier.steal_percent, later.steal_percent),
        load_1min_start=earlier.load_1min_start,
        load_1min_end=later.load_1min_end,
        others_cpu_percent=_worse(earlier.others_cpu_percent, later.others_cpu_percent),
        others_cpu_run_percent=_worse(earlier.others_share, later.others_share) if recorded else None,
        throttle_events=_sum(earlier.throttle_events, later.throttle_events),
        swap_in_pages=_sum(earlier.swap_in_pages, later.swap_in_pages),
        cgroup_throttled_ms=_sum(earlier.cgroup_throttled_ms, later.cgroup_throttled_ms),
        memory_left_mib=min(filter(None, (earlier.memory_left_mib, later.memory_left_mib)), default=None),
        transparent_hugepages=later.transparent_hugepages,
        numa_nodes=later.numa_nodes,
        warnings=list(dict.fromkeys([*earlier.warnings, *later.warnings])),
    )


def _busy(measured: Conditions, machine: Machine, *, before_run: bool) -> Iterator[str]:
    load, sampled, in_run = measured.load_1min_start, measured.others_cpu_percent, measured.others_cpu_run_percent
    if load is not None and load > BUSY_LOAD * machine.usable_cores:
        yield (Noise.LOAD if before_run else Noise.LOAD_AT_START)(load=load, cores=machine.usable_cores)
    if in_run is not None and in_run > busy_percent(machine.usable_cores):
        yield Noise.OTHERS_IN_RUN(percent=in_run)
    elif sampled is not None and sampled > busy_percent(machine.usable_cores):
        yield (Noise.OTHERS if before_run else Noise.OTHERS_AT_START)(percent=sampled)


def _settings(before: Snapshot, machine: Machine, threads: int, *, before_run: bool) -> Iterator[str]:
    if threads > machine.usable_cores:
        yield Noise.THREADS(threads=threads, cores=machine.usable_cores)
    # A worker with fewer threads than there are cores keeps to the first of them.
    used = before.cpus[:threads]
    if len({cpu.siblings for cpu in used if cpu.siblings}) < len(used) and all(cpu.siblings for cpu in used):
        first_of_core = {cpu.siblings: cpu.number for cpu in reversed(before.cpus)}
        yield Noise.SIBLINGS(threads=threads, numbers=",".join(map(str, sorted(first_of_core.values())[:threads])))
    if len({cpu.node for cpu in used if cpu.node is not None}) > 1:
        yield Noise.NUMA(node=str(used[0].node))
    if machine.governor not in (None, "performance"):
        yield Noise.GOVERNOR(governor=str(machine.governor))
    if not before_run:  # counts show the effects of the rest
        return
    if machine.virtual is not None:
        yield Noise.VIRTUAL(virtual=machine.virtual)
    if machine.usable_cores < len(before.cpus):
        yield Noise.QUOTA(cores=machine.usable_cores, cpus=len(before.cpus))


def _memory(before: Snapshot, measured: Conditions) -> Iterator[str]:
    if measured.memory_left_mib is not None and measured.memory_left_mib < MEMORY_LEFT_MIB:
        yield Noise.MEMORY(mib=measured.memory_left_mib)
    if measured.swap_in_pages is not None and measured.swap_in_pages > FEW_PAGES:
        yield Noise.SWAPPED_IN(pages=measured.swap_in_pages)
    elif before.swap_used_mib is not None and before.swap_used_mib > SWAP_USED_MIB:
        yield Noise.SWAP(mib=before.swap_used_mib)


def _taken(measured: Conditions, duration_s: float, *, before_run: bool) -> Iterator[str]:
    span = "since boot" if before_run else "during the run"
    if measured.steal_percent is not None and measured.steal_percent > STEAL_PERCENT:
        yield Noise.STEAL(percent=measured.steal_percent, span=span)
    few = THROTTLES_AN_HOUR * duration_s / 3600 if before_run else 0.0
    if measured.throttle_events is not None and measured.throttle_events > few:
        yield Noise.THROTTLED(events=measured.throttle_events, span=span)
    throttled_ms = measured.cgroup_throttled_ms
    brief_ms = THROTTLED_BEFORE_MS if before_run else THROTTLED_PERCENT / 100 * duration_s * 1000
    if throttled_ms is not None and throttled_ms > brief_ms:
        yield (Noise.QUOTA_USED if before_run else Noise.QUOTA_IN_RUN)(ms=throttled_ms)


def _steal_percent(before: Snapshot, after: Snapshot | None) -> float | None:
    if after is None:
        return None if before.cpu is None else _share(before.cpu.steal_s, before.cpu.total_s)
    if before.cpu is None or after.cpu is None or after.monotonic_s - before.monotonic_s < SHORTEST_S:
        return None
    return _share(after.cpu.steal_s - before.cpu.steal_s, after.cpu.total_s - before.cpu.total_s)


def _others_in_run(before: Snapshot, after: Snapshot) -> float | None:
    duration_s = after.monotonic_s - before.monotonic_s
    if duration_s < SHORTEST_S:
        return None
    return others_percent(before.cpu, after.cpu, after.this_cpu_s - before.this_cpu_s, duration_s)


def _share(part: float, whole: float) -> float | None:
    return max(0.0, 100 * part / whole) if whole > 0 else None


def _since(before: T | None, after: T | None) -> T | None:
    """Return the growth of a counter; a counter that was reset counts from zero."""
    if before is None or after is None:
        return None
    return after - before if after >= before else after


def _sum(one: T | None, other: T | None) -> T | None:
    return other if one is None else one if other is None else one + other


def _worse(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def busy_percent(usable_cores: int) -> float:
    """Return the CPU use of other programs, 100 being one core, above which a measurement counts as disturbed."""
    return 100 * BUSY_SHARE * usable_cores
