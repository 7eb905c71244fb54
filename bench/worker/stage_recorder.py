"""Record the early stages of any Keras model in a worker (`bench.parity.stages`)."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.parity.stages import BIAS_TRACE, PROBE_ACCUMULATOR, STEPS, Values, moved, recorded_steps
from bench.worker.workload import Examples
from movierank import training
from movierank.data.ratings import Ratings
from movierank.loops.native import accumulators
from movierank.oracle import INITIAL_ACCUMULATOR

MOST_TRACED = 4096  # numbers a step


def record_early_stages(
    model: keras.Model,
    initial: training.TrainingState,
    train: Ratings | Examples,
    batch_size: int,
    adapter: ModuleType,
    loop: str,
    *,
    names: Callable[[Sequence[Any]], Sequence[str]],
    probe: bool,
) -> Values:
    """Train the first steps, one call of `fit` each, and return the values of the stages `loss` to `weights 10`.

    Args:
        model: built and compiled model; it ends in its initial state.
        initial: state to start from.
        train: train part.
        batch_size: examples a step.
        adapter: module whose `loss_and_gradients` computes as the loop does: the backend's adapter
            (`bench.worker.frameworks`) or the loop's own module.
        loop: one of `movierank.loops.LOOP_NAMES`.
        names: function that returns the stages' names of some variables, in order.
        probe: whether the optimizer is Adagrad as the oracle has it. If so, the probe step is trained, and accumulators
            are recorded by their weights' names. If not, `optimizer 1/VARIABLE` is how the first step moves each of the
            optimizer's arrays, and gradients are left out where the model's own training does not let them be computed.
    """
    batches = [train.take(slice(start, start + batch_size)) for start in range(0, len(train), batch_size)[:STEPS]]

    def step(batch: Ratings | Examples) -> training.Logs:
        (logs,) = training.train(model, batch.features, batch.label, batch_size=len(batch), epochs=1, loop=loop)
        return logs

    def named(stage: str, variables: Sequence[Any], arrays: Iterable[npt.NDArray[Any]]) -> Values:
        return {f"{stage}/{name}": array for name, array in zip(names(variables), arrays, strict=True)}

    values: Values = {}
    initial.restore(model)
    try:
        loss, gradients = adapter.loss_and_gradients(model, batches[0].features, batches[0].label)
        values = {"loss": np.array([loss]), **named("gradient", model.trainable_weights, gradients)}
    except Exception:
        if probe:
            raise
        traceback.print_exc()
    if probe:
        for variable in accumulators(model):
            variable.assign(np.full(variable.shape, PROBE_ACCUMULATOR, np.float32))
        step(batches[0])
        values |= named("probe", model.weights, moved(training.TrainingState.of(model).weights, initial.weights))
    initial.restore(model)
    trace = []
    for number, batch in enumerate(batches, start=1):
        logs = step(batch)
        values.setdefault("loss", np.array([logs["loss"]]))
        state = training.TrainingState.of(model)
        trace.append(_vectors(state.weights))
        if number in recorded_steps(len(batches)):
            if probe:
                start = np.float32(INITIAL_ACCUMULATOR)
                grown = [training.as_numpy(each).astype(np.float32) - start for each in accumulators(model)]
                values |= named(f"accumulators {number}", accumulators(model), grown)
            elif number == 1:
                apart = named("optimizer 1", model.optimizer.variables, moved(state.optimizer, initial.optimizer))
                values |= {stage: array for stage, array in apart.items() if array.ndim > 0}  # not its count of steps
            values |= named(f"weights {number}", model.weights, moved(state.weights, initial.weights))
    values[BIAS_TRACE] = np.array(trace)
    initial.restore(model)
    return values


def weight_names(variables: Iterable[Any]) -> list[str]:
    """Return a name for each variable that is the same in every process and on every backend.

    Keras numbers layers by what the process has built before. Here `dense_3/kernel` is `dense/kernel`, and the next
    variable of that name is `dense/kernel-2`.
    """
    plain = [re.sub(r"_\d+(?=[/_]|$)", "", variable.path) for variable in variables]
    seen: Counter[str] = Counter()
    names = []
    for name in plain:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def trace_names(variables: Sequence[Any]) -> list[str]:
    """Return the name of each number in a row of the bias trace, such as `dense/bias[17]`."""
    names = [
        f"{name}[{place}]"
        for name, variable in zip(weight_names(variables), variables, strict=True)
        if len(variable.shape) == 1
        for place in range(variable.shape[0])
    ]
    return names[:MOST_TRACED]


def _vectors(weights: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the first numbers of all biases and other vectors among the weights in one row."""
    vectors = [array for array in weights if array.ndim == 1]
    return np.concatenate([np.zeros(0, np.float32), *vectors])[:MOST_TRACED]
