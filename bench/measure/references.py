"""Judge a report's parity: build each seed's reference in a process of its own, and compare all runs with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from bench.errors import BenchError
from bench.measure.plan import Side
from bench.measure.process import WorkerLostError
from bench.parity.backend_oracle import Mathematics, reference_of
from bench.parity.custom_judge import judge_own
from bench.parity.custom_references import to_arrays as custom_arrays
from bench.parity.distances import TestPart, Training
from bench.parity.divergence import divergences
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Reference
from bench.parity.numpy_process import EnvelopeRequest, measure_in_process
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.stored import to_arrays
from bench.parity.trainings import Parity, envelopes_of, known_deviation, trajectories
from bench.report.predictions import MOST_STORED, Arrays, load_arrays
from bench.report.reference_rmse import reference_rmse
from bench.report.scores import seed_scores
from bench.schema.cell import Cell
from bench.schema.messages import Described, Job, Ready, Train, Trained, log_name
from bench.schema.parity import CellEnvelope
from bench.schema.run import Run, Workload
from movierank.data.ratings import Ratings
from movierank.data.splits import Split
from movierank.weights import Weights, initial_weights

COPIES = 6  # as of the oracle of the built-in workload (`bench.parity.numpy_oracle`)


def check_parity(
    runs: Sequence[Run],
    arrays: Arrays,
    workload: Workload,
    split: Split,
    *,
    threads: int,
    folder: Path,
    say: Callable[[str], None],
    own: Sequence[CellEnvelope] = (),
) -> Parity:
    """Compares every completed training with the oracle and with every other of its seed.

    Args:
        runs: of the report.
        arrays: what they left behind, as in `predictions.npz`.
        workload: of the report; with each backend's own initial weights there is nothing to compare.
        split: that the runs trained on.
        threads: float32 copies of the oracle trained at the same time.
        folder: for files that are of no use afterwards.
        say: is told in a sentence what takes time.
        own: as for `trajectories`.

    Raises:
        BenchError: a reference cannot be computed.
    """
    found = trajectories(runs, arrays, own=own)
    if workload.init != "shared" or not found:
        return Parity()
    variants = sorted({name for trajectory in found if (name := known_deviation(trajectory.cell))})
    seeds = sorted({trajectory.seed for trajectory in found})
    references = {}
    for place, seed in enumerate(seeds, start=1):
        say(f"Training the float64 oracle and its float32 copies, seed {place} of {len(seeds)}")
        early = any(BIAS_TRACE in trajectory.values for trajectory in found if trajectory.seed == seed)
        references[seed] = _reference(workload, split, seed, variants, early, threads, folder)
    test = split.test.take(slice(0, MOST_STORED))
    part = TestPart.of(test.user_id, test.label)
    rmses = {
        seed: float(Training.of(reference.oracle, part, workload.epochs).values["rmse"][0])
        for seed, reference in references.items()
    }
    return Parity(
        results=judge(found, references, part, workload.epochs),
        reference_rmse=reference_rmse(seed_scores(runs), rmses) if len(test) == len(split.test) else [],
        envelopes=envelopes_of(references),
        divergences=divergences(found, references),
        arrays=to_arrays(references),
    )


def _reference(
    workload: Workload, split: Split, seed: int, variants: list[str], early: bool, threads: int, folder: Path
) -> Reference:
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
            variants=variants,
            early=early,
            threads=threads,
        )
    )


def _save(path: Path, arrays: Weights | Ratings) -> str:
    np.savez(path, **vars(arrays))
    return str(path)


def check_own_parity(side: Side, described: Described, folder: Path, say: Callable[[str], None]) -> Parity:
    """Compares every completed training with the oracle of its backend and with every other of its seed.

    Args:
        side: whose runs are judged; its jobs are what the references are trained by.
        described: the workload.
        folder: for files that are of no use afterwards.
        say: is told in a sentence what takes time, and what could not be had.

    Raises:
        KeyboardInterrupt: passed on; no worker is left.
    """
    found = trajectories(side.recorder.runs, side.recorder.arrays)
    needed: dict[tuple[Mathematics, int], bool] = {}
    for trajectory in found:
        key = Mathematics.of(trajectory.cell, described.tables), trajectory.seed
        needed[key] = needed.get(key, False) or BIAS_TRACE in trajectory.values
    last = {"training": described.num_train, "test": described.num_test}
    examples = {f"{part} {described.metric}": count for part, count in last.items()}
    references = {}
    for (where, seed), early in sorted(needed.items()):
        say(f"Training {where} in float64 and {COPIES} float32 copies, seed {seed}")
        trained = _trained(side, where, seed, early, folder, say)
        if trained is not None:
            references[where, seed] = reference_of(where, seed, *trained, examples)
    results, divergences = judge_own(found, references, described)
    envelopes = [reference.stored for reference in references.values()]
    arrays = custom_arrays({(str(where), seed): reference for (where, seed), reference in references.items()})
    return Parity(results=results, envelopes=envelopes, divergences=divergences, arrays=arrays)


def _trained(
    side: Side,
    where: Mathematics,
    seed: int,
    early: bool,
    folder: Path,
    say: Callable[[str], None],
) -> tuple[Values | None, Values | None, list[Values]] | None:
    """Returns the float64 run or in its place a float32 one, and the copies; None where there are no copies."""
    job = side.make_job(Cell(backend=where.backend, device=where.device, loop=where.loop), seed)
    job = replace(
        job,
        early_stages=early,
        compile_cache=None,
        predictions=str((folder / "reference.npz").absolute()),
        custom=None if job.custom is None else replace(job.custom, tests_epochs=False),
    )
    try:
        copies = _trainings(side, job, range(COPIES))
    except WorkerLostError as error:
        say(f"{where}: its parity is not judged, since its copies could not be trained: {error.error}")
        return None
    try:
        (exact,) = _trainings(side, replace(job, precision="float64"), [None])
    except WorkerLostError as error:
        say(f"{where}: no oracle in float64, so that only pairs of cells are judged: {error.error}")
    else:
        return exact, None, copies
    try:
        (plain,) = _trainings(side, job, [None])
    except WorkerLostError as error:
        say(f"{where}: its parity is not judged, since it could not be trained again: {error.error}")
        return None
    return None, plain, copies


def _trainings(side: Side, job: Job, copies: Sequence[int | None]) -> list[Values]:
    """Trains one worker again and again, and returns the values of each training.

    Raises:
        WorkerLostError: the worker cannot go on, or what it left cannot be read.
    """
    what = "oracle" if job.precision == "float64" else "copies"
    found = []
    try:
        with side.start(job, log_name(job.backend, job.device, f"{job.loop}-{what}", job.process)) as worker:
            worker.ask(job, Ready)
            for copy in copies:
                worker.ask(Train(copy=copy), Trained)
                found.append(load_arrays(Path(job.predictions)))
    except BenchError as error:
        raise WorkerLostError("failed", str(error)) from error
    return found
