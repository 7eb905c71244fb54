"""Permuted copies of a training, by real workers of the current backend and put back in order."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.measure.options import WORKER_COMMAND
from bench.measure.process import WorkerProcess
from bench.parity.distances import TestPart
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Task, measure
from bench.parity.rounding import Symmetry, flips_at_once
from bench.parity.rules import NumpyRules
from bench.parity.stages import BIAS_TRACE, WEIGHT_NAMES, Values
from bench.parity.trainings import Reference, Trajectory
from bench.report.predictions import load_arrays
from bench.schema.cell import Cell
from bench.schema.messages import Job, Ready, Stop, Stopped, Train, Trained
from bench.schema.parity import ParityResult
from bench.system.environment import worker_environment
from bench.worker.workload import Course
from bench.worker.workloads.ranking import permuted_copy
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.oracle import INITIAL_ACCUMULATOR
from movierank.training import TrainingState
from movierank.weights import Weights, initial_weights

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
DATASET = load_dataset("synthetic:60x50x2600")
SPLIT = split_ratings(DATASET, "0.8:0")  # four batches and a smaller one
BATCH, EPOCHS = 450, 2
AGAIN = -1
CELL = Cell(backend=BACKEND, device="cpu", loop="fit")
VARIANTS = ["tensorflow-indexed-slices"] if BACKEND == "tensorflow" else []


def weights_of(seed: int) -> Weights:
    return initial_weights(DATASET.num_users, DATASET.num_movies, 32, seed=seed)


SHARP = next(s for s in range(20) if not flips_at_once(weights_of(s), SPLIT.train.take(slice(BATCH))))


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, Values]:
    """The training itself and three copies, the second copy trained twice, by one worker."""
    folder = tmp_path_factory.mktemp("copies")
    job = Job(
        backend=BACKEND,
        device="cpu",
        loop="fit",
        process=0,
        seed=SHARP,
        threads=1,
        dataset=DATASET.name,
        data_source="auto",
        data_path=None,
        sha256=DATASET.sha256,
        split=SPLIT.name,
        batch_size=BATCH,
        epochs=EPOCHS,
        embedding_dimension=32,
        learning_rate=0.1,
        init="shared",
        round_s=0.1,
        predictions=str(folder / "p.npz"),
        stored_predictions=20_000,
        early_stages=True,
    )
    found: dict[int | None, Values] = {}
    with WorkerProcess(WORKER_COMMAND, worker_environment(BACKEND, "cpu", 1), folder / "log", 120) as worker:
        worker.ask(job, Ready)
        for name, copy in ((None, None), (0, 0), (1, 1), (2, 2), (AGAIN, 1)):
            done = worker.ask(Train(copy=copy), Trained)
            found[name] = {
                **load_arrays(Path(job.predictions)),
                "training rmse": np.array(done.train_rmse),
            }
        worker.ask(Stop(), Stopped)
    return found


@pytest.fixture(scope="module")
def reference() -> Reference:
    task = Task(weights_of(SHARP), SPLIT.train, SPLIT.test, BATCH, EPOCHS, 0.1)
    return measure(task, seed=SHARP, variants=VARIANTS)


def judged(values: Values, reference: Reference) -> list[ParityResult]:
    rules = NumpyRules(test=TestPart.of(SPLIT.test.user_id, SPLIT.test.label), epochs=EPOCHS)
    return judge(rules.sides([Trajectory(CELL, SHARP, 0, values)], {(None, SHARP): reference}), rules)


def alarms(values: Values, reference: Reference) -> list[str]:
    return [r.stage for r in judged(values, reference) if r.verdict == "outside" and r.known is None]


def test_a_copy_is_the_same_training_in_another_order_of_additions(trainings, reference):
    plain = trainings[None]
    for copy in (0, 1, 2):
        assert not alarms(trainings[copy], reference)
        assert trainings[copy].keys() == plain.keys()
        for stage in ("forward", "gradient/kernel1", "weights 1/bias2", "epoch 2"):
            assert (trainings[copy][stage] != plain[stage]).any(), stage
    assert (trainings[0]["forward"] != trainings[1]["forward"]).any()


def test_a_copy_is_equal_in_every_bit_when_trained_again(trainings):
    for stage, values in trainings[1].items():
        np.testing.assert_array_equal(trainings[AGAIN][stage], values, err_msg=stage)


def test_a_copy_that_was_put_back_wrongly_is_outside(trainings, reference):
    swapped = Symmetry(np.arange(32), np.r_[1, 0, 2:256], np.arange(64))
    changed = swapped.apply_to_values(trainings[0])
    first, *_ = alarms(changed, reference)
    assert first.startswith("gradient/")
    assert not alarms(swapped.inverse().apply_to_values(changed), reference)


def state_of(weights: Weights) -> TrainingState:
    accumulators = [np.full_like(array, INITIAL_ACCUMULATOR) for array in weights.as_list()]
    return TrainingState(weights.as_list(), accumulators)


def test_batches_keep_their_place_their_ratings_and_their_smaller_last_one():
    course = permuted_copy(state_of(weights_of(0)), SPLIT.train, BATCH, seed=0, copy=4)
    assert len(course.train) == len(SPLIT.train) == 2080

    def rows(start: int, ratings) -> list[tuple[int, int, float]]:
        batch = ratings.take(slice(start, start + BATCH))
        return list(zip(batch.user_id.tolist(), batch.movie_id.tolist(), batch.label.tolist(), strict=True))

    for start in range(0, 2080, BATCH):
        ours, theirs = rows(start, course.train), rows(start, SPLIT.train)
        assert ours != theirs
        assert sorted(ours) == sorted(theirs)


def test_every_copy_opens_or_closes_a_relu_after_the_first_step_alone():
    weights = weights_of(SHARP)
    for copy in range(3):
        course = permuted_copy(state_of(weights), SPLIT.train, BATCH, SHARP, copy)
        assert course.back is not None
        put_back = course.back.apply(Weights(*course.first_step.weights))
        for array, initial in zip(put_back.as_list(), weights.as_list(), strict=True):
            np.testing.assert_array_equal(array, initial)
        later = course.back.apply(Weights(*course.later.weights))
        moved = {name: np.count_nonzero(getattr(later, name)) for name in ("bias1", "bias2", "bias3")}
        assert moved == {"bias1": 1, "bias2": 1, "bias3": 0}
        assert 0 < max(np.abs(later.bias1).max(), np.abs(later.bias2).max()) < 1e-4


def test_the_stages_of_the_first_step_are_those_without_the_flip():
    first, later = state_of(weights_of(0)), state_of(weights_of(1))
    stages = ["loss", *(f"{kind}/{name}" for kind in ("weights 1", "weights 5") for name in WEIGHT_NAMES), BIAS_TRACE]

    def record(state: TrainingState, _) -> Values:
        return dict.fromkeys(stages, np.array([float(state is later)]))

    values = Course(first, later, SPLIT.train, steps=5).record(record)
    assert [stage for stage, value in values.items() if value[0]] == [f"weights 5/{name}" for name in WEIGHT_NAMES]
