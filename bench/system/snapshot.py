"""Snapshots of the system's counters and settings that can distort a measurement."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.system.control_groups import Use, read_use
from bench.system.probing import allowed_cpus, attempt, text_of

MIB = 2**20


@dataclass(frozen=True)
class CpuTimes:
    """The time of all cores together since boot, in seconds.

    Attributes:
        busy_s: time spent running processes and the kernel.
        steal_s: time taken by the hypervisor.
        total_s: all time, idle time included.
    """

    busy_s: float
    steal_s: float
    total_s: float


@dataclass(frozen=True)
class Cpu:
    """One logical core.

    Attributes:
        number: number of the core in the system.
        siblings: logical cores of its physical core, as Linux writes them (`0,64`); None where unknown.
        node: NUMA node of the core; None where unknown.
    """

    number: int
    siblings: str | None
    node: int | None


@dataclass(frozen=True)
class Snapshot:
    """The state of the system at one moment; None where the system does not show a value.

    Attributes:
        monotonic_s: moment on the monotonic clock, in seconds.
        cpu: CPU times since boot.
        this_cpu_s: CPU time of this process and of its children that have ended, in seconds.
        others_cpu_percent: CPU use of all other processes just before, 100 being one core; None without a sample.
        load_1min: load average.
        throttle_events: number of times cores or packages were slowed down for heat or power since boot.
        swap_in_pages: pages read back from swap since boot.
        swap_used_mib: memory in swap, in MiB.
        cgroup_throttled_ms: time for which a CPU quota kept this process's control groups waiting, in ms.
        memory_left_mib: memory available before the control group's or the machine's limit, in MiB.
        transparent_hugepages: mode: `always`, `madvise` or `never`.
        cpus: logical cores that this process may run on, by number.
    """

    monotonic_s: float
    cpu: CpuTimes | None
    this_cpu_s: float
    others_cpu_percent: float | None
    load_1min: float | None
    throttle_events: int | None
    swap_in_pages: int | None
    swap_used_mib: float | None
    cgroup_throttled_ms: float | None
    memory_left_mib: float | None
    transparent_hugepages: str | None
    cpus: tuple[Cpu, ...]


def take_snapshot(root: Path = Path("/"), *, sample_s: float = 0.0) -> Snapshot:
    """Return a snapshot from Linux's files under `root`, and from `psutil` where these lack a value. It never raises.

    Args:
        root: folder of the system's files.
        sample_s: time for which other processes' CPU use is sampled, in seconds; this process sleeps meanwhile.
    """
    others = None
    if sample_s > 0:
        before, this_before, start = _cpu_times(root), _this_cpu_s(), time.monotonic()
        time.sleep(sample_s)
        others = others_percent(before, _cpu_times(root), _this_cpu_s() - this_before, time.monotonic() - start)
    use = attempt(lambda: read_use(root), Use(None, None))
    meminfo = parse_meminfo(text_of(root / "proc/meminfo"))
    left = [meminfo.get("MemAvailable"), use.memory_left_bytes]
    swap = None if "SwapTotal" not in meminfo else meminfo["SwapTotal"] - meminfo.get("SwapFree", 0)
    return Snapshot(
        monotonic_s=time.monotonic(),
        cpu=_cpu_times(root),
        this_cpu_s=_this_cpu_s(),
        others_cpu_percent=others,
        load_1min=attempt(lambda: os.getloadavg()[0], None),
        throttle_events=attempt(lambda: read_throttle_events(root), None),
        swap_in_pages=parse_swap_ins(text_of(root / "proc/vmstat")),
        swap_used_mib=None if swap is None else swap / MIB,
        cgroup_throttled_ms=use.throttled_ms,
        memory_left_mib=min((size / MIB for size in left if size is not None), default=attempt(_memory_left_mib, None)),
        transparent_hugepages=parse_hugepages(text_of(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        cpus=attempt(lambda: read_cpus(root, allowed_cpus()), ()),
    )


def others_percent(before: CpuTimes | None, after: CpuTimes | None, this_s: float, wall_s: float) -> float | None:
    """Return the CPU use of all processes but this one in between, 100 being one core; None where unknown."""
    if before is None or after is None or wall_s <= 0:
        return None
    return max(0.0, 100 * (after.busy_s - before.busy_s - this_s) / wall_s)


def parse_cpu_times(stat: str, ticks_per_s: int) -> CpuTimes | None:
    """Parse the first line of /proc/stat; None where it is missing or has no steal time."""
    match = re.match(r"cpu +((?:\d+ ?){8,})", stat)
    if match is None:
        return None
    # The guest times that follow are part of user and nice time (proc_stat(5)).
    user, nice, system, idle, iowait, irq, softirq, steal = (int(word) / ticks_per_s for word in match[1].split()[:8])
    busy = user + nice + system + irq + softirq
    return CpuTimes(busy_s=busy, steal_s=steal, total_s=busy + idle + iowait + steal)


def parse_meminfo(text: str) -> dict[str, int]:
    """Parse the sizes of /proc/meminfo into bytes."""
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+): *(\d+) kB$", text, re.MULTILINE)}


def parse_swap_ins(vmstat: str) -> int | None:
    """Return the pages read back from swap since boot from /proc/vmstat."""
    match = re.search(r"^pswpin (\d+)$", vmstat, re.MULTILINE)
    return int(match[1]) if match else None


def parse_hugepages(text: str) -> str | None:
    """Return the word in brackets, such as `madvise` for `always [madvise] never`."""
    match = re.search(r"\[(\w+)\]", text)
    return match[1] if match else None


def read_throttle_events(root: Path) -> int | None:
    """Return how often cores and packages were slowed down since boot; None where no core counts it.

    Each core of a package repeats the package's count, so only the largest of these is added.
    """
    folders = [cpu / "thermal_throttle" for cpu in (root / "sys/devices/system/cpu").glob("cpu[0-9]*")]
    cores = _numbers(folder / "core_throttle_count" for folder in folders)
    packages = _numbers(folder / "package_throttle_count" for folder in folders)
    return sum(cores) + max(packages, default=0) if cores or packages else None


def read_cpus(root: Path, numbers: Iterable[int]) -> tuple[Cpu, ...]:
    """Return the topology of the logical cores `numbers`."""
    cpus = []
    for number in sorted(numbers):
        folder = root / f"sys/devices/system/cpu/cpu{number}"
        siblings = text_of(folder / "topology/thread_siblings_list").strip() or None
        nodes = [int(path.name[4:]) for path in folder.glob("node*") if path.name[4:].isdecimal()]
        cpus.append(Cpu(number=number, siblings=siblings, node=min(nodes, default=None)))
    return tuple(cpus)


def _cpu_times(root: Path) -> CpuTimes | None:
    text = text_of(root / "proc/stat")
    return parse_cpu_times(text, os.sysconf("SC_CLK_TCK")) if text else attempt(_psutil_cpu_times, None)


def _psutil_cpu_times() -> CpuTimes:
    times = psutil.cpu_times()
    busy = times.user + getattr(times, "nice", 0.0) + times.system
    return CpuTimes(busy_s=busy, steal_s=0.0, total_s=busy + times.idle)


def _this_cpu_s() -> float:
    return sum(os.times()[:4])


def _memory_left_mib() -> float | None:
    return float(psutil.virtual_memory().available) / MIB


def _numbers(paths: Iterable[Path]) -> list[int]:
    return [int(text) for path in paths if (text := text_of(path).strip()).isdecimal()]
