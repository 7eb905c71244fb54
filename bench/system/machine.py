"""A description of the machine from which a reader can judge a time."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from bench.schema.machine import Gpu, Machine
from bench.system.control_groups import Limits, read_limits
from bench.system.probing import allowed_cpus, attempt, text_of
from bench.system.snapshot import MIB, parse_cpu_times

TOOL_TIMEOUT_S = 10  # nvidia-smi takes seconds where the driver has to be started
# Instruction sets that change the speed of float32 arithmetic, by the names of /proc/cpuinfo on x86-64 and Arm.
VECTOR_FLAGS = (
    *("avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "asimd", "neon", "sve", "sve2", "bf16", "i8mm", "sme"),
)
# Words of the firmware's vendor and product names, as systemd-detect-virt knows them.
HYPERVISORS = {
    "kvm": "kvm",
    "qemu": "qemu",
    "vmware": "vmware",
    "virtualbox": "virtualbox",
    "innotek": "virtualbox",
    "xen": "xen",
    "bochs": "bochs",
    "parallels": "parallels",
    "bhyve": "bhyve",
    "amazon ec2": "amazon ec2",
    "google compute engine": "google compute engine",
    "virtual machine": "hyper-v",
    "openstack": "openstack",
    "apple virtualization": "apple",
}


def describe_machine(root: Path = Path("/")) -> Machine:
    """Describe this machine, reading Linux's files under `root` and macOS's through `sysctl`.

    The function never raises. An unknown value is None, empty, or the least that is certain.
    """
    cpuinfo = text_of(root / "proc/cpuinfo")
    sysctl: dict[str, str] = attempt(_sysctl, {}) if platform.system() == "Darwin" else {}
    memory = attempt(lambda: psutil.virtual_memory().total / MIB, 0.0)
    logical = os.cpu_count() or 1
    limits = attempt(lambda: read_limits(root), Limits(None, None))
    limit = None if limits.memory_bytes is None else limits.memory_bytes / MIB
    governor = text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    return Machine(
        system=attempt(platform.platform, "unknown"),
        cpu_model=parse_cpu_model(cpuinfo) or sysctl.get("machdep.cpu.brand_string") or platform.machine() or "unknown",
        cpu_flags=parse_cpu_flags(cpuinfo) or parse_sysctl_flags(sysctl),
        physical_cores=attempt(lambda: psutil.cpu_count(logical=False), None),
        logical_cores=logical,
        usable_cores=limits.whole_cores(attempt(lambda: len(allowed_cpus()), logical)),
        caches=attempt(lambda: read_caches(root), {}) or parse_sysctl_caches(sysctl),
        governor=governor or None,
        max_mhz=attempt(lambda: _max_mhz(root), None),
        memory_mib=memory,
        memory_limit_mib=limit if limit is not None and limit < memory else None,
        load_1min=attempt(lambda: os.getloadavg()[0], None),
        steal_percent=parse_steal_percent(text_of(root / "proc/stat")),
        virtual=attempt(lambda: find_virtual(root, cpuinfo, sysctl), None),
        gpus=attempt(nvidia_gpus, []),
    )


def parse_cpu_model(cpuinfo: str) -> str | None:
    """Return the processor's name from /proc/cpuinfo, or on Arm, which gives none, implementer and part numbers."""
    for key in ("model name", "Model", "cpu model", "cpu"):
        if name := _field(cpuinfo, key):
            return name
    implementer, part = _field(cpuinfo, "CPU implementer"), _field(cpuinfo, "CPU part")
    return f"{platform.machine()} (implementer {implementer}, part {part})" if implementer and part else None


def parse_cpu_flags(cpuinfo: str) -> list[str]:
    """Return those of `VECTOR_FLAGS` that /proc/cpuinfo lists; 64-bit Arm's `asimd` is called `neon`."""
    present = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features") or "").split())
    return list(dict.fromkeys("neon" if flag == "asimd" else flag for flag in VECTOR_FLAGS if flag in present))


def parse_steal_percent(stat: str) -> float | None:
    """Return the hypervisor's share of CPU time since boot from /proc/stat, in percent; None where unknown."""
    times = parse_cpu_times(stat, ticks_per_s=1)
    return 100 * times.steal_s / times.total_s if times and times.total_s else None


def parse_nvidia_smi(text: str) -> list[Gpu]:
    """Parse the output of `--query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits`."""
    gpus = []
    for line in text.splitlines():
        name, *rest = line.rsplit(", ", 2)
        if len(rest) == 2:
            memory, driver = (None if "N/A" in word or not word.strip() else word.strip() for word in rest)
            mib = float(memory) if memory and memory.isdecimal() else None
            gpus.append(Gpu(name=name.strip(), memory_mib=mib, driver=driver))
    return gpus


def parse_sysctl(text: str) -> dict[str, str]:
    """Parse the `key: value` lines of macOS's `sysctl`."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def parse_sysctl_flags(sysctl: Mapping[str, str]) -> list[str]:
    """Return those of `VECTOR_FLAGS` that macOS lists as present under `hw.optional`."""
    names = {
        key.removeprefix("hw.optional.").removeprefix("arm.FEAT_").removesuffix("_0").lower()
        for key, value in sysctl.items()
        if key.startswith("hw.optional.") and value == "1"
    }
    names |= {"neon"} if "advsimd" in names else set()
    return [flag for flag in VECTOR_FLAGS if flag in names]


def parse_sysctl_caches(sysctl: Mapping[str, str]) -> dict[str, str]:
    """Return cache sizes from macOS's `hw.l1dcachesize` and the like, in the form of Linux (`128K`)."""
    keys = {"L1d": "hw.l1dcachesize", "L1i": "hw.l1icachesize", "L2": "hw.l2cachesize", "L3": "hw.l3cachesize"}
    sizes = {level: sysctl.get(key, "") for level, key in keys.items()}
    return {level: f"{int(size) // 1024}K" for level, size in sizes.items() if size.isdecimal() and size != "0"}


def read_caches(root: Path) -> dict[str, str]:
    """Return the first core's cache sizes as Linux prints them, such as {"L1d": "32K", "L2": "1024K"}."""
    caches = {}
    for folder in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (text_of(folder / name).strip() for name in ("level", "type", "size"))
        if level and size:
            caches[f"L{level}{ {'Data': 'd', 'Instruction': 'i'}.get(kind, '') }"] = size
    return caches


def find_virtual(root: Path, cpuinfo: str, sysctl: Mapping[str, str]) -> str | None:
    """Return hypervisor and container, such as `kvm, docker`; None without a sign of either."""
    found = [_hypervisor(root, cpuinfo, sysctl), _container(root)]
    return ", ".join(filter(None, found)) or None


def _hypervisor(root: Path, cpuinfo: str, sysctl: Mapping[str, str]) -> str | None:
    names = ("sys_vendor", "product_name", "bios_vendor", "board_vendor")
    firmware = " ".join(text_of(root / "sys/class/dmi/id" / name) for name in names).lower()
    has_flag = "hypervisor" in (_field(cpuinfo, "flags") or "").split() or sysctl.get("kern.hv_vmm_present") == "1"
    if "metal" in firmware and not has_flag:  # clouds rent out whole machines under the same vendor name
        return None
    for word, name in HYPERVISORS.items():
        if word in firmware:
            return name
    if "microsoft" in text_of(root / "proc/sys/kernel/osrelease").lower():
        return "wsl"
    tree = text_of(root / "proc/device-tree/hypervisor/compatible").strip("\0\n ")
    kind = text_of(root / "sys/hypervisor/type").strip() or tree
    return kind or ("hypervisor" if has_flag else None)


def _container(root: Path) -> str | None:
    if name := text_of(root / "run/systemd/container").strip():
        return name
    if (root / "run/.containerenv").exists():
        return "podman"
    groups = text_of(root / "proc/self/cgroup")
    for word, name in {"kubepods": "kubernetes", "docker": "docker", "containerd": "containerd", "lxc": "lxc"}.items():
        if word in groups:
            return name
    return "docker" if (root / ".dockerenv").exists() else None


def _max_mhz(root: Path) -> float | None:
    khz = text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").strip()
    if khz.isdecimal():
        return int(khz) / 1000
    frequency = psutil.cpu_freq()
    return float(frequency.max) if frequency and frequency.max else None


def _sysctl() -> dict[str, str]:
    keys = ("machdep.cpu.brand_string", "hw", "kern.hv_vmm_present")
    done = subprocess.run(["/usr/sbin/sysctl", *keys], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return parse_sysctl(done.stdout)  # a key that this Mac lacks makes the command fail; it still prints the others


def nvidia_gpus() -> list[Gpu]:
    """Return the GPUs that nvidia-smi lists; an empty list where it is not installed or fails.

    Raises:
        subprocess.TimeoutExpired: nvidia-smi does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    done = subprocess.run([program, *query], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S)
    return parse_nvidia_smi(done.stdout) if done.returncode == 0 else []


def _field(cpuinfo: str, key: str) -> str | None:
    match = re.search(rf"^{re.escape(key)}\s*: *(\S.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else None
