"""Messages between supervisor and worker: one JSON object a line over two pipes of their own.

The supervisor sends a command and the worker replies once. The first command decides what follows:

- `Job` → `Ready`, then `Train` → `Trained`, `WarmUp` → `Steady`, `MeasureRound` → `Rounded`, `Stop` → `Stopped`, and
  after `Stop` `TakeProfile` → `Profiled`.
- `ScoreJob` → `ScoreReady`, then `MeasureScoring` → `Scored`, and `Stop` → `Stopped`.
- `Probe` → `Available` or `Describe` → `Described`, and nothing more.

In place of any reply a worker may send `Unavailable` or `Failed`, and ends. Otherwise it ends when its pipe of commands
does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from bench.schema.profile import Profile
from bench.schema.record import Message
from bench.schema.run import Temperature


class _OnDevice(Message, frozen=True, kw_only=True):
    backend: str
    device: str
    threads: int


class CustomJob(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a `Job` about a custom workload (`bench.schema.workload`).

    Attributes:
        target: `package.module:object` or `/path/file.py:object`.
        metric: name of the reported metric in Keras's logs.
        weights: file (.npz) with the initial weights of the job's seed, in the order of `model.weights`.
        tests_epochs: whether the test part is evaluated after each epoch, not only after the last one.
        has_floor: whether it is known what a step must do, so that the device's limits can be compared with it.
    """

    target: str
    metric: str
    weights: str
    tests_epochs: bool = False
    has_floor: bool = False


class Job(_OnDevice, frozen=True, kw_only=True):
    """The first command to a worker that trains and times one cell.

    Attributes:
        backend, device, loop, process, seed: as in `bench.schema.run.Run`.
        threads: number of threads to use on the CPU.
        dataset, data_source, data_path: as for `movierank.data.datasets.load_dataset`, which has prepared the data.
        sha256: checksum of the dataset in the report.
        split, batch_size, epochs, embedding_dimension, learning_rate, init: as in `bench.schema.run.Workload`.
        round_s: shortest wall time of a round, in seconds.
        predictions: file (.npz) to which `Train` writes the test predictions of each stage.
        stored_predictions: number of test ratings that are predicted for that file, from the first on.
        precision: one of `bench.schema.cell.PRECISIONS`, which `loop` names too unless it is float32; or `float64`, in
            which a custom workload has its oracle (`bench.parity.backend_oracle`).
        trains: whether `Train` may follow; if not, no copy of the initial weights is kept.
        early_stages: whether `Train` also records loss, gradients and the first steps (`bench.parity.stages`).
        compile_cache: existing folder for compiled code (`bench.system.compile_cache`); None for none.
        fault: name of a fault to plant on purpose (`bench.studies.mutants.catalogue`); for `bench mutants`.
        custom: custom workload, whose name is `dataset`; the worker then ignores data source, split, embedding
            dimension and learning rate. None for the built-in workload.
    """

    loop: str = "fit"
    process: int = 0
    seed: int
    dataset: str
    data_source: str = "auto"
    data_path: str | None = None
    sha256: str
    split: str
    batch_size: int
    epochs: int
    embedding_dimension: int
    learning_rate: float
    init: Literal["shared", "backend"] = "shared"
    round_s: float
    predictions: str
    stored_predictions: int
    precision: str = "float32"
    trains: bool = True
    early_stages: bool = False
    compile_cache: str | None = None
    fault: str | None = None
    custom: CustomJob | None = None


class Ready(Message, frozen=True, kw_only=True):
    """The reply to a `Job` after the model's first step; fields as in `bench.schema.run.Run`."""

    compile_mode: str
    device_name: str
    threads: int | None
    import_s: float
    data_s: float
    build_s: float
    first_step_s: float
    compile_cache: Temperature | None = None


class Train(Message, frozen=True, kw_only=True):
    """Train from the initial weights for the workload's epochs.

    Attributes:
        copy: None for the training itself; a number, from 0, for a copy of it that differs in rounding alone
            (`bench.worker.workloads`). The copy's stages in `Job.predictions` are in the order of the training itself.
    """

    copy: int | None = None


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


class WarmUp(Message, frozen=True, kw_only=True):
    """Run rounds until their step times have settled."""


class Steady(Message, frozen=True, kw_only=True):
    """The warm-up is over; fields as in `bench.schema.run.Run`."""

    warmup_ms: list[float]
    steady: bool
    steps_per_round: int


class MeasureRound(Message, frozen=True, kw_only=True):
    """Run and time one steady round.

    Attributes:
        slowdown: share by which to prolong it on purpose; for `bench validate`.
    """

    slowdown: float = 0.0


class Rounded(Message, frozen=True, kw_only=True):
    """One steady round was timed."""

    step_time_ms: float
    fit_setup_ms: float


class Stop(Message, frozen=True, kw_only=True):
    """Report the peaks of memory; nothing more will be timed.

    Attributes:
        limits: whether to then measure the best rates of this device (`bench.worker.limits`).
    """

    limits: bool = False


class Stopped(Message, frozen=True, kw_only=True):
    """The reply to a `Stop`; fields as in `bench.schema.run.Run`, None where no limits were measured."""

    peak_rss_mib: float
    peak_device_mib: float | None
    matrix_gflop_s: float | None = None
    memory_gb_s: float | None = None
    launch_us: float | None = None
    touched_rows: float | None = None


class TakeProfile(Message, frozen=True, kw_only=True):
    """Trace some more steps, which are not timed (`bench.worker.profiler.take`).

    Attributes:
        trace: file (.json.gz) to which the trace is written.
        file: path of the trace in the report, as in `bench.schema.profile.Profile`.
    """

    trace: str
    file: str


class Profiled(Message, frozen=True, kw_only=True):
    """The trace is written."""

    profile: Profile


class Probe(_OnDevice, frozen=True, kw_only=True):
    """Import the backend and report what it sees; fields as in `Job`."""


class Available(Message, frozen=True, kw_only=True):
    """The reply to a `Probe`.

    Attributes:
        version: version of the backend's package.
        device_name: name of the device in the framework.
        import_s: seconds that importing Keras and the backend took.
    """

    version: str
    device_name: str
    import_s: float


class Describe(_OnDevice, frozen=True, kw_only=True):
    """Describe a custom workload and draw its initial weights.

    Attributes:
        backend, device, threads: as in `Job`.
        target: as in `CustomJob`.
        seeds: number of seeds of the initial weights, from 0.
        folder: folder for the weights, `weights-SEED.npz` each.
    """

    target: str
    seeds: int
    folder: str


class Described(Message, frozen=True, kw_only=True):
    """The reply to a `Describe`; name, metric, better, target, batch size and epochs as in its `Workload`.

    Attributes:
        sha256: checksum of the arrays, in order.
        model_sha256: checksum of the model's layers, loss and optimizer, whatever their names
            (`bench.worker.workloads.model`).
        weights_sha256: checksum of the initial weights of all seeds.
        num_train, num_test: number of examples.
        outputs: number of values that the model predicts for an example.
        parameters: number of values in its weights.
        learning_rate: learning rate of its optimizer at the start; 0 where it has none.
        optimizer: class of its optimizer.
        tables: stages' names of the weights in which embedding layers look rows up.
        random: names of its layers that draw random numbers in training, such as `dropout`.
        traced: names of the numbers in a bias trace (`bench.worker.stage_recorder`).
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


class ScoreJob(_OnDevice, frozen=True, kw_only=True):
    """The first command to a worker of `bench score`.

    Attributes:
        backend, device, threads: as in `Job`.
        num_users, num_movies: highest ids; the model's tables have one more row each.
        users: number of users whose best movies a round searches, ids 1 to `users`.
        predicted_pairs: number of pairs in a round of `predict`.
        k: number of movies kept for each user.
        seed: seed of the initial weights, which are not trained.
        answers: file (.npz) for the result, `ids` and `predictions`, [users, k] each; None to write none.
    """

    num_users: int
    num_movies: int
    users: int
    predicted_pairs: int
    k: int
    seed: int
    answers: str | None


class ScoreReady(Message, frozen=True, kw_only=True):
    """The model has scored once; fields as in `bench.studies.score.records.ScoreRun`."""

    compile_mode: str
    device_name: str
    threads: int | None
    first_s: float


class MeasureScoring(Message, frozen=True, kw_only=True):
    """Time one round of scoring.

    Attributes:
        what: `top`, the search for the best movies; `predict`, Keras's own on `predicted_pairs`; or `products`, the
            fastest matrix product.
    """

    what: Literal["top", "predict", "products"]


class Scored(Message, frozen=True, kw_only=True):
    """A round of `MeasureScoring` was timed.

    Attributes:
        per_s: pairs a second; for `products`, floating-point operations a second.
    """

    per_s: float


class Unavailable(Message, frozen=True, kw_only=True):
    """This backend, device or loop is not available on this machine."""

    reason: str


class Failed(Message, frozen=True, kw_only=True):
    """The worker cannot go on; its log has the traceback."""

    error: str


First = Job | ScoreJob | Probe | Describe
Command = First | Train | WarmUp | MeasureRound | Stop | TakeProfile | MeasureScoring

FirstReply = Ready | ScoreReady | Available | Described
Reply = FirstReply | Trained | Steady | Rounded | Stopped | Profiled | Scored | Unavailable | Failed

_encoder = msgspec.json.Encoder()
decode_command = msgspec.json.Decoder(Command).decode
decode_reply = msgspec.json.Decoder(Reply).decode


def encode(message: Message) -> bytes:
    """Return one line, newline included."""
    return _encoder.encode(message) + b"\n"


def weights_name(seed: int) -> str:
    """Return the name of the file with a seed's initial weights."""
    return f"weights-{seed}.npz"


def log_name(backend: str, device: str, loop: str, process: int) -> Path:
    """Return the file for a worker's stdout and stderr, relative to the report's folder."""
    return Path("logs") / f"{backend}-{device.replace(':', '')}-{loop.replace(':', '-')}-p{process}.log"
