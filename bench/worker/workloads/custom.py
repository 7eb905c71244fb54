"""A custom workload: any Keras model, its data, and copies of its training that differ in rounding alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.errors import WorkloadError
from bench.parity.rounding import FLOAT32_EPS, order_in_batches
from bench.parity.stages import STEPS
from bench.report.predictions import load_arrays
from bench.schema.messages import CustomJob, Job
from bench.schema.workload import Workload
from bench.worker.stage_recorder import record_early_stages, weight_names
from bench.worker.workload import Course, Examples, Parts, StepSize, Trainable
from bench.worker.workloads.load import build_model, load_parts, load_workload
from bench.worker.workloads.model import kernels, updated_bytes
from movierank.training import TrainingState

# Relative change of each weight in a copy after its first step, in float32 spacings: enough that in a batch of a
# thousand examples some relu or comparison falls to the other side, as rounding makes it do sooner or later.
NUDGE = 64.0
STREAM = 7  # set apart from other streams of a seed


def load(job: Job, custom: CustomJob) -> Trainable:
    """Import the workload and take its arrays.

    Args:
        job: job from the supervisor.
        custom: its part about this workload.

    Raises:
        WorkloadError: that fails, or the arrays are not those that were described.
    """
    workload = load_workload(custom.target)
    parts = load_parts(workload)
    if parts.sha256() != job.sha256:
        raise WorkloadError(
            f"arrays() of {workload.name} returned other data in this process than before; "
            "draw random numbers from a fixed seed"
        )
    return Trainable(
        split=parts,
        build=partial(_build, job, custom, workload, parts),
        metric=custom.metric,
        copy=partial(nudged_copy, job),
        record=partial(record_early_stages, names=weight_names, probe=False),
        step_size=(lambda model, train: StepSize(kernels(model), updated_bytes(model))) if custom.has_floor else None,
        fields=("train_metric", "test_metric"),
        stores_metric=True,
        tests_epochs=custom.tests_epochs,
    )


def nudged_copy(job: Job, initial: TrainingState, train: Examples, copy: int) -> Course:
    """Return copy number `copy` of a training: each batch in another order, and weights changed by some spacings."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([job.seed, STREAM], spawn_key=(copy,))))
    permuted = train.take(order_in_batches(len(train), job.batch_size, rng))
    nudged = [_nudged(array, rng) for array in initial.weights]
    steps = len(range(0, len(train), job.batch_size)[:STEPS])
    return Course(initial, TrainingState(nudged, initial.optimizer), permuted, steps=steps)


def _build(job: Job, custom: CustomJob, workload: Workload, parts: Parts) -> keras.Model:
    model = build_model(workload, job.seed, parts)
    if job.init == "shared":
        weights = list(load_arrays(Path(custom.weights)).values())
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
