"""A worker's answer to `Describe`: what a workload of the user's own is, and initial weights for all backends."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from bench.errors import WorkloadError
from bench.schema.messages import Describe, Described, weights_name
from bench.worker.workload import sha256_of
from bench.worker.workloads import model as own_model
from bench.worker.workloads.custom import joined
from bench.worker.workloads.load import build_model, load_parts, load_workload, telling
from bench.worker.workloads.model import least_step
from bench.worker.workloads.recorder import trace_names
from movierank import training


def describe(message: Describe) -> Described:
    """Loads the workload, tries its model on a batch of its test part, and leaves initial weights of every seed.

    Raises:
        WorkloadError: something is wrong with it, in words for its author.
    """
    workload = load_workload(message.target)
    parts = load_parts(workload)
    model = build_model(workload, 0, parts)
    batch = parts.test.take(slice(0, workload.batch_size))
    with telling(f"the model of {workload.name} cannot be evaluated on its test part"):
        logs = training.evaluate_logs(model, batch.features, batch.label, batch_size=workload.batch_size)
        outputs = joined(model.predict(batch.features, batch_size=workload.batch_size, verbose=0))
    if workload.metric not in logs:
        raise WorkloadError(
            f"{workload.name} is to be told by its metric {workload.metric!r}, and its model reports {', '.join(logs)}"
        )
    if np.ndim(values := logs[workload.metric]):
        raise WorkloadError(
            f"{workload.name} is to be told by its metric {workload.metric!r}, which has {np.size(values)} values; "
            "give one that has a single value, such as their average"
        )
    weights = {
        seed: _weights(model if seed == 0 else build_model(workload, seed, parts)) for seed in range(message.seeds)
    }
    for seed, arrays in weights.items():
        np.savez(Path(message.folder) / weights_name(seed), *arrays)
    least = least_step(model, parts.train.take(slice(0, workload.batch_size)), message.backend)
    return Described(
        name=workload.name,
        metric=workload.metric,
        better=workload.better,
        target=workload.target,
        batch_size=workload.batch_size,
        epochs=workload.epochs,
        sha256=sha256_of([parts.train.features, parts.train.label, parts.test.features, parts.test.label]),
        model_sha256=own_model.model_sha256(model),
        weights_sha256=sha256_of(list(weights.values())),
        num_train=len(parts.train),
        num_test=len(parts.test),
        outputs=outputs[0].size,
        parameters=sum(array.size for array in weights[0]),
        learning_rate=own_model.learning_rate(model),
        optimizer=type(model.optimizer).__name__,
        tables=own_model.tables(model),
        random=own_model.random_layers(model),
        traced=trace_names(model.weights),
        step_operations=None if least is None else least[0],
        step_bytes=None if least is None else least[1],
    )


def _weights(model: keras.Model) -> list[npt.NDArray[np.generic]]:
    return [training.as_numpy(variable) for variable in model.weights]
