"""A worker's reply to `Describe`: the properties of a custom workload, and initial weights for all backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.errors import WorkloadError
from bench.schema.messages import Describe, Described, weights_name
from bench.worker.stage_recorder import trace_names
from bench.worker.workload import predict, sha256_of
from bench.worker.workloads.load import build_model, load_parts, load_workload, reporting
from bench.worker.workloads.model import learning_rate, least_step, model_sha256, random_layers, tables
from movierank import training


def describe(message: Describe) -> Described:
    """Load the workload, try its model on a batch of its test part, and write the initial weights of every seed.

    Raises:
        WorkloadError: the workload is wrong; the message is for its author.
    """
    workload = load_workload(message.target)
    parts = load_parts(workload)
    model = build_model(workload, 0, parts)
    batch = parts.test.take(slice(0, workload.batch_size))
    with reporting(f"the model of {workload.name} cannot be evaluated on its test part"):
        logs = training.evaluate_logs(model, batch.features, batch.label, batch_size=workload.batch_size)
        outputs = predict(model, batch.features, workload.batch_size)
    if workload.metric not in logs:
        raise WorkloadError(
            f"{workload.name} names the metric {workload.metric!r}, and its model reports {', '.join(logs)}"
        )
    if np.ndim(values := logs[workload.metric]):
        raise WorkloadError(
            f"{workload.name} names the metric {workload.metric!r}, which has {np.size(values)} values; "
            "give one that has a single value, such as their average"
        )
    weights = []
    for seed in range(message.seeds):
        of_seed = model if seed == 0 else build_model(workload, seed, parts)
        weights.append([training.as_numpy(variable) for variable in of_seed.weights])
        np.savez(Path(message.folder) / weights_name(seed), *weights[seed])
    least = least_step(model, parts.train.take(slice(0, workload.batch_size)), message.backend)
    return Described(
        name=workload.name,
        metric=workload.metric,
        better=workload.better,
        target=workload.target,
        batch_size=workload.batch_size,
        epochs=workload.epochs,
        sha256=parts.sha256(),
        model_sha256=model_sha256(model),
        weights_sha256=sha256_of(weights),
        num_train=len(parts.train),
        num_test=len(parts.test),
        outputs=outputs[0].size,
        parameters=sum(array.size for array in weights[0]),
        learning_rate=learning_rate(model),
        optimizer=type(model.optimizer).__name__,
        tables=tables(model),
        random=random_layers(model),
        traced=trace_names(model.weights),
        step_operations=None if least is None else least[0],
        step_bytes=None if least is None else least[1],
    )
