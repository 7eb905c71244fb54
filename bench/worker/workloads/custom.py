"""What a worker does with a workload of the user's own: as `bench.worker.session`, for any Keras model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import numpy.typing as npt

from bench.errors import WorkloadError
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import Values
from bench.report.predictions import load_arrays
from bench.schema.messages import CustomJob, Job, Trained
from bench.schema.workload import Workload
from bench.worker.limits import measure_limits
from bench.worker.session import Session
from bench.worker.workload import Course, Parts, permute_in_batches, sha256_of
from bench.worker.workloads.load import build_model, load_parts, load_workload
from bench.worker.workloads.model import kernels, updated_bytes
from bench.worker.workloads.recorder import record_early_stages
from movierank import training
from movierank.data.ratings import Ratings
from movierank.data.splits import Split

# Relative change of each weight in a permuted copy after its first step, in float32 spacings: enough that in a batch
# of a thousand examples some relu or comparison falls to the other side, as rounding does to it sooner or later.
NUDGE = 64.0
STREAM = 7  # set apart from other streams of a seed


class OwnSession(Session):
    """A model of the user's own on its backend, ready to be trained and timed.

    Args:
        job: what the supervisor asked for.
        own: its part about this workload.
        workload: as imported here.
        parts: its arrays.

    Raises:
        UnavailableError: the loop cannot train this model.
        WorkloadError: the model cannot be built, or is another one than was described.
    """

    def __init__(self, job: Job, own: CustomJob, workload: Workload, parts: Parts) -> None:
        self.metric = own.metric
        self.tests_epochs = own.tests_epochs
        self.has_floor = own.has_floor
        # `Parts` has all that a session asks of a `Split`.
        super().__init__(job, cast(Split, parts), lambda: _build(job, own, workload, parts))

    def train(self, copy: int | None = None) -> Trained:
        """Trains as `Session.train` does, and tests after each epoch where a job asks for that."""
        self._tested: list[float | None] = []
        return super().train(copy)

    def _look_after_epoch(self) -> None:
        if self.tests_epochs:
            score = self._evaluate()
            self._tested.append(score if math.isfinite(score) else None)

    def _course(self, initial: training.TrainingState, copy: int | None) -> Course:
        if copy is None:
            return super()._course(initial, None)
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.job.seed, STREAM], spawn_key=(copy,))))
        train = permute_in_batches(cast(Any, self.split.train), self.job.batch_size, rng)
        nudged = [_nudged(array, rng) for array in initial.weights]
        return Course(
            first_step=initial,
            later=training.TrainingState(nudged, initial.optimizer),
            train=cast(Ratings, train),
            steps=min(10, -(-len(train) // self.job.batch_size)),
        )

    def told_limits(self) -> dict[str, float | None]:
        """Measures what this device can do at best, at the sizes of this model."""
        limits = measure_limits(
            self.adapter,
            batch_size=self.job.batch_size,
            layers=kernels(self.model),
            dtype=keras.config.dtype_policy().compute_dtype,
            touched_bytes=updated_bytes(self.model),
            on_gpu=self.job.device != "cpu",
        )
        if self.model.steps_per_execution > 1:  # there is no launch for each step, and how many share one nobody tells
            limits = replace(limits, launch_us=None)
        return asdict(limits)

    def _scores(self, train: Sequence[float], test: float) -> Values:
        return {f"training {self.metric}": np.array(train), f"test {self.metric}": np.array([test])}

    def _told(self, train: list[float], test: float) -> dict[str, Any]:
        return {"train_metric": train, "test_metric": test, "test_metric_by_epoch": self._tested}

    def _predict(self, features: Any) -> npt.NDArray[np.floating[Any]]:
        outputs = self.model.predict(features, batch_size=self.job.batch_size, verbose=0)
        return joined(outputs)

    def _record_early_stages(self, initial: training.TrainingState, train: Ratings) -> Values:
        adapter = self._loop_module or self.adapter
        values = record_early_stages(self.model, initial, cast(Any, train), self.job.batch_size, adapter, self.loop)
        if self.job.precision == "float64":
            return values
        return {stage: np.asarray(array, np.float32) for stage, array in values.items()}


def start(job: Job, own: CustomJob) -> tuple[Workload, Parts]:
    """Imports the workload and takes its arrays.

    Raises:
        WorkloadError: that fails, or the arrays are others than were described.
    """
    workload = load_workload(own.target)
    parts = load_parts(workload)
    if sha256_of([parts.train.features, parts.train.label, parts.test.features, parts.test.label]) != job.sha256:
        raise WorkloadError(
            f"arrays() of {workload.name} returned other data in this process than before; "
            "draw what is random from a fixed seed"
        )
    return workload, parts


def joined(outputs: Any) -> npt.NDArray[np.floating[Any]]:
    """Returns all outputs of a model side by side: [N], or [N, values] where there are several."""
    arrays = [np.asarray(array) for array in keras.tree.flatten(outputs)]
    rows = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def _build(job: Job, own: CustomJob, workload: Workload, parts: Parts) -> keras.Model:
    model = build_model(workload, job.seed, parts)
    if job.init == "shared":
        weights = list(load_arrays(Path(own.weights)).values())
        if [array.shape for array in weights] != [tuple(variable.shape) for variable in model.weights]:
            raise WorkloadError(f"build() of {workload.name} returned another model in this process than before")
        model.set_weights(weights)
    if job.precision == "float64" and (kept := [v.path for v in model.weights if v.dtype == "float32"]):
        raise WorkloadError(f"{kept[0]} stays in float32 where Keras's default is float64")
    return model


def _nudged(array: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
    if array.dtype.kind != "f":
        return array
    nudged: npt.NDArray[Any] = (array * (1 + NUDGE * FLOAT32_EPS * rng.uniform(-1, 1, array.shape))).astype(array.dtype)
    return nudged
