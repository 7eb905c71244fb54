"""What was measured: the workload, how, and the raw samples of every worker."""

from __future__ import annotations

from typing import Literal

from bench.schema.cell import Cell
from bench.schema.parity import Judge
from bench.schema.record import Record

Temperature = Literal["cold", "warm"]


Status = Literal["ok", "failed", "killed", "timeout", "interrupted", "skipped"]


class Workload(Record, frozen=True, kw_only=True):
    """What is trained; two reports with different workloads are not comparable.

    Attributes:
        dataset: as in `movierank.data.ratings.Dataset.name`.
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
        workload: where a custom workload (`bench.Workload`) was found, as `module:object`; None for the built-in one.
            Its name is `dataset` then, `source` is `own`, and users, movies and
            `embedding_dimension` are 0.
        metric: what training and test are told by.
        better: whether a lower or a higher value of it is better.
        model_sha256: of the model's configuration, loss and optimizer; None of the built-in one.
        weights_sha256: of the initial weights of all seeds; likewise.
        parameters: numbers in the model's weights; likewise.
        optimizer: its class; likewise.
        target: value of the metric up to which training time is told (`Report.time_to_target`); None where the
            workload names none. Of the built-in one it is told there alone.
        tables: the weights that embedding layers look rows up in, of a workload of the user's own.
        step_operations: additions and multiplications in the matrix products of a full batch, forward and backward;
            None of the built-in one, and where no backend of the run could tell.
        step_bytes: that a step must read or write in float32, likewise.
        not_judged: why parity cannot be judged; None where it can.
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
    workload: str | None = None
    metric: str = "rmse"
    better: Literal["lower", "higher"] = "lower"
    model_sha256: str | None = None
    weights_sha256: str | None = None
    parameters: int | None = None
    optimizer: str | None = None
    target: float | None = None
    tables: list[str] = []
    step_operations: float | None = None
    step_bytes: float | None = None
    not_judged: str | None = None


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
        precision: half-width of the intervals at which measuring stops, from ten processes on, as a share; None for a
            fixed number.
        budget_s: time in which it stops, in seconds; None for none. With either, `processes` or five, whichever is
            more, is the least and `rounds` the first number; what was run in the end is told by the runs.
        envelope: whose rounding parity is judged by, as in `bench.schema.parity.ParityResult.judged_by`.
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
    envelope: Judge = "oracle"

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
        compile_mode: what compiled a step: `xla`, `inductor`, `graph` (TensorFlow without XLA) or `eager`; with `fit`
            what `jit_compile="auto"` resolved to.
        device_name: the processor or GPU as the framework names it.
        threads: threads that the framework reports to use, after it was told; None where it cannot say.
        import_s: importing Keras and the backend, in seconds.
        data_s: opening the prepared data, in seconds.
        build_s: building and compiling the model and setting its weights, in seconds.
        first_step_s: the first training step with tracing and compilation, in seconds.
        compile_cache: whether the first process of the cell had left compiled code for that step (`warm`) or not
            (`cold`); None where nothing was compiled (`eager`, `graph`).
        train_s: the convergence run, all epochs, evaluation and prediction left out, in seconds. It is one call of the
            loop's `fit`, whose set-up is in it once; in reports created before 29 November 2026 once an epoch.
        evaluate_s: one pass over the test part, in seconds; the first, unless each epoch is followed by one.
        predict_s: one prediction of the test part, after an earlier one, in seconds.
        fit_setup_ms: what one `fit` call costs outside its epochs, one value a round, in ms.
        warmup_ms: step time of each warm-up round, in ms.
        steady: whether the warm-up ended because step times had settled.
        steps_per_round: training steps in one steady round.
        step_time_ms: step time of each steady round, in ms.
        turns: position of each steady round in the interleaved order of the whole report.
        handover: of each steady round, how many times longer a core took to read what another had just written than
            to read it again, before or after the round, whichever was worse (`bench.system.handover`); None where it
            could not be measured. Empty where nobody looked.
        train_rmse: of the labels' scale, one value an epoch, as `fit` reports it.
        test_rmse: after the last epoch, as `evaluate` reports it.
        train_metric: of a workload of the user's own, instead of `train_rmse`: the metric that it is told by.
        test_metric: likewise, instead of `test_rmse`.
        test_metric_by_epoch: the same after each epoch, where the workload names a target; None where it is no number.
        peak_rss_mib: highest resident memory of the worker.
        peak_device_mib: highest device memory in use on a GPU; None on the CPU.
        matrix_gflop_s: its framework's fastest matrix product on this device, in 10^9 operations a second, a
            multiplication and an addition counting as two (`bench.worker.limits`).
        memory_gb_s: its fastest pass over an array, in 10^9 bytes read or written a second.
        launch_us: its shortest time from one computation to the next, in microseconds; None on the CPU.
        touched_rows: distinct users and distinct movies in a batch, added up, the mean over a round's batches.
        log: the worker's stdout and stderr, as a path relative to the report's directory.
        profile: the trace of some more of its steps, likewise; None where it was not the one that was traced.
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
    handover: list[float | None] = []
    train_rmse: list[float] = []
    test_rmse: float | None = None
    train_metric: list[float] = []
    test_metric: float | None = None
    test_metric_by_epoch: list[float | None] = []
    peak_rss_mib: float | None = None
    peak_device_mib: float | None = None
    matrix_gflop_s: float | None = None
    memory_gb_s: float | None = None
    launch_us: float | None = None
    touched_rows: float | None = None
    log: str | None = None
    profile: str | None = None

    @property
    def cell(self) -> Cell:
        """The cell that this run belongs to."""
        return Cell(backend=self.backend, device=self.device, loop=self.loop)

    @property
    def trained(self) -> bool:
        """Whether its training ended well."""
        return self.test_rmse is not None or self.test_metric is not None
