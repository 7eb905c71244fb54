"""Records of `report.json` on the machine, the disturbances during a measurement, and the software."""

from __future__ import annotations

from bench.schema.record import Record


class Gpu(Record, frozen=True, kw_only=True):
    """A GPU as the driver describes it."""

    name: str
    memory_mib: float | None
    driver: str | None


class Machine(Record, frozen=True, kw_only=True):
    """The machine, described so that a reader can judge its times.

    Attributes:
        system: operating system and kernel.
        cpu_model: name of the processor.
        cpu_flags: vector instruction sets that change arithmetic speed, such as `avx512f`.
        physical_cores: number of physical cores; None where unknown.
        logical_cores: number of logical cores.
        usable_cores: number of logical cores that the harness may use, after affinity and control groups.
        caches: size of each cache level as the system prints it, such as {"L2": "1024K"}.
        governor: frequency governor; None where the system shows none, as virtual machines do.
        max_mhz: highest clock frequency that the system reports, in MHz.
        memory_mib: memory of the machine, in MiB.
        memory_limit_mib: memory limit of the control group, in MiB; None without one.
        load_1min: load average just before measuring.
        steal_percent: share of time since boot that the hypervisor took, in percent; None where unknown.
        virtual: hypervisor or container in use; None where none is seen.
        gpus: GPUs as the driver lists them.
    """

    system: str
    cpu_model: str
    cpu_flags: list[str]
    physical_cores: int | None
    logical_cores: int
    usable_cores: int
    caches: dict[str, str]
    governor: str | None
    max_mhz: float | None
    memory_mib: float
    memory_limit_mib: float | None
    load_1min: float | None
    steal_percent: float | None
    virtual: str | None
    gpus: list[Gpu]


class Conditions(Record, frozen=True, kw_only=True):
    """Conditions that could distort the measurement while it ran; None where the system does not show one.

    They are recorded before the first worker starts and whenever a process of every cell has ended. The record of a run
    that was killed covers the time up to the last of these moments.

    Attributes:
        steal_percent: share of CPU time that the hypervisor took during the run, in percent.
        load_1min_start: load average before the first worker.
        load_1min_end: load average after the last worker, the run's own load included.
        others_cpu_percent: CPU use of all other processes just before the run, 100 being one core.
        others_cpu_run_percent: CPU use of all other processes during the run, 100 being one core; for a part that was
            killed before its first processes had ended, the use just before that part.
        throttle_events: number of times the processor was slowed down for heat or power during the run.
        swap_in_pages: pages that any process read back from swap during the run.
        cgroup_throttled_ms: time for which a CPU quota stopped the control group during the run, in ms.
        memory_left_mib: memory available before the run, up to the limit of the control group or the machine, in MiB.
        transparent_hugepages: mode of the kernel: `always`, `madvise` or `never`.
        numa_nodes: number of NUMA nodes that the usable cores belong to.
        warnings: a sentence for each condition that may have changed the times, with advice.
    """

    steal_percent: float | None = None
    load_1min_start: float | None = None
    load_1min_end: float | None = None
    others_cpu_percent: float | None = None
    others_cpu_run_percent: float | None = None
    throttle_events: int | None = None
    swap_in_pages: int | None = None
    cgroup_throttled_ms: float | None = None
    memory_left_mib: float | None = None
    transparent_hugepages: str | None = None
    numa_nodes: int | None = None
    warnings: list[str] = []

    @property
    def others_share(self) -> float | None:
        """CPU use of all other processes during the run, or else just before it, 100 being one core."""
        return self.others_cpu_percent if self.others_cpu_run_percent is None else self.others_cpu_run_percent


class Software(Record, frozen=True, kw_only=True):
    """The software, described so that a reader can repeat a measurement.

    Attributes:
        python: version and implementation of Python.
        packages: version of every installed package that can matter, by name.
        environment: environment variables that can change speed or results, as the workers saw them.
        git_commit: commit of the harness; None outside a checkout.
        git_dirty: whether tracked files differed from that commit.
    """

    python: str
    packages: dict[str, str]
    environment: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
