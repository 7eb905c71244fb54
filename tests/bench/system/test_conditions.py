from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest

from bench.measure.conditions import with_state
from bench.schema.machine import Conditions, Machine
from bench.system.conditions import conditions_between, joined
from bench.system.machine import describe_machine
from bench.system.snapshot import Cpu, CpuTimes, Snapshot, take_snapshot

pytestmark = pytest.mark.backend_free

QUIET = Snapshot(
    monotonic_s=100_000.0,  # since boot, a day and some hours
    cpu=CpuTimes(busy_s=1000, steal_s=1, total_s=4000),
    this_cpu_s=5.0,
    others_cpu_percent=2.0,
    load_1min=0.1,
    throttle_events=7,
    swap_in_pages=5000,
    swap_used_mib=0.0,
    cgroup_throttled_ms=300.0,
    memory_left_mib=6000.0,
    transparent_hugepages="madvise",
    cpus=tuple(Cpu(number, f"{number}", 0) for number in range(4)),
)
# A minute later: own workers used 100 s of CPU time, others 1 s.
LATER = replace(QUIET, monotonic_s=100_060.0, cpu=CpuTimes(1101, 1.5, 4240), this_cpu_s=105.0, others_cpu_percent=None)
SMT = tuple(Cpu(number, f"{number // 2 * 2}-{number // 2 * 2 + 1}", 0) for number in range(8))
FAR = tuple(Cpu(number, f"{number}", number // 2) for number in range(4))


@pytest.fixture
def machine() -> Machine:
    plain = {"usable_cores": 4, "governor": None, "virtual": None, "load_1min": 0.1}
    return msgspec.structs.replace(describe_machine(), **plain)


def test_a_quiet_machine_draws_no_warning(machine: Machine) -> None:
    assert conditions_between(QUIET, None, machine, 4).warnings == []
    assert conditions_between(QUIET, LATER, machine, 4) == Conditions(
        steal_percent=pytest.approx(100 * 0.5 / 240),
        load_1min_start=0.1,
        load_1min_end=0.1,
        others_cpu_percent=2.0,
        others_cpu_run_percent=pytest.approx(100 / 60),
        throttle_events=0,
        swap_in_pages=0,
        cgroup_throttled_ms=0.0,
        memory_left_mib=6000.0,
        transparent_hugepages="madvise",
        numa_nodes=1,
        warnings=[],
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"load_1min": 1.2}, "the load is 1.2 on 4 cores; stop what else is running"),
        ({"others_cpu_percent": 80.0}, "other processes used 80 % of a core; `top` names them"),
        ({"cpu": CpuTimes(1000, 100, 4000)}, "the hypervisor took 2.5 % of the CPU time since boot"),
        ({"memory_left_mib": 700.0}, "only 700 MiB of memory are left for the workers"),
        ({"swap_used_mib": 2048.0}, "2,048 MiB lie in swap"),
        ({"throttle_events": 60}, "the processor was slowed down 60 times for heat or power since boot; let it cool"),
        ({"cgroup_throttled_ms": 12_000.0}, "CPU quota has stopped what runs in it for 12,000 ms until now; raise"),
        ({"cpus": FAR}, "`numactl --cpunodebind=0 --membind=0` before the command keeps to one"),
    ],
)
def test_a_condition_that_would_spoil_a_run_is_reported_before_it(machine: Machine, change: dict, words: str) -> None:
    (warning,) = conditions_between(replace(QUIET, **change), None, machine, 4).warnings
    assert words in warning


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cpu": CpuTimes(1161, 1.5, 4240)}, "other processes used 102 % of a core during the run"),
        ({"cpu": CpuTimes(1101, 13, 4240)}, "the hypervisor took 5.0 % of the CPU time during the run"),
        ({"throttle_events": 9}, "the processor was slowed down 2 times for heat or power during the run"),
        ({"swap_in_pages": 5500}, "500 pages were read back from swap during the run"),
        ({"cgroup_throttled_ms": 1500.0}, "CPU quota stopped the workers for 1,200 ms of the run"),
    ],
)
def test_a_condition_that_spoilt_a_run_is_reported_after_it(machine: Machine, change: dict, words: str) -> None:
    (warning,) = conditions_between(QUIET, replace(LATER, **change), machine, 4).warnings
    assert words in warning


@pytest.mark.parametrize(
    ("change", "threads", "words"),
    [
        ({}, 6, "6 threads share 4 usable cores and wait for each other; --threads 4 fits"),
        ({"usable_cores": 2}, 2, "the control group's CPU quota allows the time of 2 of 4 cores, and beyond that"),
        ({"governor": "powersave"}, 4, "the frequency governor is powersave; `cpupower frequency-set -g performance`"),
        ({"virtual": "kvm"}, 4, "this is a virtual machine or container (kvm)"),
    ],
)
def test_what_the_machine_is_can_be_a_reason(machine: Machine, change: dict, threads: int, words: str) -> None:
    changed = msgspec.structs.replace(machine, **change)
    (warning,) = conditions_between(QUIET, None, changed, threads).warnings
    assert words in warning


def test_after_a_run_its_quota_is_reported_by_its_effects(machine: Machine) -> None:
    assert conditions_between(QUIET, LATER, msgspec.structs.replace(machine, usable_cores=2), 2).warnings == []


def test_siblings_are_a_reason_where_threads_run_on_them(machine: Machine) -> None:
    eight = msgspec.structs.replace(machine, usable_cores=8)
    (warning,) = conditions_between(replace(QUIET, cpus=SMT), None, eight, 4).warnings
    assert "some of the 4 threads share a physical core (SMT); `taskset -c 0,2,4,6` before the command" in warning
    spread = tuple(Cpu(number, f"{number % 4},{number % 4 + 4}", 0) for number in range(8))
    assert conditions_between(replace(QUIET, cpus=spread), None, eight, 4).warnings == []


def test_a_system_that_counts_nothing_draws_no_warning(machine: Machine) -> None:
    names = {name: None for name in QUIET.__dataclass_fields__ if name not in ("monotonic_s", "this_cpu_s", "cpus")}
    blind = replace(QUIET, **names, cpus=())
    assert conditions_between(blind, replace(blind, monotonic_s=100_060.0), machine, 4) == Conditions()


def test_a_run_of_a_moment_claims_no_shares(machine: Machine) -> None:
    moment = replace(LATER, monotonic_s=100_000.2)
    found = conditions_between(QUIET, moment, machine, 4)
    assert (found.steal_percent, found.others_cpu_run_percent) == (None, None)


def test_a_counter_that_was_reset_counts_from_zero(machine: Machine) -> None:
    assert conditions_between(QUIET, replace(LATER, throttle_events=3), machine, 4).throttle_events == 3


def test_a_resumed_run_keeps_what_was_noted_before_it_was_cut_off() -> None:
    earlier = Conditions(steal_percent=3.0, load_1min_start=0.1, swap_in_pages=200, warnings=["a", "b"])
    later = Conditions(steal_percent=1.0, load_1min_start=2.0, load_1min_end=2.5, swap_in_pages=5, warnings=["b", "c"])
    assert joined(None, later) == later
    assert joined(earlier, later) == Conditions(
        steal_percent=3.0, load_1min_start=0.1, load_1min_end=2.5, swap_in_pages=205, warnings=["a", "b", "c"]
    )


def test_what_others_used_before_a_part_that_was_killed_stands_for_what_they_used_in_it() -> None:
    killed = Conditions(others_cpu_percent=80.0)
    calm = Conditions(others_cpu_percent=1.0, others_cpu_run_percent=2.0)
    assert joined(killed, calm).others_cpu_run_percent == joined(calm, killed).others_cpu_run_percent == 80.0
    again = joined(killed, Conditions(others_cpu_percent=3.0))
    assert (again.others_cpu_percent, again.others_cpu_run_percent) == (80.0, None)


def test_cores_that_lost_their_common_cache_are_reported_once(make_report) -> None:
    """This also holds for a run that was cut off and resumed: the warning on its first part is replaced."""
    first, second = (msgspec.structs.replace(run, handover=[1.35] * 5) for run in make_report().runs[:2])
    busy = Conditions(warnings=["the load is high"])
    assert with_state(busy, [first, second]) == busy
    lost = msgspec.structs.replace(first, handover=[1.3, 3.4, 1.4, None, 1.4])
    first = with_state(busy, [lost])
    assert first.warnings[0] == "the load is high"
    assert "took 1.3 to 3.4 times as long to read as a core's own: in 1 of 4 rounds" in first.warnings[1]
    again = with_state(joined(first, Conditions()), [lost, second])
    assert [words for words in again.warnings if "in 1 of 9 rounds" in words] == again.warnings[1:]


def test_a_process_beside_us_is_seen_and_a_child_of_ours_that_has_ended_is_not() -> None:
    hog = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
    before = take_snapshot()
    subprocess.run([sys.executable, "-c", hog.format(0.3)], check=True)
    assert take_snapshot().this_cpu_s - before.this_cpu_s > 0.29
    with subprocess.Popen([sys.executable, "-c", hog.format(60)]) as beside:
        try:
            sampled = take_snapshot(sample_s=0.5).others_cpu_percent
        finally:
            beside.kill()
    assert sampled is not None
    assert sampled > 10, "it gets a core to itself, or a fair share of one"
