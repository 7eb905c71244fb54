"""The records of `report.json`, schema `movierank-bench/1`.

`runs` holds the raw samples. `step_time`, `ratios`, `rmse` and `parity` are derived from them (see
`bench.summary`) and stored for readers without this package. A change that an old reader could
misunderstand needs a new major schema and an upgrader; new optional keys do not.
"""

from __future__ import annotations

from typing import Literal

from bench.compile_cache import Temperature
from bench.convergence_records import ReferenceRmse, TimeToTarget
from bench.parity_records import Divergence, ParityResult, SeedEnvelope
from bench.record import Record

SCHEMA = "movierank-bench/1"

Status = Literal["ok", "failed", "killed", "timeout", "interrupted", "skipped"]


class Workload(Record, frozen=True, kw_only=True):
    """What is trained; two reports with different workloads are not comparable.

    Attributes:
        dataset: as in `movierank.ratings.Dataset.name`.
        source: where its ratings came from: `tfds`, `wheel`, `local`, `synthetic`.
        sha256: of the ratings and their order.
        split: `tutorial` or `FRACTION:SEED`.
        num_users: highest user id.
        num_movies: highest movie id.
        num_train: ratings in the train part.
        num_test: ratings in the test part.
        batch_size: examples a step; the last step of an epoch may have fewer.
        epochs: of the convergence run whose RMSE and predictions are reported.
        embedding_dimension: width of both embedding tables.
        learning_rate: Adagrad's.
        init: `shared` (the same NumPy weights for every backend) or `backend` (each backend's own).
    """

    dataset: str
    source: str
    sha256: str
    split: str
    num_users: int
    num_movies: int
    num_train: int
    num_test: int
    batch_size: int
    epochs: int
    embedding_dimension: int
    learning_rate: float
    init: Literal["shared", "backend"]


class Settings(Record, frozen=True, kw_only=True):
    """How it was measured.

    Attributes:
        processes: worker processes asked for per cell.
        rounds: steady rounds asked for per process.
        seeds: seeds of the initial weights; process p trains seed p % seeds.
        round_s: shortest wall time of a round, in seconds.
        threads: threads every worker was told to use.
        order_seed: seed of the random order of rounds.
        timeout_s: longest wait for one answer of a worker, in seconds.
        trains: whether each process first trained the epochs whose RMSE is reported; without, runs have none.
        precision: half-width of the intervals at which measuring stops, as a share; None for a fixed number.
        budget_s: time in which it stops, in seconds; None for none. With either, `processes` is the least and
            `rounds` the first number; what was run in the end is told by the runs.
    """

    processes: int
    rounds: int
    seeds: int
    round_s: float
    threads: int
    order_seed: int
    timeout_s: float
    trains: bool = True
    precision: float | None = None
    budget_s: float | None = None

    @property
    def adaptive(self) -> bool:
        """Whether the number of processes follows from what is measured."""
        return self.precision is not None or self.budget_s is not None


class Run(Record, frozen=True, kw_only=True):
    """All that one worker measured, also when it failed half-way.

    Attributes:
        backend: `jax`, `torch` or `tensorflow`.
        device: `cpu`, `gpu` or `gpu:N`.
        loop: how training is driven: `fit`; with the arithmetic where it is not float32, as `fit:bfloat16`.
        process: index of the worker process within its cell, from 0.
        seed: of the initial weights.
        status: `ok`, or why measuring ended early.
        error: one or two lines on what went wrong; None when `ok`.
        compile_mode: what `jit_compile="auto"` resolved to: `xla`, `graph` or `eager`.
        device_name: the processor or GPU as the framework names it.
        threads: threads that the framework reports to use, after it was told; None where it cannot say.
        import_s: importing Keras and the backend, in seconds.
        data_s: opening the prepared data, in seconds.
        build_s: building and compiling the model and setting its weights, in seconds.
        first_step_s: the first training step with tracing and compilation, in seconds.
        compile_cache: whether the first process of the cell had left compiled code for that step (`warm`) or not
            (`cold`); None where nothing was compiled (`eager`, `graph`).
        train_s: the convergence run, all epochs, evaluation and prediction left out, in seconds.
        evaluate_s: one pass over the test part, the first, in seconds.
        predict_s: one prediction of the test part, after an earlier one, in seconds.
        fit_setup_ms: what one `fit` call costs outside its epochs, one value a round, in ms.
        warmup_ms: step time of each warm-up round, in ms.
        steady: whether the warm-up ended because step times had settled.
        steps_per_round: training steps in one steady round.
        step_time_ms: step time of each steady round, in ms.
        turns: position of each steady round in the interleaved order of the whole report.
        train_rmse: of the labels' scale, one value an epoch, as `fit` reports it.
        test_rmse: after the last epoch, as `evaluate` reports it.
        peak_rss_mib: highest resident memory of the worker.
        peak_device_mib: highest device memory in use on a GPU; None on the CPU.
        matrix_gflop_s: its framework's fastest matrix product on this device, in 10^9 operations a second, a
            multiplication and an addition counting as two (`bench.limits`).
        memory_gb_s: its fastest pass over an array, in 10^9 bytes read or written a second.
        launch_us: its shortest time from one computation to the next, in microseconds; None on the CPU.
        touched_rows: distinct users and distinct movies in a batch, added up, the mean over a round's batches.
        log: the worker's stdout and stderr, as a path relative to the report's directory.
    """

    backend: str
    device: str
    loop: str
    process: int
    seed: int
    status: Status
    error: str | None = None
    compile_mode: str | None = None
    device_name: str | None = None
    threads: int | None = None
    import_s: float | None = None
    data_s: float | None = None
    build_s: float | None = None
    first_step_s: float | None = None
    compile_cache: Temperature | None = None
    train_s: float | None = None
    evaluate_s: float | None = None
    predict_s: float | None = None
    fit_setup_ms: list[float] = []
    warmup_ms: list[float] = []
    steady: bool | None = None
    steps_per_round: int | None = None
    step_time_ms: list[float] = []
    turns: list[int] = []
    train_rmse: list[float] = []
    test_rmse: float | None = None
    peak_rss_mib: float | None = None
    peak_device_mib: float | None = None
    matrix_gflop_s: float | None = None
    memory_gb_s: float | None = None
    launch_us: float | None = None
    touched_rows: float | None = None
    log: str | None = None

    @property
    def cell(self) -> Cell:
        """The cell that this run belongs to."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)


class Cell(Record, frozen=True, kw_only=True, order=True):
    """What is compared: one backend on one device with one loop."""

    backend: str
    device: str
    loop: str

    def __str__(self) -> str:
        """Returns for example `jax/cpu/fit`."""
        return f"{self.backend}/{self.device}/{self.loop}"


class StepTime(Record, frozen=True, kw_only=True):
    """Step time of one cell.

    Attributes:
        backend, device, loop: the cell.
        median_ms: median over processes of each process's median round, in ms.
        ci95_ms: 95 % interval of the cell's typical step time; None with fewer than two processes.
        processes: processes that it rests on.
        rounds: rounds that it rests on.
        process_sd: how far processes scatter, as a share, what their rounds scatter taken out; None where unknown.
        round_sd: how far the rounds of one process scatter, as a share; None where unknown.
        modes_ms: typical step time of either group where the processes fall into two; None otherwise.
    """

    backend: str
    device: str
    loop: str
    median_ms: float
    ci95_ms: tuple[float, float] | None
    processes: int
    rounds: int
    process_sd: float | None = None
    round_sd: float | None = None
    modes_ms: tuple[float, float] | None = None


class Ratio(Record, frozen=True, kw_only=True):
    """Step time of cell `a` over that of cell `b`, from processes measured side by side.

    Attributes:
        a: the slower cell, as `backend/device/loop`.
        b: the faster cell.
        ratio: how many times longer a step of `a` takes.
        ci95: its 95 % interval; None with fewer than two pairs of processes.
        pairs: pairs of processes that it rests on.
    """

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float] | None
    pairs: int


class Rmse(Record, frozen=True, kw_only=True):
    """Final test RMSE of one cell over seeds.

    Attributes:
        backend, device, loop: the cell.
        mean: over seeds.
        ci95: Student-t interval of the mean; None with one seed.
        seeds: distinct seeds that it rests on.
    """

    backend: str
    device: str
    loop: str
    mean: float
    ci95: tuple[float, float] | None
    seeds: int


class FirstStep(Record, frozen=True, kw_only=True):
    """The first training step of one cell, with tracing and compilation.

    Attributes:
        backend, device, loop: the cell.
        cold_s: median over the processes that found no compiled code, in seconds; None where there are none.
        cold_processes: how many they are; all, where the framework keeps no compiled code.
        warm_s: median over those that found what an earlier process of the cell had compiled, in seconds.
        warm_processes: how many they are.
    """

    backend: str
    device: str
    loop: str
    cold_s: float | None
    cold_processes: int
    warm_s: float | None
    warm_processes: int

    @property
    def cell(self) -> Cell:
        """The cell that this is about."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)


class Floor(Record, frozen=True, kw_only=True):
    """How far one cell is from the least time that its step can take (`bench.floor`, docs/floor.md).

    Attributes:
        backend, device, loop: the cell.
        floor_ms: that time with the rates that the cell's own framework reached on this device, in ms.
        bound: which of the two limits it comes from.
        times_floor: typical step time over `floor_ms`.
        times_floor_ci95: its 95 % interval, that of the step time; None with fewer than two processes.
        best_floor_ms: the same time with the best rates of all frameworks of the report, in ms.
        best_bound: as `bound`.
        times_best_floor: typical step time over `best_floor_ms`.
        times_best_floor_ci95: as `times_floor_ci95`.
    """

    backend: str
    device: str
    loop: str
    floor_ms: float
    bound: Literal["arithmetic", "memory"]
    times_floor: float
    times_floor_ci95: tuple[float, float] | None
    best_floor_ms: float
    best_bound: Literal["arithmetic", "memory"]
    times_best_floor: float
    times_best_floor_ci95: tuple[float, float] | None

    @property
    def cell(self) -> Cell:
        """The cell that this is about."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)


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

    Attributes:
        steal_percent: share of CPU time that the hypervisor took during the run; since boot where it was cut off.
        load_1min_start: load average before the first worker.
        load_1min_end: load average after the last one, its own load included.
        others_cpu_percent: CPU use of all other processes just before the run, 100 being one core.
        others_cpu_run_percent: the same during the run.
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


class Together(Record, frozen=True, kw_only=True):
    """Marks a report whose rounds were interleaved with another's.

    Attributes:
        id: that only the two of them have.
        side: which one it is.
    """

    id: str
    side: Literal["base", "new"]


class Report(Record, frozen=True, kw_only=True):
    """One measured report, as stored in `report.json`.

    Attributes:
        schema: `movierank-bench/1`.
        created: start of the measurement, ISO 8601 in UTC.
        finished: end of it; None while it runs or after it was cut off.
        machine: where.
        software: with what.
        workload: what.
        settings: how.
        conditions: what could distort it; None in a report of a version that did not look.
        together: where it was measured side by side with another report, whose turns its own are counted with.
        runs: raw samples, one record a worker.
        step_time: derived, one a cell.
        ratios: derived, one a pair of cells.
        rmse: derived, one a cell.
        first_steps: derived, one a cell with at least one first step.
        floors: derived, one a cell of a device whose limits were measured, in the order of `step_time`.
        reference_rmse: derived, one a cell; empty where no oracle was trained.
        time_to_target: derived, one a cell with predictions after each epoch.
        parity: derived from `predictions.npz`, one a pair and stage.
        envelopes: what rounding alone does, one a seed; `parity` was judged by them.
        divergences: where pairs of trainings first part, one a pair.
    """

    schema: str
    created: str
    machine: Machine
    software: Software
    workload: Workload
    settings: Settings
    finished: str | None = None
    conditions: Conditions | None = None
    together: Together | None = None
    runs: list[Run] = []
    step_time: list[StepTime] = []
    ratios: list[Ratio] = []
    rmse: list[Rmse] = []
    first_steps: list[FirstStep] = []
    floors: list[Floor] = []
    reference_rmse: list[ReferenceRmse] = []
    time_to_target: list[TimeToTarget] = []
    parity: list[ParityResult] = []
    envelopes: list[SeedEnvelope] = []
    divergences: list[Divergence] = []
