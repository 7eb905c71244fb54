"""What the supervisor and a worker say to each other: one JSON object a line over two pipes of their own.

The supervisor asks, the worker answers once: `Job` → `Ready`, `Train` → `Trained`, `WarmUp` → `Steady`,
`MeasureRound` → `Rounded`, `Stop` → `Stopped`. Instead of any of these a worker may answer `Unavailable`
(this backend or device is not to be had here) or `Failed`, and ends. A `Probe` in place of the `Job` is
answered with `Available`, and a `Describe` with `Described`, and no more follows. A `ScoreJob` in place of the
`Job` → `ScoreReady` is followed by `MeasureScoring` → `Scored`, and `Stop`. After `Stop` a worker that trains may be
asked to `TakeProfile` → `Profiled`; it ends when the pipe of its commands does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bench.schema.profile import Profile
from bench.schema.record import Message
from bench.schema.run import Temperature


class CustomJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to know of a workload of the user's own (`bench.schema.workload`).

    Attributes:
        target: `package.module:object` or `/path/file.py:object`.
        metric: that is reported, as Keras's logs name it.
        weights: file (.npz) with the initial weights of the job's seed, in the order of `model.weights`.
        tests_epochs: whether the test part is evaluated after each epoch, not after the last one alone.
        has_floor: whether it is known what a step must do, so that the device's limits are worth measuring.
    """

    target: str
    metric: str
    weights: str
    tests_epochs: bool = False
    has_floor: bool = False


class Describe(Message, frozen=True, kw_only=True):
    """Only say what a workload of the user's own is, and draw its initial weights; sent instead of a `Job`.

    Attributes:
        backend, device, threads: as in `Job`.
        target: as in `CustomJob`.
        seeds: of the initial weights, 0 and up.
        folder: in which to leave them, `weights-SEED.npz` each.
    """

    backend: str
    device: str
    threads: int
    target: str
    seeds: int
    folder: str


class Described(Message, frozen=True, kw_only=True):
    """The answer to a `Describe`; name, metric, better, target, batch size and epochs as in its `Workload`.

    Attributes:
        sha256: of the arrays, in order.
        model_sha256: of the model's layers, loss and optimizer, whatever they are called
            (`bench.worker.workloads.model`).
        weights_sha256: of the initial weights of all seeds.
        num_train, num_test: examples.
        outputs: numbers that the model predicts for an example.
        parameters: numbers in its weights.
        learning_rate: of its optimizer, at the start; 0 where it tells none.
        optimizer: its class.
        tables: the weights that embedding layers look rows up in, as stages name them.
        random: its layers that draw random numbers in training, such as `dropout`.
        traced: names of the numbers in a bias trace (`bench.worker.workloads.recorder`).
        step_operations, step_bytes: as in `bench.schema.run.Workload`.
    """

    name: str
    metric: str
    better: Literal["lower", "higher"]
    target: float | None = None
    batch_size: int
    epochs: int
    sha256: str
    model_sha256: str
    weights_sha256: str
    num_train: int
    num_test: int
    outputs: int
    parameters: int
    learning_rate: float
    optimizer: str
    tables: list[str]
    random: list[str]
    traced: list[str]
    step_operations: float | None = None
    step_bytes: float | None = None


class TakeProfile(Message, frozen=True, kw_only=True):
    """Trace some more steps, which are not timed (`bench.worker.profiler.take`).

    Attributes:
        trace: file (.json.gz) in which to leave the trace.
        file: where the report will have it, as in `bench.schema.profile.Profile`.
    """

    trace: str
    file: str


class Profiled(Message, frozen=True, kw_only=True):
    """The trace lies where it was asked for."""

    profile: Profile


def weights_name(seed: int) -> str:
    """Returns the file of a seed's initial weights."""
    return f"weights-{seed}.npz"


class Job(Message, frozen=True, kw_only=True):
    """All that a worker needs to know, sent once.

    Attributes:
        backend, device, loop, process, seed: as in `bench.schema.run.Run`.
        threads: to use on the CPU.
        dataset, data_source, data_path: as for `movierank.data.datasets.load_dataset`; prepared before.
        sha256: of the dataset that the report is about.
        split: as in `bench.schema.run.Workload`.
        batch_size, epochs, embedding_dimension, learning_rate, init: as in `bench.schema.run.Workload`.
        round_s: shortest wall time of a round, in seconds.
        predictions: file (.npz) in which `Train` leaves the test predictions of each stage.
        stored_predictions: how many test ratings are predicted for that file, from the first on.
        precision: one of `bench.schema.cell.PRECISIONS`, which `loop` names too where it is not float32; or `float64`,
            in which a workload of the user's own has its oracle (`bench.parity.backend_oracle`).
        trains: whether `Train` may follow; without, no copy of the initial weights is kept.
        early_stages: whether `Train` records loss, gradients and the first steps too (`bench.parity.stages`).
        compile_cache: folder for compiled code, existing (`bench.system.compile_cache`); None for none.
        fault: name of a fault to plant on purpose (`bench.studies.mutants.catalogue`); for `bench mutants`.
        own: of a workload of the user's own, whose name `dataset` is; its source, split, embedding dimension and
            learning rate mean nothing to the worker then.
    """

    backend: str
    device: str
    loop: str
    process: int
    seed: int
    threads: int
    dataset: str
    data_source: str
    data_path: str | None
    sha256: str
    split: str
    batch_size: int
    epochs: int
    embedding_dimension: int
    learning_rate: float
    init: Literal["shared", "backend"]
    round_s: float
    predictions: str
    stored_predictions: int
    precision: str = "float32"
    trains: bool = True
    early_stages: bool = False
    compile_cache: str | None = None
    fault: str | None = None
    custom: CustomJob | None = None


class Probe(Message, frozen=True, kw_only=True):
    """Only import the backend and say what it sees; sent instead of a `Job`, fields as there."""

    backend: str
    device: str
    threads: int


class ScoreJob(Message, frozen=True, kw_only=True):
    """All that a worker of `bench score` needs to know, sent instead of a `Job`.

    Attributes:
        backend, device, threads: as in `Job`.
        num_users, num_movies: highest ids; the model's tables have a row more each.
        users: whose best movies are searched in a round, ids 1 to `users`.
        predicted_pairs: pairs that a round of `predict` is given.
        k: movies kept for each user.
        seed: of the initial weights, which are not trained.
        answers: file (.npz) in which to leave `ids` and `predictions`, [users, k]; None to leave none.
    """

    backend: str
    device: str
    threads: int
    num_users: int
    num_movies: int
    users: int
    predicted_pairs: int
    k: int
    seed: int
    answers: str | None


class MeasureScoring(Message, frozen=True, kw_only=True):
    """Time one round.

    Attributes:
        what: `top`, the search for the best movies; `predict`, Keras's own on as many pairs as were asked for; or
            `products`, the fastest matrix product.
    """

    what: Literal["top", "predict", "products"]


class Train(Message, frozen=True, kw_only=True):
    """Train from the initial weights for the workload's epochs.

    Attributes:
        copy: None for the training itself; a number, from 0, for one that only rounding makes different
            (`bench.worker.workloads.ranking`). What it leaves in `Job.predictions` is in the order of the training
            itself.
    """

    copy: int | None = None


class WarmUp(Message, frozen=True, kw_only=True):
    """Run rounds until their step times have settled."""


class MeasureRound(Message, frozen=True, kw_only=True):
    """Run and time one steady round.

    Attributes:
        slowdown: share by which to prolong it on purpose; for `bench validate`.
    """

    slowdown: float = 0.0


class Stop(Message, frozen=True, kw_only=True):
    """Say the peaks; nothing more will be measured.

    Attributes:
        limits: whether to measure before that how fast this device is at best (`bench.worker.limits`).
    """

    limits: bool = False


class Ready(Message, frozen=True, kw_only=True):
    """The model stands and its first step is done; fields as in `bench.schema.run.Run`."""

    compile_mode: str
    device_name: str
    threads: int | None
    import_s: float
    data_s: float
    build_s: float
    first_step_s: float
    compile_cache: Temperature | None = None


class Available(Message, frozen=True, kw_only=True):
    """The answer to a `Probe`.

    Attributes:
        version: of the backend's package.
        device_name: as the framework names it.
        import_s: importing Keras and the backend, in seconds.
    """

    version: str
    device_name: str
    import_s: float


class Trained(Message, frozen=True, kw_only=True):
    """The convergence run is done; fields as in `bench.schema.run.Run`."""

    train_rmse: list[float] = msgspec.field(default_factory=list)
    test_rmse: float | None = None
    train_metric: list[float] = msgspec.field(default_factory=list)
    test_metric: float | None = None
    test_metric_by_epoch: list[float | None] = msgspec.field(default_factory=list)
    train_s: float
    evaluate_s: float
    predict_s: float


class Steady(Message, frozen=True, kw_only=True):
    """Warm-up is over; fields as in `bench.schema.run.Run`."""

    warmup_ms: list[float]
    steady: bool
    steps_per_round: int


class Rounded(Message, frozen=True, kw_only=True):
    """One steady round was timed."""

    step_time_ms: float
    fit_setup_ms: float


class ScoreReady(Message, frozen=True, kw_only=True):
    """The model has been scored once; fields as in `bench.studies.score.records.ScoreRun`."""

    compile_mode: str
    device_name: str
    threads: int | None
    first_s: float


class Scored(Message, frozen=True, kw_only=True):
    """A round of `MeasureScoring` was timed.

    Attributes:
        per_s: pairs a second; for `products`, floating-point operations a second.
    """

    per_s: float


class Stopped(Message, frozen=True, kw_only=True):
    """The worker's last word; fields as in `bench.schema.run.Run`, None where limits were not asked for."""

    peak_rss_mib: float
    peak_device_mib: float | None
    matrix_gflop_s: float | None = None
    memory_gb_s: float | None = None
    launch_us: float | None = None
    touched_rows: float | None = None


class Unavailable(Message, frozen=True, kw_only=True):
    """This backend, device or loop is not to be had here."""

    reason: str


class Failed(Message, frozen=True, kw_only=True):
    """The worker cannot go on; its log has the traceback."""

    error: str


Command = Job | Probe | Describe | ScoreJob | Train | WarmUp | MeasureRound | MeasureScoring | Stop | TakeProfile


Reply = (
    Ready
    | Available
    | Described
    | ScoreReady
    | Trained
    | Steady
    | Rounded
    | Scored
    | Stopped
    | Profiled
    | Unavailable
    | Failed
)


_encoder = msgspec.json.Encoder()


decode_command = msgspec.json.Decoder(Command).decode


decode_reply = msgspec.json.Decoder(Reply).decode


def encode(message: Message) -> bytes:
    """Returns one line, newline included."""
    return _encoder.encode(message) + b"\n"


def log_name(backend: str, device: str, loop: str, process: int) -> Path:
    """Returns where a worker's stdout and stderr go, relative to the report's directory."""
    return Path("logs") / f"{backend}-{device.replace(':', '')}-{loop.replace(':', '-')}-p{process}.log"
