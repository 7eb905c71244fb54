"""Judge a report's parity: build each seed's reference in a process of its own, and compare all runs with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.envelope import EnvelopeRequest, Reference, measure_in_process
from bench.parity import Trajectory, judge
from bench.predictions import MOST_STORED, Arrays, stages_of
from bench.report import ParityResult, Run, Workload
from movierank.ratings import Ratings
from movierank.splits import Split
from movierank.weights import Weights, initial_weights


def check_parity(
    runs: Sequence[Run],
    arrays: Arrays,
    workload: Workload,
    split: Split,
    *,
    threads: int,
    folder: Path,
    say: Callable[[str], None],
) -> list[ParityResult]:
    """Compares every completed training with the oracle and with every other of its seed.

    Args:
        runs: of the report.
        arrays: their predictions, as in `predictions.npz`.
        workload: of the report; with each backend's own initial weights there is nothing to compare.
        split: that the runs trained on.
        threads: float32 copies of the oracle trained at the same time.
        folder: for files that are of no use afterwards.
        say: is told in a sentence what takes time.

    Raises:
        BenchError: a reference cannot be computed.
    """
    if workload.init != "shared":
        return []
    trajectories = [
        Trajectory(cell=run.cell, seed=run.seed, process=run.process, stages=stages)
        for run in runs
        if run.test_rmse is not None and (stages := stages_of(run, arrays))
    ]
    seeds = sorted({trajectory.seed for trajectory in trajectories})
    references = {}
    for place, seed in enumerate(seeds, start=1):
        say(f"Training the float64 oracle and its float32 copies, seed {place} of {len(seeds)}")
        references[seed] = _reference(workload, split, seed, threads, folder)
    return judge(trajectories, references)


def _reference(workload: Workload, split: Split, seed: int, threads: int, folder: Path) -> Reference:
    weights = initial_weights(workload.num_users, workload.num_movies, workload.embedding_dimension, seed=seed)
    return measure_in_process(
        EnvelopeRequest(
            weights=_save(folder / f"weights-{seed}.npz", weights),
            train=_save(folder / "train.npz", split.train),
            test=_save(folder / "test.npz", split.test.take(slice(0, MOST_STORED))),
            batch_size=workload.batch_size,
            epochs=workload.epochs,
            learning_rate=workload.learning_rate,
            seed=seed,
            output=str(folder / f"reference-{seed}"),
            threads=threads,
        )
    )


def _save(path: Path, arrays: Weights | Ratings) -> str:
    np.savez(path, **vars(arrays))
    return str(path)
