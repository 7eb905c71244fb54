"""Measure a reference (`bench.parity.numpy_oracle`) in another process, to keep its arrays out of the supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.errors import BenchError
from bench.parity.numpy_oracle import Task, measure
from bench.parity.stages import Values
from bench.parity.trainings import Reference, envelopes_of
from bench.schema.parity import COPIES, ORACLE, SeedEnvelope
from bench.system.child import die_with_supervisor
from movierank.data.ratings import Ratings
from movierank.weights import Weights

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
        seed: seed of the permutations; that of the initial weights will do.
        runs: float32 copies, at least 3.
        variants: known deviations to reproduce.
        early: as in `bench.parity.numpy_oracle.Task`.
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
    runs: int = COPIES
    variants: list[str] = []
    early: bool = True
    threads: int = 2


def request_of(
    task: Task, folder: Path, name: str, *, seed: int, variants: Sequence[str], threads: int
) -> EnvelopeRequest:
    """Write the arrays of a task, and return the request for its reference.

    Args:
        task: what to train on.
        folder: for all files of the request.
        name: ends the names of the files; requests that are answered one after the other may share it.
        seed: as in `EnvelopeRequest`.
        variants: as in `EnvelopeRequest`.
        threads: as in `EnvelopeRequest`.
    """

    def saved(what: str, arrays: Weights | Ratings) -> str:
        path = folder / f"{what}-{name}.npz"
        np.savez(path, **vars(arrays))
        return str(path)

    return EnvelopeRequest(
        weights=saved("weights", task.weights),
        train=saved("train", task.train),
        test=saved("test", task.test),
        batch_size=task.batch_size,
        epochs=task.epochs,
        learning_rate=task.learning_rate,
        seed=seed,
        output=str(folder / f"reference-{name}"),
        variants=list(variants),
        early=task.early,
        threads=threads,
    )


def task_of(request: EnvelopeRequest) -> Task:
    """Return the task of a request, from its files."""
    with np.load(request.weights) as weights, np.load(request.train) as train, np.load(request.test) as test:
        return Task(
            weights=Weights(**weights),
            train=Ratings(**train),
            test=Ratings(**test),
            batch_size=request.batch_size,
            epochs=request.epochs,
            learning_rate=request.learning_rate,
            early=request.early,
        )


def measure_in_process(request: EnvelopeRequest) -> Reference:
    """Run `measure` in a process of its own and wait for it.

    Raises:
        BenchError: it failed; the message is the last line of its stderr.
    """
    request_path = Path(f"{request.output}.request.json")
    request_path.write_bytes(msgspec.json.encode(request))
    # BLAS reads its thread count when NumPy is imported; one thread each keeps results equal from run to run.
    environment = {**os.environ, **SINGLE_THREADED}
    command = [sys.executable, "-m", "bench.parity.numpy_process", str(request_path)]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BenchError(f"the rounding envelope could not be measured: {lines[-1]}")
    return read_reference(request.output)


def read_reference(output: str) -> Reference:
    """Read what `python -m bench.parity.numpy_process` wrote for a request with this `output`."""
    measured = msgspec.json.decode(Path(f"{output}.json").read_bytes(), type=SeedEnvelope)
    by_name: dict[str, Values] = {ORACLE: {}}
    with np.load(f"{output}.npz") as arrays:
        for key in arrays.files:
            name, _, stage = key.partition("/")
            by_name.setdefault(name, {})[stage] = arrays[key]
    return Reference(measured.stages, measured.bias_step, by_name.pop(ORACLE), by_name)


def main(arguments: list[str]) -> int:
    """Measure the request in the JSON file that the one argument names; return the exit code."""
    request = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=EnvelopeRequest)
    try:
        reference = measure(
            task_of(request),
            seed=request.seed,
            runs=request.runs,
            variants=request.variants,
            threads=request.threads,
        )
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    of_oracles = {ORACLE: reference.oracle or {}, **reference.variants}
    arrays = {f"{name}/{stage}": array for name, values in of_oracles.items() for stage, array in values.items()}
    np.savez(f"{request.output}.npz", **arrays)  # type: ignore[arg-type]  # keywords typed too narrowly
    (measured,) = envelopes_of({(None, request.seed): reference})
    Path(f"{request.output}.json").write_bytes(msgspec.json.encode(measured))
    return 0


if __name__ == "__main__":
    die_with_supervisor(sys.stderr.fileno())
    sys.exit(main(sys.argv[1:]))
