from __future__ import annotations

from pathlib import Path

import pytest

from bench.system import snapshot
from bench.system.control_groups import Use, read_use
from bench.system.snapshot import Cpu, CpuTimes

pytestmark = pytest.mark.backend_free

MIB = 2**20
STAT = "cpu  478767 62188 46879 416425 2665 0 559 683 90 0\ncpu0 216234 32052 19018 235450 696 0 44 335 0 0\n"
MEMINFO = """\
MemTotal:       24689092 kB
MemFree:         8292828 kB
MemAvailable:    2048000 kB
SwapTotal:       1048576 kB
SwapFree:         524288 kB
HugePages_Total:       0
"""
VMSTAT = "nr_free_pages 2073207\npswpin 1234\npswpout 5678\n"
V2_STAT = "usage_usec 100\nnr_periods 20\nnr_throttled 3\nthrottled_usec 45000\n"
V1_STAT = "nr_periods 20\nnr_throttled 3\nthrottled_time 45000000\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_shows_its_counters() -> None:
    before = snapshot.take_snapshot(sample_s=0.05)
    after = snapshot.take_snapshot()
    assert before.others_cpu_percent is not None
    assert before.others_cpu_percent >= 0
    assert after.others_cpu_percent is None
    assert after.monotonic_s > before.monotonic_s
    assert before.cpu is not None
    assert after.cpu is not None
    assert after.cpu.total_s >= before.cpu.total_s >= before.cpu.busy_s > 0
    assert after.memory_left_mib is not None
    assert after.memory_left_mib > 0
    assert after.cpus


def test_a_system_that_shows_nothing_raises_nothing(tmp_path: Path) -> None:
    found = snapshot.take_snapshot(tmp_path)
    assert (found.throttle_events, found.swap_in_pages, found.swap_used_mib) == (None, None, None)
    assert (found.cgroup_throttled_ms, found.transparent_hugepages) == (None, None)
    assert {(cpu.siblings, cpu.node) for cpu in found.cpus} == {(None, None)}
    assert found.cpu is not None, "psutil knows them on every system"
    assert found.memory_left_mib is not None


def test_nonsense_in_the_systems_files_counts_as_nothing(tmp_path: Path) -> None:
    names = ("proc/stat", "proc/meminfo", "proc/vmstat", "proc/self/cgroup", "sys/fs/cgroup/cpu.stat")
    throttle = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    found = snapshot.take_snapshot(write(tmp_path, dict.fromkeys((*names, throttle), "\0 ü -1 kB [\n")))
    assert (found.cpu, found.swap_in_pages, found.throttle_events) == (None, None, None)


def test_cpu_times_leave_guests_out_as_they_are_in_user_time() -> None:
    assert snapshot.parse_cpu_times(STAT, 100) == CpuTimes(
        busy_s=pytest.approx(5883.93), steal_s=6.83, total_s=pytest.approx(10081.66)
    )
    assert snapshot.parse_cpu_times("cpu  1 2 3 4\n", 100) is None
    assert snapshot.parse_cpu_times("", 100) is None


@pytest.mark.parametrize(("own_s", "percent"), [(0.0, 150.0), (1.0, 100.0), (9.0, 0.0)])
def test_what_others_use_is_what_this_process_does_not(own_s: float, percent: float) -> None:
    before, after = CpuTimes(10, 0, 100), CpuTimes(13, 0, 104)
    assert snapshot.others_percent(before, after, own_s, 2.0) == percent


def test_what_others_use_is_unknown_without_counters_or_time() -> None:
    times = CpuTimes(10, 0, 100)
    assert snapshot.others_percent(None, times, 0, 1) is None
    assert snapshot.others_percent(times, times, 0, 0) is None


def test_memory_and_swap_are_read(tmp_path: Path) -> None:
    found = snapshot.take_snapshot(write(tmp_path, {"proc/meminfo": MEMINFO, "proc/vmstat": VMSTAT}))
    assert (found.memory_left_mib, found.swap_used_mib, found.swap_in_pages) == (2000, 512, 1234)


def test_the_tighter_of_machine_and_control_group_limits_memory(tmp_path: Path) -> None:
    group = {
        "proc/self/cgroup": "0::/job\n",
        "sys/fs/cgroup/job/memory.max": str(1000 * MIB),
        "sys/fs/cgroup/job/memory.current": str(900 * MIB),
        "sys/fs/cgroup/job/memory.stat": f"anon {400 * MIB}\ninactive_file {500 * MIB}\n",
    }
    assert snapshot.take_snapshot(write(tmp_path, {"proc/meminfo": MEMINFO, **group})).memory_left_mib == 600


def test_throttling_is_read_from_both_versions_of_control_groups(tmp_path: Path) -> None:
    two = write(tmp_path / "2", {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.stat": V2_STAT})
    assert read_use(two) == Use(throttled_ms=45, memory_left_bytes=None)
    files = {
        "proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/x\n",
        "sys/fs/cgroup/cpu,cpuacct/x/cpu.stat": V1_STAT,
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(100 * MIB),
        "sys/fs/cgroup/memory/x/memory.usage_in_bytes": str(90 * MIB),
    }
    assert read_use(write(tmp_path / "1", files)) == Use(throttled_ms=45, memory_left_bytes=10 * MIB)
    assert read_use(tmp_path / "none") == Use(None, None)


def test_a_packages_throttling_is_not_counted_once_a_core(tmp_path: Path) -> None:
    folder = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    counts = {(0, "core"): "2", (1, "core"): "3", (0, "package"): "10", (1, "package"): "10"}
    root = write(tmp_path, {folder.format(*key): f"{count}\n" for key, count in counts.items()})
    assert snapshot.read_throttle_events(root) == 15


def test_cores_name_their_siblings_and_node(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu/cpu"
    files = {f"{cpu}2/topology/thread_siblings_list": "2,66\n", f"{cpu}2/node1/cpulist": "2-3\n", f"{cpu}3/online": "1"}
    assert snapshot.read_cpus(write(tmp_path, files), [3, 2]) == (Cpu(2, "2,66", 1), Cpu(3, None, None))


@pytest.mark.parametrize(
    ("text", "mode"), [("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"), ("", None)]
)
def test_the_huge_page_mode_is_the_one_in_brackets(text: str, mode: str | None) -> None:
    assert snapshot.parse_hugepages(text) == mode
