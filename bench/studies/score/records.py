"""What `python -m bench score` found, as it is stored."""

from __future__ import annotations

from typing import Literal

from bench.schema.machine import Machine, Software
from bench.schema.record import Record
from bench.schema.run import Status

SCHEMA = "movierank-bench-score/1"
EXACT = "exact"

Interval = tuple[float, float]


class ScoreSettings(Record, frozen=True, kw_only=True):
    """What was scored and how it was measured.

    Attributes:
        num_users: highest user id.
        num_movies: highest movie id; all of them are scored for a user.
        k: movies kept for each user.
        processes: worker processes asked for per backend and device.
        rounds: asked for per process, of each kind.
        threads: threads of every worker.
        seed: of the shared initial weights, which are not trained: the arithmetic is the same.
        order_seed: of the random order of rounds.
        timeout_s: longest wait for one answer of a worker, in seconds.
    """

    num_users: int
    num_movies: int
    k: int
    processes: int
    rounds: int
    threads: int
    seed: int
    order_seed: int
    timeout_s: float


class ScoreRun(Record, frozen=True, kw_only=True):
    """All that one worker measured, also when it failed half-way.

    Attributes:
        backend: `jax`, `torch` or `tensorflow`.
        device: `cpu`, `gpu` or `gpu:N`.
        process: index of the worker process within its cell, from 0.
        users: whose best movies a round searches.
        predicted_pairs: that a round of `predict` scores.
        status: `ok`, or why measuring ended early.
        error: one or two lines on what went wrong; None when `ok`.
        compile_mode: what compiles the scoring: `xla` or `eager`.
        device_name: as the framework names it.
        threads: that the framework reports to use; None where it cannot say.
        first_s: the first search of a round's users, compilation included, in seconds.
        pairs_per_s: of the search for the best movies, one value a round.
        predict_pairs_per_s: of Keras's own `predict` on the same pairs, one value a round.
        products_per_s: floating-point operations a second of the fastest matrix product, one value a round.
        handover: of each round of `pairs_per_s`, how far the cores were apart, as in `bench.schema.run.Run`; empty
            where nobody looked.
        predict_handover: likewise of `predict_pairs_per_s`.
        products_handover: likewise of `products_per_s`.
        peak_rss_mib: highest resident memory of the worker.
        peak_device_mib: highest device memory in use on a GPU; None on the CPU.
    """

    backend: str
    device: str
    process: int
    users: int
    predicted_pairs: int
    status: Status
    error: str | None = None
    compile_mode: str | None = None
    device_name: str | None = None
    threads: int | None = None
    first_s: float | None = None
    pairs_per_s: list[float] = []
    predict_pairs_per_s: list[float] = []
    products_per_s: list[float] = []
    handover: list[float | None] = []
    predict_handover: list[float | None] = []
    products_handover: list[float | None] = []
    peak_rss_mib: float | None = None
    peak_device_mib: float | None = None

    @property
    def cell(self) -> str:
        """The backend and device, such as `jax/cpu`."""
        return f"{self.backend}/{self.device}"


class Throughput(Record, frozen=True, kw_only=True):
    """What follows from the rounds of one backend on one device; intervals are 95 %, over processes.

    Attributes:
        cell: backend/device.
        processes: with at least one round of each kind that counts.
        pairs_per_s: users x movies scored a second; `pairs_ci95`: its interval, None with one process.
        users_per_s: whose best movies were found a second.
        times_floor: time a pair over the floor: its arithmetic at the rate of that worker's fastest matrix product.
        times_best_floor: the same with the fastest product of all backends on that device.
        gain: how many times as many pairs a second as `predict` in the same worker.
        times_fastest: time a pair over that of the fastest cell, process by process; None for that cell itself.
        apart_rounds: of all kinds, timed while the cores shared no cache; None where nobody looked.
        calm: whether figures are without those; not where too few processes would be left. None likewise.
    """

    cell: str
    processes: int
    pairs_per_s: float
    pairs_ci95: Interval | None
    users_per_s: float
    times_floor: float
    times_floor_ci95: Interval | None
    times_best_floor: float
    gain: float
    gain_ci95: Interval | None
    times_fastest: float | None = None
    times_fastest_ci95: Interval | None = None
    apart_rounds: int | None = None
    calm: bool | None = None


class Agreement(Record, frozen=True, kw_only=True):
    """Whether two lists of best movies are the same but for rounding.

    Attributes:
        a: backend/device.
        b: another one, or `exact`: the float64 oracle on all pairs of these users.
        users: compared.
        largest: difference of two predictions of one pair, in label units.
        share_of_bound: the largest difference over what rounding can explain of it (`movierank.scoring.rounding`).
        same_lists: share of users whose lists are the same, order included.
        surely_missed: movies that are in one list and not in the other though rounding cannot explain it.
        verdict: `within` where no difference is larger than the bound and none surely missed.
    """

    a: str
    b: str
    users: int
    largest: float
    share_of_bound: float
    same_lists: float
    surely_missed: int
    verdict: Literal["within", "outside"]


class ScoreReport(Record, frozen=True, kw_only=True):
    """The whole result; `throughput` and `agreement` follow from the rest.

    Attributes:
        schema: of this file.
        created: when it was begun, UTC.
        finished: when it ended; None where it was cut off.
        machine: it was measured on.
        software: it was measured with.
        settings: what was scored and how.
        runs: raw samples.
        throughput: by backend and device, fastest first.
        agreement: of each with the exact one, and of each two.
    """

    schema: str
    created: str
    machine: Machine
    software: Software
    settings: ScoreSettings
    finished: str | None = None
    runs: list[ScoreRun] = []
    throughput: list[Throughput] = []
    agreement: list[Agreement] = []
