"""The rounding envelope: how far trainings of the same mathematics drift apart by rounding alone.

A float64 oracle is trained once. Then float32 copies of it are trained whose mathematics is the same and whose
additions have another order: the examples are permuted inside each batch, and the hidden units and embedding
dimensions are permuted together with their weights, which leaves every prediction the same but for rounding.
How far these copies lie from the oracle and from each other is what a correct backend may show.

Rounding drift is not smooth. As long as every relu opens for the same examples as in the oracle, two trainings
stay within 1e-7; the first example whose preactivation lies so near zero that rounding moves it to the other
side changes a gradient by a finite amount, and from there the distance grows to 1e-5 within an epoch. When that
happens first is luck: on MovieLens 100K some seeds have it in the first batches, some not in the first epoch, and
six copies could miss it by chance. So every copy is given one such event in each hidden layer in its first batch,
after its untrained predictions are taken: a bias is moved by some 1e-6, just enough to mirror a preactivation next to
zero. A training that meets its first flip later has drifted less, so the envelope errs to the wide side.

This runs in a process of its own (`measure_in_process`), which keeps the arrays out of the supervisor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.rounding import FLOAT32_EPS, Flip, nearest_flips, permute_in_batches, permute_units
from bench.worker import die_with_supervisor
from movierank.oracle import Oracle, train
from movierank.ratings import Ratings
from movierank.weights import Weights

Float64Array = npt.NDArray[np.float64]
Predictions = dict[str, Float64Array]

RUNS = 6
SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class EnvelopeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. Paths are `.npz` files.

    Attributes:
        weights: initial weights, one array a field of `movierank.weights.Weights`.
        train: `user_id`, `movie_id` and `label` of the train part, in training order.
        test: the same of the test part.
        batch_size: examples a step.
        epochs: passes over the train part.
        learning_rate: Adagrad's.
        seed: of the permutations; the seed of the initial weights will do.
        runs: float32 copies, at least 3.
        threads: copies trained at the same time.
        output: path without suffix; `.json` and `.npz` are written.
    """

    weights: str
    train: str
    test: str
    batch_size: int
    epochs: int
    learning_rate: float
    seed: int
    output: str
    runs: int = RUNS
    threads: int = 2


class StageEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """Distances by rounding alone at one stage, between every two of the oracle and its copies.

    The oracle is one of them without distinction: where rounding drift has grown, it is one more trajectory.

    Attributes:
        stage: `forward`, `epoch 1` … or `rmse`.
        trainings: the oracle and its copies, n.
        rms: n (n - 1) / 2 root mean squares over the test part of the differences of two trainings' predictions;
            at `rmse`, |difference| of their two test RMSEs.
        resolution: float32's relative spacing times the size of the values: no distance below it means anything.
    """

    stage: str
    trainings: int
    rms: list[float]
    resolution: float


@dataclass(frozen=True)
class Reference:
    """What trainings from one set of initial weights are judged by.

    Attributes:
        envelope: one record a stage, in the order of training, `rmse` last.
        predictions: the float64 oracle's test predictions [N] by stage, without `rmse`.
        label: float32 [N], of the test part.
    """

    envelope: list[StageEnvelope]
    predictions: Predictions
    label: npt.NDArray[np.float32]


def distance(a: npt.NDArray[np.floating[Any]], b: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Returns the root mean square and the largest |difference| of two arrays, computed in float64."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float(np.sqrt(np.mean(np.square(difference)))), float(np.max(np.abs(difference)))


def with_rmse(
    predictions: Mapping[str, npt.NDArray[np.floating[Any]]], label: npt.NDArray[np.floating[Any]]
) -> Predictions:
    """Returns float64 predictions by stage with a stage `rmse` added: an array [1], of the last stage's test RMSE."""
    stages = {stage: np.asarray(values, np.float64) for stage, values in predictions.items()}
    rms, _ = distance(stages[list(stages)[-1]], label)
    return {**stages, "rmse": np.array([rms])}


def measure(
    weights: Weights,
    train_part: Ratings,
    test_part: Ratings,
    *,
    batch_size: int,
    epochs: int,
    learning_rate: float,
    seed: int,
    runs: int = RUNS,
    threads: int = 2,
) -> Reference:
    """Trains the oracle and its float32 copies and returns how far rounding drives them apart.

    Equal arguments give equal results on one machine where BLAS is single-threaded.

    Raises:
        BenchError: fewer than three copies were asked for, or the training diverges.
    """
    if runs < 3:
        raise BenchError(f"the rounding envelope needs at least 3 runs, not {runs}")

    test = test_part.user_id, test_part.movie_id

    def predictions(oracle: Oracle, ratings: Ratings, flips: Iterable[Flip] = ()) -> Predictions:
        stages = {"forward": oracle.predict(*test)}
        for name, unit, change in flips:
            getattr(oracle.weights, name)[unit] += change

        def keep(epoch: int) -> None:
            stages[f"epoch {epoch}"] = oracle.predict(*test)

        train(oracle, ratings, batch_size, epochs, keep)
        return with_rmse(stages, test_part.label)

    def judge() -> Predictions:
        return predictions(Oracle(weights, learning_rate=learning_rate), train_part)

    def copy(stream: np.random.SeedSequence, flips: Iterable[Flip]) -> Predictions:
        rng = np.random.Generator(np.random.Philox(stream))
        permuted, places = permute_units(weights, rng)
        oracle = Oracle(permuted, learning_rate=learning_rate, dtype=np.float32)
        ratings = permute_in_batches(train_part, batch_size, rng)
        return predictions(oracle, ratings, [(bias, int(places[bias][unit]), change) for bias, unit, change in flips])

    with ThreadPoolExecutor(threads) as pool, np.errstate(all="ignore"):
        future = pool.submit(judge)
        flips = nearest_flips(weights, train_part.take(slice(batch_size)), runs)
        copies = list(pool.map(copy, np.random.SeedSequence(seed).spawn(runs), flips))
        oracle = future.result()
    if not all(np.isfinite(values).all() for run in (oracle, *copies) for values in run.values()):
        raise BenchError(f"training diverges at learning rate {learning_rate:g}; choose a smaller one")
    envelope = [_stage(stage, [run[stage] for run in (oracle, *copies)]) for stage in oracle]
    return Reference(envelope, {stage: oracle[stage] for stage in oracle if stage != "rmse"}, test_part.label)


def _stage(stage: str, trainings: list[Float64Array]) -> StageEnvelope:
    return StageEnvelope(
        stage=stage,
        trainings=len(trainings),
        rms=[distance(a, b)[0] for a, b in combinations(trainings, 2)],
        resolution=FLOAT32_EPS * float(np.sqrt(np.mean(np.square(trainings[0])))),
    )


def measure_in_process(request: EnvelopeRequest) -> Reference:
    """Runs `measure` in a process of its own and waits for it.

    Raises:
        BenchError: it failed; the message is the last line of its stderr.
    """
    request_path = Path(f"{request.output}.request.json")
    request_path.write_bytes(msgspec.json.encode(request))
    # BLAS reads its thread count when NumPy is imported; one thread each keeps results equal from run to run.
    environment = {**os.environ, **SINGLE_THREADED}
    command = [sys.executable, "-m", "bench.envelope", str(request_path)]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BenchError(f"the rounding envelope could not be measured: {lines[-1]}")
    return read_reference(request.output)


def read_reference(output: str) -> Reference:
    """Reads what `python -m bench.envelope` wrote for a request with this `output`."""
    envelope = msgspec.json.decode(Path(f"{output}.json").read_bytes(), type=list[StageEnvelope])
    with np.load(f"{output}.npz") as arrays:
        predictions = {stage: arrays[stage] for stage in arrays.files if stage != "label"}
        return Reference(envelope, predictions, arrays["label"])


def main(arguments: list[str]) -> int:
    """Measures the request in the JSON file that the one argument names; returns the exit code."""
    request = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=EnvelopeRequest)
    with np.load(request.weights) as w, np.load(request.train) as tr, np.load(request.test) as te:
        weights, train_part, test_part = Weights(**w), Ratings(**tr), Ratings(**te)
    try:
        reference = measure(
            weights,
            train_part,
            test_part,
            batch_size=request.batch_size,
            epochs=request.epochs,
            learning_rate=request.learning_rate,
            seed=request.seed,
            runs=request.runs,
            threads=request.threads,
        )
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    np.savez(f"{request.output}.npz", label=reference.label, **reference.predictions)  # type: ignore[arg-type]  # keywords typed too narrowly
    Path(f"{request.output}.json").write_bytes(msgspec.json.encode(reference.envelope))
    return 0


if __name__ == "__main__":
    die_with_supervisor(sys.stderr.fileno())
    sys.exit(main(sys.argv[1:]))
