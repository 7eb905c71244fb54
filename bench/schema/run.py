"""Records of `report.json` on the workload, the design of the measurement, and the raw samples of every worker."""

from __future__ import annotations

from typing import Literal

from bench.schema.cell import OfCell
from bench.schema.parity import Judge
from bench.schema.record import Record

Temperature = Literal["cold", "warm"]


Status = Literal["ok", "failed", "killed", "timeout", "interrupted", "skipped"]


class Workload(Record, frozen=True, kw_only=True):
    """The workload that is trained; two reports with different workloads are not comparable.

    Attributes:
        dataset: name of the dataset, as in `movierank.data.ratings.Dataset.name`.
        source: origin of its ratings: `tfds`, `wheel`, `local` or `synthetic`.
        sha256: SHA-256 of the ratings and their order.
        split: `tutorial` or `FRACTION:SEED`.
        num_users: highest user id.
        num_movies: highest movie id.
        num_train: number of ratings in the train part.
        num_test: number of ratings in the test part.
        batch_size: examples a step; the last step of an epoch may have fewer.
        epochs: epochs of the convergence run whose RMSE and predictions are reported.
        embedding_dimension: width of both embedding tables.
        learning_rate: learning rate of Adagrad.
        init: `shared` (the same NumPy weights for every backend) or `backend` (each backend's own).
        workload: place of a custom workload (`bench.Workload`) as `module:object`; None for the built-in workload. For
            a custom workload `dataset` is its name, `source` is `own`, and users, movies and `embedding_dimension` are
            0.
        metric: metric that is reported for the train and test parts.
        better: whether a lower or a higher value of the metric is better.
        model_sha256: SHA-256 of the model's configuration, loss and optimizer; None for the built-in workload.
        weights_sha256: SHA-256 of the initial weights of all seeds; None for the built-in workload.
        parameters: number of values in the model's weights; None for the built-in workload.
        optimizer: class of the optimizer; None for the built-in workload.
        target: value of the metric up to which training time is reported (`Report.time_to_target`); None where a custom
            workload names none, and for the built-in workload, whose target is in those records.
        tables: names of the weights that embedding layers look rows up in; empty for the built-in workload.
        step_operations: additions and multiplications in the matrix products of a full batch, forward and backward;
            None for the built-in workload, and where no backend of the run could count them.
        step_bytes: bytes that a step must read or write in float32; None as for `step_operations`.
        not_judged: reason why parity cannot be judged; None where it can.
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
    """The design of the measurement.

    Attributes:
        processes: number of worker processes requested for each cell.
        rounds: number of steady rounds requested for each process.
        seeds: number of seeds of the initial weights; process p trains seed p % seeds.
        round_s: shortest wall time of a round, in seconds.
        threads: number of threads of each worker.
        order_seed: seed of the random order of rounds.
        timeout_s: longest wait for one answer of a worker, in seconds.
        trains: whether each process first trained the epochs whose RMSE is reported; otherwise runs have no RMSE.
        precision: half-width of the intervals at which measuring stops, from ten processes on, as a share; None for a
            fixed number of processes.
        budget_s: time after which measuring stops, in seconds; None for no limit. With `precision` or `budget_s` the
            larger of `processes` and five is the fewest processes, and `rounds` is the number of rounds of the first
            ones; the runs show how many there were in the end.
        envelope: trainings whose rounding parity is judged by, as in `bench.schema.parity.ParityResult.judged_by`.
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


class Run(OfCell, frozen=True, kw_only=True):
    """The measurements of one worker, also of one that failed half-way.

    Attributes:
        backend: `jax`, `torch` or `tensorflow`.
        device: `cpu`, `gpu` or `gpu:N`.
        loop: name of the training loop, such as `fit`; with the arithmetic where it is not float32, as in
            `fit:bfloat16`.
        process: index of the worker process within its cell, from 0.
        seed: seed of the initial weights.
        status: `ok`, or the reason why measuring ended early.
        error: one or two lines on what went wrong; None when `ok`.
        compile_mode: compiler of a step: `xla`, `inductor`, `graph` (TensorFlow without XLA) or `eager`; with `fit` the
            one that `jit_compile="auto"` resolved to.
        device_name: name of the processor or GPU as the framework gives it.
        threads: number of threads that the framework reports after it was set; None where it reports none.
        import_s: time of importing Keras and the backend, in seconds.
        data_s: time of opening the prepared data, in seconds.
        build_s: time of building and compiling the model and setting its weights, in seconds.
        first_step_s: time of the first training step with tracing and compilation, in seconds.
        compile_cache: whether the first process of the cell had left compiled code for that step (`warm`) or not
            (`cold`); None where nothing was compiled (`eager`, `graph`).
        train_s: time of the convergence run over all epochs without evaluation and prediction, in seconds. It is one
            call of the loop's `fit`, so it holds the set-up of a call once; in reports created before 29 November 2026
            once an epoch.
        evaluate_s: time of one pass over the test part, in seconds; of the first pass, unless each epoch is followed by
            one.
        predict_s: time of one prediction of the test part, after an earlier one, in seconds.
        fit_setup_ms: time of one `fit` call outside its epochs, one value a round, in ms.
        warmup_ms: step time of each warm-up round, in ms.
        steady: whether the warm-up ended because step times had settled.
        steps_per_round: number of training steps in one steady round.
        step_time_ms: step time of each steady round, in ms.
        turns: position of each steady round in the interleaved order of the whole report.
        handover: handover ratio of each steady round: how many times longer a core took to read what another had just
            written than to read it again, before or after the round, whichever was worse (`bench.system.handover`);
            None where it could not be measured. Empty where no ratio was measured.
        train_rmse: train RMSE on the scale of the labels, one value an epoch, as `fit` reports it.
        test_rmse: test RMSE after the last epoch, as `evaluate` reports it.
        train_metric: train values of a custom workload's metric, one an epoch, in place of `train_rmse`.
        test_metric: test value of a custom workload's metric, in place of `test_rmse`.
        test_metric_by_epoch: test value of the metric after each epoch, where a custom workload names a target; None
            where it is not a number.
        peak_rss_mib: highest resident memory of the worker, in MiB.
        peak_device_mib: highest device memory in use on a GPU, in MiB; None on the CPU.
        matrix_gflop_s: rate of the framework's fastest matrix product on this device, in 10^9 operations a second, a
            multiplication and an addition counting as two (`bench.worker.limits`).
        memory_gb_s: rate of the framework's fastest pass over an array, in 10^9 bytes read or written a second.
        launch_us: shortest time from one computation to the next, in microseconds; None on the CPU.
        touched_rows: number of distinct users plus number of distinct movies in a batch, the mean over a round's
            batches.
        log: path of the worker's stdout and stderr relative to the report's directory.
        profile: path of the trace of further steps relative to the report's directory; None where this worker was not
            traced.
    """

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
    def name(self) -> str:
        """Name of what was skipped or failed: the cell where it was skipped, else the process."""
        return str(self.cell) if self.status == "skipped" else f"{self.cell} process {self.process}"

    @property
    def train_scores(self) -> list[float]:
        """Train values of the workload's metric, one an epoch: of the built-in workload the RMSE."""
        return self.train_rmse or self.train_metric

    @property
    def test_score(self) -> float | None:
        """Test value of the workload's metric after the last epoch: of the built-in workload the RMSE."""
        return self.test_metric if self.test_rmse is None else self.test_rmse

    @property
    def trained(self) -> bool:
        """Whether the convergence run was completed and tested."""
        return self.test_score is not None
