"""Judge a report's parity: build each seed's reference in a process of its own, and compare all runs with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.convergence import reference_rmse
from bench.convergence_records import ReferenceRmse
from bench.distances import TestPart, Training
from bench.divergence import divergences
from bench.envelope import EnvelopeRequest, measure_in_process
from bench.parity import Trajectory, judge, known_deviation
from bench.parity_records import CellEnvelope, Divergence, ParityResult, SeedEnvelope
from bench.predictions import MOST_STORED, Arrays, stages_of
from bench.reference import Reference
from bench.report import Report, Run, Workload
from bench.stages import BIAS_TRACE
from bench.stored_reference import to_arrays
from bench.summary import seed_rmse
from movierank.ratings import Ratings
from movierank.splits import Split
from movierank.weights import Weights, initial_weights


@dataclass(frozen=True)
class Parity:
    """All that is stored of a report's parity.

    Attributes:
        results: one record a pair and stage.
        envelopes: one a seed.
        divergences: one a pair whose first steps were recorded.
        reference_rmse: one a cell, where the whole test part is predicted at every stage.
        arrays: for `predictions.npz`, by key.
    """

    results: list[ParityResult] = field(default_factory=list)
    envelopes: list[SeedEnvelope] = field(default_factory=list)
    divergences: list[Divergence] = field(default_factory=list)
    reference_rmse: list[ReferenceRmse] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)


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
        reference_rmse=reference_rmse(seed_rmse(runs), rmses) if len(test) == len(split.test) else [],
        envelopes=envelopes_of(references),
        divergences=divergences(found, references),
        arrays=to_arrays(references),
    )


def trajectories(
    runs: Sequence[Run],
    arrays: Arrays,
    name: Callable[[Run], str] = lambda run: "",
    own: Sequence[CellEnvelope] = (),
) -> list[Trajectory]:
    """Returns what the completed trainings among `runs` left behind.

    Args:
        runs: of a report.
        arrays: of its `predictions.npz`.
        name: returns what to call a run's cell; its own name where it is empty.
        own: what rounding does to the cells' own trainings, where they are to be judged by it.
    """
    envelopes = {(envelope.cell, envelope.seed): envelope.stages for envelope in own}
    return [
        Trajectory(
            cell=run.cell,
            seed=run.seed,
            process=run.process,
            values=values if run.train_metric else {**values, "training rmse": np.array(run.train_rmse)},
            name=name(run),
            envelope=envelopes.get((str(run.cell), run.seed), ()),
        )
        for run in runs
        if run.trained and (values := stages_of(run, arrays))
    ]


def judging_envelopes(report: Report) -> list[CellEnvelope]:
    """Returns the cells' own envelopes where the report's parity is judged by them."""
    return report.own_envelopes if report.settings.envelope == "backend" else []


def envelopes_of(references: Mapping[int, Reference]) -> list[SeedEnvelope]:
    """Returns the part of references that a report keeps."""
    return [
        SeedEnvelope(seed=seed, bias_step=reference.bias_step, stages=reference.envelope)
        for seed, reference in references.items()
    ]


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
