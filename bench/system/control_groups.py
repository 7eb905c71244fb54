"""The memory limit and CPU quota that Linux control groups (v1, v2 or both) put on this process, and their use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.system.probing import text_of


@dataclass(frozen=True)
class Limits:
    """The limits that control groups set for this process.

    Attributes:
        memory_bytes: tightest memory limit from the process's group up to the root, in bytes; None without one.
        cores: tightest CPU quota in cores, such as 1.5; None without one.
    """

    memory_bytes: int | None
    cores: float | None

    def whole_cores(self, affinity: int) -> int:
        """Return how many threads can run at once: CPU affinity, cut to the whole cores of the CPU quota."""
        return affinity if self.cores is None else max(1, min(affinity, int(self.cores)))


@dataclass(frozen=True)
class Use:
    """The effects of control groups on this process, and the memory that they leave.

    Attributes:
        throttled_ms: time for which the CPU quota of the most throttled group, up to the root, kept this process
            waiting, in ms; None where no group counts it.
        memory_left_bytes: memory up to the tightest limit, with reclaimable page cache counted as free, in bytes; None
            without a limit.
    """

    throttled_ms: float | None
    memory_left_bytes: int | None


def read_limits(root: Path = Path("/")) -> Limits:
    """Return the limits of the calling process, with the system's files under `root`.

    Inside a container the path in /proc/self/cgroup may name a group of the host that is not mounted. Its parents up to
    the mount are read; a container sees the mount as its own group. Files that cannot be read or understood count as no
    limit.
    """
    memory: list[int] = []
    cores: list[float] = []
    for controllers, path in parse_groups(text_of(root / "proc/self/cgroup")):
        for folder in _up_to_mount(root / "sys/fs/cgroup", controllers, path):
            if not controllers:
                memory.append(parse_bytes(text_of(folder / "memory.max")))
                cores.append(parse_cpu_max(text_of(folder / "cpu.max")))
            if "memory" in controllers:
                memory.append(parse_bytes(text_of(folder / "memory.limit_in_bytes")))
            if "cpu" in controllers:
                quota, period = text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us")
                cores.append(parse_cpu_max(f"{quota} {period}"))
    return Limits(min(filter(None, memory), default=None), min(filter(None, cores), default=None))


def read_use(root: Path = Path("/")) -> Use:
    """Return the use of the calling process's groups, with the system's files under `root`."""
    throttled: list[float] = []
    left: list[int] = []
    for controllers, path in parse_groups(text_of(root / "proc/self/cgroup")):
        for folder in _up_to_mount(root / "sys/fs/cgroup", controllers, path):
            counts = parse_counts(text_of(folder / "cpu.stat"))
            if "throttled_usec" in counts:
                throttled.append(counts["throttled_usec"] / 1e3)
            if "throttled_time" in counts:  # version 1 counts nanoseconds
                throttled.append(counts["throttled_time"] / 1e6)
            for limit_name, use_name, cache_name in (
                ("memory.max", "memory.current", "inactive_file"),
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            ):
                limit, use = parse_bytes(text_of(folder / limit_name)), parse_bytes(text_of(folder / use_name))
                if limit and use:
                    cache = parse_counts(text_of(folder / "memory.stat")).get(cache_name, 0)
                    left.append(max(0, limit - use + min(cache, use)))
    return Use(max(throttled, default=None), min(left, default=None))


def parse_counts(text: str) -> dict[str, int]:
    """Parse the `name number` lines of cpu.stat and memory.stat."""
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdecimal()}


def parse_groups(text: str) -> list[tuple[list[str], PurePosixPath]]:
    """Parse /proc/self/cgroup into controllers (empty for version 2) and the path of each group."""
    groups = []
    for line in text.splitlines():
        _, found, rest = line.partition(":")
        controllers, also_found, path = rest.partition(":")
        if found and also_found and path.startswith("/"):
            groups.append((controllers.split(",") if controllers else [], PurePosixPath(path)))
    return groups


def parse_bytes(text: str) -> int:
    """Parse a memory limit in bytes; 0 for none (`max`, or a text that is not a number)."""
    return int(text) if text.strip().isdecimal() else 0


def parse_cpu_max(text: str) -> float:
    """Parse `QUOTA PERIOD` in microseconds into cores; 0.0 for none (`max`, or -1 in version 1)."""
    parts = text.split()
    if len(parts) != 2 or not all(part.isdecimal() for part in parts) or int(parts[1]) == 0:
        return 0.0
    return int(parts[0]) / int(parts[1])


def _up_to_mount(mounts: Path, controllers: list[str], path: PurePosixPath) -> Iterator[Path]:
    # Version 2 is mounted at /sys/fs/cgroup, or below it at `unified` beside version 1.
    names = [",".join(controllers), *controllers] if controllers else ["", "unified"]
    for name in names:
        for group in (path, *path.parents):
            yield mounts / name / group.relative_to("/")
