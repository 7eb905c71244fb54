"""Record a Keras model's early stages (`bench.parity.stages`) in a worker."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from bench.parity.stages import (
    BIAS_TRACE,
    PROBE_ACCUMULATOR,
    WEIGHT_NAMES,
    Values,
    biases,
    by_weight,
    first_batches,
    moved,
    recorded_steps,
)
from movierank import training
from movierank.data.ratings import Float32Array, Ratings
from movierank.loops.native import accumulators
from movierank.model import RankingModel
from movierank.oracle import INITIAL_ACCUMULATOR
from movierank.training import as_numpy


def record_early_stages(
    model: RankingModel,
    initial: training.TrainingState,
    train: Ratings,
    batch_size: int,
    adapter: ModuleType,
    loop: str = "fit",
) -> Values:
    """Trains the first steps, one call of `fit` each, and returns float32 values of the stages `loss` to `weights 10`.

    Args:
        model: built and compiled; ends in its initial state.
        initial: the state to start from.
        train: the train part.
        batch_size: examples a step.
        adapter: what tells loss and gradients as the loop finds them: the backend's (`bench.worker.frameworks`) or the
            loop's own module.
        loop: one of `movierank.loops.LOOP_NAMES`.
    """
    batches = first_batches(train, batch_size)
    initial.restore(model)
    loss, gradients = adapter.loss_and_gradients(model, batches[0].features, batches[0].label)
    values: Values = {"loss": np.array([loss]), **by_weight("gradient", gradients)}

    probe = [np.full_like(variable, PROBE_ACCUMULATOR) for variable in _accumulators(model)]
    for variable, value in zip(accumulators(model), probe, strict=True):
        variable.assign(value)
    _step(model, batches[0], loop)
    values |= by_weight("probe", moved(_weights(model), initial.weights))

    initial.restore(model)
    trace = []
    for step, batch in enumerate(batches, start=1):
        _step(model, batch, loop)
        weights = _weights(model)
        trace.append(biases(dict(zip(WEIGHT_NAMES, weights, strict=True))))
        if step in recorded_steps(len(batches)):
            start = np.float32(INITIAL_ACCUMULATOR)
            values |= by_weight(f"accumulators {step}", [array - start for array in _accumulators(model)])
            values |= by_weight(f"weights {step}", moved(weights, initial.weights))
    values[BIAS_TRACE] = np.array(trace)
    initial.restore(model)
    return {stage: np.asarray(array, np.float32) for stage, array in values.items()}


def _step(model: RankingModel, batch: Ratings, loop: str) -> None:
    training.fit(model, batch, batch_size=len(batch), epochs=1, loop=loop)


def _weights(model: RankingModel) -> list[Float32Array]:
    return [np.asarray(array, np.float32) for array in training.TrainingState.of(model).weights]


def _accumulators(model: RankingModel) -> list[Float32Array]:
    return [as_numpy(variable).astype(np.float32) for variable in accumulators(model)]
