"""Where and with what was measured: the machine, what disturbed it, and the software."""

from __future__ import annotations

from bench.schema.record import Record


class Gpu(Record, frozen=True, kw_only=True):
    """One GPU as the driver names it."""

    name: str
    memory_mib: float | None
    driver: str | None


class Machine(Record, frozen=True, kw_only=True):
    """What a reader needs to judge a time.

    Attributes:
        system: operating system and kernel.
        cpu_model: the processor's name.
        cpu_flags: vector instruction sets that change arithmetic speed, such as `avx512f`.
        physical_cores: None where unknown.
        logical_cores: of the machine.
        usable_cores: that this process may use, after affinity and control groups.
        caches: size of each cache level as the system prints it, such as {"L2": "1024K"}.
        governor: frequency governor; None where the system shows none, as virtual machines do.
        max_mhz: highest clock that the system tells.
        memory_mib: of the machine.
        memory_limit_mib: of the control group; None without one.
        load_1min: load average just before measuring.
        steal_percent: share of time since boot that the hypervisor took, in percent; None where unknown.
        virtual: hypervisor or container in use, None where none is seen.
        gpus: as the driver lists them.
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
    """What could distort the measurement while it ran; what the system does not show is None.

    It is noted before the first worker starts and each time when a process of every cell has ended: of a run that was
    killed it tells up to then.

    Attributes:
        steal_percent: share of CPU time that the hypervisor took during the run.
        load_1min_start: load average before the first worker.
        load_1min_end: load average after the last one, its own load included.
        others_cpu_percent: CPU use of all other processes just before the run, 100 being one core.
        others_cpu_run_percent: the same during the run; for a part that was killed before its first processes had
            ended, just before that part.
        throttle_events: how often the processor was slowed down for heat or power during the run.
        swap_in_pages: pages read back from swap during the run, by any process.
        cgroup_throttled_ms: how long a CPU quota stopped the control group during the run.
        memory_left_mib: before the run, up to the limit of the control group or the machine.
        transparent_hugepages: the kernel's mode: `always`, `madvise` or `never`.
        numa_nodes: that the usable cores belong to.
        warnings: what of this was bad enough to tell, each with what to do.
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
        """CPU use of all other processes during the run, or the best that is known of it, 100 being one core."""
        return self.others_cpu_percent if self.others_cpu_run_percent is None else self.others_cpu_run_percent


class Software(Record, frozen=True, kw_only=True):
    """What a reader needs to repeat a measurement.

    Attributes:
        python: version and implementation.
        packages: version of every installed package that can matter, by name.
        environment: variables that can change speed or results, as the workers saw them.
        git_commit: of the harness; None outside a checkout.
        git_dirty: whether tracked files differed from that commit.
    """

    python: str
    packages: dict[str, str]
    environment: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
