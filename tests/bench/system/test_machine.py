from __future__ import annotations

import os
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.schema.machine import Gpu, Machine
from bench.system import machine
from bench.system.control_groups import Limits, parse_bytes, parse_cpu_max, parse_groups, read_limits

pytestmark = pytest.mark.backend_free

EPYC = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC 9554 64-Core Processor
cpu MHz\t\t: 2596.138
flags\t\t: fpu sse4_2 avx f16c hypervisor avx2 fma avx512f avx512_bf16 avx512_vnni fsrm

processor\t: 1
model name\t: AMD EPYC 9554 64-Core Processor
"""
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes crc32 atomics sve asimdhp bf16 i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd40
"""
RASPBERRY = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
MAC = """\
machdep.cpu.brand_string: Apple M2
hw.l1dcachesize: 65536
hw.l1icachesize: 131072
hw.l2cachesize: 4194304
hw.optional.AdvSIMD: 1
hw.optional.neon: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
kern.hv_vmm_present: 0
"""
STAT = "cpu  8708 0 3493 212548 282 0 34 15 7 0\ncpu0 4300 0 1700 106000 141 0 17 8 7 0\nintr 12\n"
MIB = 2**20


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_is_described_as_the_system_shows_it() -> None:
    found = machine.describe_machine()
    assert found.cpu_model not in ("", "unknown")
    assert found.logical_cores == os.cpu_count()
    assert 1 <= found.usable_cores <= found.logical_cores
    assert found.memory_mib == pytest.approx(psutil.virtual_memory().total / MIB)
    assert found.memory_limit_mib is None or 0 < found.memory_limit_mib < found.memory_mib
    assert found.load_1min is not None
    assert msgspec.json.decode(msgspec.json.encode(found), type=Machine) == found


def test_processors_are_named_on_x86_and_arm() -> None:
    assert machine.parse_cpu_model(EPYC) == "AMD EPYC 9554 64-Core Processor"
    assert machine.parse_cpu_model(RASPBERRY) == "Raspberry Pi 4 Model B Rev 1.4"
    assert "implementer 0x41, part 0xd40" in (machine.parse_cpu_model(GRAVITON) or "")
    assert machine.parse_cpu_model("") is None


def test_vector_instruction_sets_are_picked_out() -> None:
    assert machine.parse_cpu_flags(EPYC) == ["avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"]
    assert machine.parse_cpu_flags(GRAVITON) == ["neon", "sve", "bf16", "i8mm"]
    assert machine.parse_cpu_flags("") == []


def test_a_mac_reports_flags_and_caches_through_sysctl() -> None:
    values = machine.parse_sysctl(MAC)
    assert values["machdep.cpu.brand_string"] == "Apple M2"
    assert machine.parse_sysctl_flags(values) == ["neon", "bf16", "i8mm"]
    assert machine.parse_sysctl_caches(values) == {"L1d": "64K", "L1i": "128K", "L2": "4096K"}


def test_steal_is_a_share_of_all_time_but_guest_time() -> None:
    assert machine.parse_steal_percent(STAT) == pytest.approx(100 * 15 / (8708 + 3493 + 212548 + 282 + 34 + 15))
    assert machine.parse_steal_percent("") is None
    assert machine.parse_steal_percent("cpu  0 0 0 0 0 0 0 0 0 0\n") is None


def test_gpus_are_read_from_the_driver_with_gaps_left_open() -> None:
    text = "NVIDIA H100 80GB HBM3, 81559, 550.54.15\nNVIDIA GB10, [N/A], 580.95.05\n"
    assert machine.parse_nvidia_smi(text) == [
        Gpu(name="NVIDIA H100 80GB HBM3", memory_mib=81559.0, driver="550.54.15"),
        Gpu(name="NVIDIA GB10", memory_mib=None, driver="580.95.05"),
    ]
    assert machine.parse_nvidia_smi("No devices were found\n") == []


@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        ("echo 'Tesla T4, 15360, 535.1'", [Gpu(name="Tesla T4", memory_mib=15360.0, driver="535.1")]),
        ("echo 'NVIDIA-SMI has failed, it cannot talk, to the driver'; exit 9", []),
    ],
)
def test_nvidia_smi_is_asked_and_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, gpus: list[Gpu]
) -> None:
    program = write(tmp_path, {"nvidia-smi": f"#!/bin/sh\n{script}\n"}) / "nvidia-smi"
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.describe_machine().gpus == gpus


@pytest.mark.parametrize(
    ("files", "virtual"),
    [
        ({}, None),
        ({"proc/cpuinfo": EPYC}, "hypervisor"),
        ({"proc/cpuinfo": EPYC, "sys/class/dmi/id/product_name": "KVM\n", ".dockerenv": ""}, "kvm, docker"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "proc/cpuinfo": EPYC}, "amazon ec2"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2\n", "sys/class/dmi/id/product_name": "m5.metal\n"}, None),
        (
            {
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
                "sys/class/dmi/id/product_name": "Virtual Machine\n",
            },
            "hyper-v",
        ),
        ({"sys/class/dmi/id/sys_vendor": "Dell Inc.\n", "run/.containerenv": ""}, "podman"),
        ({"proc/sys/kernel/osrelease": "5.15.90.1-microsoft-standard-WSL2\n"}, "wsl"),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "linux,kvm"),
        ({"proc/self/cgroup": "0::/kubepods.slice/pod1\n"}, "kubernetes"),
    ],
)
def test_signs_of_hypervisors_and_containers(tmp_path: Path, files: dict[str, str], virtual: str | None) -> None:
    root = write(tmp_path, files)
    assert machine.describe_machine(root).virtual == virtual


def test_linux_files_fill_the_record(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu/cpu0"
    files = {"proc/cpuinfo": EPYC, "proc/stat": STAT, f"{cpu}/cpufreq/scaling_governor": "powersave\n"}
    files |= {f"{cpu}/cpufreq/cpuinfo_max_freq": "3762988\n"}
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "1M")]
    ):
        folder = f"{cpu}/cache/index{index}"
        files |= {f"{folder}/level": level, f"{folder}/type": kind, f"{folder}/size": f"{size}\n"}
    found = machine.describe_machine(write(tmp_path, files))
    assert found.cpu_model == "AMD EPYC 9554 64-Core Processor"
    assert (found.governor, found.max_mhz) == ("powersave", 3762.988)
    assert found.caches == {"L1d": "32K", "L1i": "64K", "L2": "1M"}
    assert found.steal_percent is not None


def test_a_system_that_shows_nonsense_or_nothing_still_gives_a_record(tmp_path: Path) -> None:
    nonsense = b"\xff\xfe: \x00\n:::\ncpu  x y\nflags\t:\n"
    names = ("proc/cpuinfo", "proc/stat", "proc/self/cgroup", "sys/class/dmi/id/sys_vendor", "sys/fs/cgroup/cpu.max")
    for name in (*names, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(nonsense)
    (tmp_path / "sys/devices/system/cpu/cpu0/cache/index0/size").mkdir(parents=True)
    for root in (tmp_path, tmp_path / "nowhere"):
        found = machine.describe_machine(root)
        assert found.cpu_model
        assert found.caches == {}
        assert found.usable_cores >= 1


def test_a_probe_that_the_system_refuses_costs_only_its_own_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not allowed here")

    monkeypatch.setattr("psutil.virtual_memory", refuse)
    monkeypatch.setattr("psutil.cpu_count", refuse)
    monkeypatch.setattr("os.getloadavg", refuse)
    found = machine.describe_machine()
    assert (found.memory_mib, found.physical_cores, found.load_1min) == (0.0, None, None)
    assert found.cpu_model


def test_limits_of_version_2_are_the_tightest_up_to_the_root(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/job\n",
        "sys/fs/cgroup/user.slice/job/memory.max": "max\n",
        "sys/fs/cgroup/user.slice/job/cpu.max": "350000 100000\n",
        "sys/fs/cgroup/user.slice/memory.max": f"{512 * MIB}\n",
        "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
    }
    assert read_limits(write(tmp_path, files)) == Limits(512 * MIB, 1.5)


def test_limits_of_version_1_are_read_from_each_controller(tmp_path: Path) -> None:
    """The container's own path is not mounted inside it; its limits show at the mount."""
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{256 * MIB}\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    assert read_limits(write(tmp_path, files)) == Limits(256 * MIB, 2.0)


def test_no_limit_is_distinguished_from_a_limit(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits(None, None)
    assert (parse_bytes("max\n"), parse_bytes("1024\n")) == (0, 1024)
    assert (parse_cpu_max("max 100000"), parse_cpu_max("-1 100000"), parse_cpu_max("50000 0")) == (0.0, 0.0, 0.0)
    assert parse_groups("garbage\n0::/a\n") == [([], Path("/a"))]
    unlimited = {
        "proc/self/cgroup": "4:memory:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    assert machine.describe_machine(write(tmp_path, unlimited)).memory_limit_mib is None


def test_a_cpu_quota_cuts_usable_cores_to_whole_ones() -> None:
    assert Limits(None, None).whole_cores(8) == 8
    assert Limits(None, 3.5).whole_cores(8) == 3
    assert Limits(None, 0.5).whole_cores(8) == 1
    assert Limits(None, 16.0).whole_cores(2) == 2
