"""Reports of scripted trainings, and `bench parity` on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.commands.cli import main
from bench.parity.distances import TestPart
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Task, measure
from bench.parity.rounding import permute_in_batches
from bench.parity.rules import NumpyRules
from bench.parity.stages import Values, early_values, first_batches
from bench.parity.stored import to_arrays
from bench.parity.trainings import Reference, envelopes_of, known_deviation, trajectories
from bench.report.file import save_report
from bench.report.predictions import key_of, save_predictions
from bench.schema.report import Report
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.oracle import Oracle, train
from movierank.weights import initial_weights

USERS, MOVIES, BATCH, EPOCHS = 60, 90, 250, 2
SLICES = "tensorflow-indexed-slices"
MakeReport = Callable[..., Report]

DATASET = load_dataset(f"synthetic:{USERS}x{MOVIES}x3600")
SPLIT = split_ratings(DATASET, "0.72:1")
TRAIN, TEST = SPLIT.train, SPLIT.test
RULES = NumpyRules(test=TestPart.of(TEST.user_id, TEST.label), epochs=EPOCHS)


@cache
def reference(seed: int) -> Reference:
    weights = initial_weights(USERS, MOVIES, seed=seed)
    return measure(Task(weights, TRAIN, TEST, BATCH, EPOCHS, 0.1), seed=seed, variants=[SLICES], threads=1)


@dataclass(frozen=True)
class Training:
    """A scripted training: float32, with a rounding of its own, and perhaps a fault.

    Attributes:
        cell: as `backend/device/loop`.
        seed: of the initial weights.
        squares: as in `Oracle`.
        fault: name of a weight and a place in it whose accumulator starts at 0.11.
    """

    cell: str
    seed: int = 0
    squares: Any = "sum_then_square"
    fault: tuple[Any, ...] = ()


@cache
def values_of(training: Training) -> Values:
    order = np.random.default_rng([*training.cell.encode(), training.seed])
    data = permute_in_batches(TRAIN, BATCH, order)

    def build() -> Oracle:
        weights = initial_weights(USERS, MOVIES, seed=training.seed)
        oracle = Oracle(weights, squares=training.squares, dtype=np.float32)
        if training.fault:
            name, *place = training.fault
            getattr(oracle.accumulators, name)[tuple(place)] = 0.11
        return oracle

    oracle, epochs, rmses = build(), {}, []

    def keep(epoch: int, rmse: float) -> None:
        epochs[f"epoch {epoch}"] = oracle.predict(TEST.user_id, TEST.movie_id)
        rmses.append(rmse)

    forward = oracle.predict(TEST.user_id, TEST.movie_id)
    train(oracle, data, BATCH, EPOCHS, keep)
    early = early_values(build, first_batches(data, BATCH))
    stored = {"forward": forward, **early, **epochs}
    return {stage: np.asarray(array, np.float32) for stage, array in stored.items()} | {"rmses": np.array(rmses)}


def evaluated(predictions: np.ndarray) -> float:
    """The test RMSE as Keras works it out: squares added up in float32, batch by batch."""
    squares = np.float32(0)
    for start in range(0, len(TEST), BATCH):
        part = slice(start, start + BATCH)
        squares += np.sum(np.square(predictions[part] - TEST.label[part]), dtype=np.float32)
    return float(np.sqrt(squares / np.float32(len(TEST))))


@pytest.fixture
def write(tmp_path: Path, make_report: MakeReport):
    """Writes a report of trainings, each described by the fields of `Training`, and returns its directory."""

    def to(name: str, *described: Mapping[str, Any], **workload: Any) -> Path:
        trainings = [Training(**each) for each in described]
        template = make_report({"jax": (0.8,)})
        runs, arrays = [], {}
        for process, training in enumerate(trainings):
            values = values_of(training)
            backend, device, loop = training.cell.split("/")
            run = msgspec.structs.replace(
                template.runs[0],
                **{"backend": backend, "device": device, "loop": loop, "process": process, "seed": training.seed},
                train_rmse=values["rmses"].tolist(),
                test_rmse=evaluated(values[f"epoch {EPOCHS}"]),
            )
            runs.append(run)
            arrays |= {key_of(run, stage): array for stage, array in values.items() if stage != "rmses"}
        seeds = sorted({training.seed for training in trainings})
        wanted = {known for run in runs if (known := known_deviation(run.cell))}
        references = {(None, seed): as_stored(reference(seed), wanted) for seed in seeds}
        found = trajectories(msgspec.structs.replace(template, runs=runs), arrays)
        report = msgspec.structs.replace(
            template,
            runs=runs,
            workload=msgspec.structs.replace(template.workload, **SIZES | workload),
            parity=judge(RULES.sides(found, references), RULES),
            envelopes=envelopes_of(references),
        )
        directory = tmp_path / name
        directory.mkdir(parents=True)
        save_report(report, directory)
        save_predictions(arrays | to_arrays(references), directory)
        return directory

    return to


SIZES = {
    "dataset": DATASET.name,
    "sha256": DATASET.sha256,
    "split": SPLIT.name,
    "num_users": USERS,
    "num_movies": MOVIES,
    "num_train": len(TRAIN),
    "num_test": len(TEST),
    "batch_size": BATCH,
    "epochs": EPOCHS,
}


def as_stored(whole: Reference, variants: Iterable[str]) -> Reference:
    """The reference as a report stores it: with the oracles of what its own backends are known for."""
    return Reference(whole.envelope, whole.bias_step, whole.oracle, {name: whole.variants[name] for name in variants})


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Its output with the lines of a paragraph joined."""
        return " ".join(self.out.split())


@pytest.fixture
def parity(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs `bench parity` in this process, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Said:
        code = main(["parity", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return run
