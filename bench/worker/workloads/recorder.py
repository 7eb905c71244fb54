"""Record the early stages of any Keras model in a worker, named by its own weights.

As in `bench.parity.stages`: `loss`, `gradient/WEIGHT`, `weights 1/WEIGHT` and `weights 10/WEIGHT`, the last two as what
each weight has moved by. What the optimizer keeps beside the weights is `optimizer 1/VARIABLE`, as what it has moved by
in the first step.
"""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from bench.parity.stages import BIAS_TRACE, STEPS, Values, moved, recorded_steps
from bench.worker.workload import Examples
from movierank import training

MOST_TRACED = 4096  # numbers a step


def weight_names(variables: Iterable[Any]) -> list[str]:
    """Returns a name for each variable that is the same in every process and on every backend.

    Keras numbers layers by what the process has built before: `dense_3/kernel` is `dense/kernel` here, and the next
    of that name `dense/kernel-2`.
    """
    plain = [re.sub(r"_\d+(?=[/_]|$)", "", variable.path) for variable in variables]
    seen: Counter[str] = Counter()
    names = []
    for name in plain:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def record_early_stages(
    model: keras.Model,
    initial: training.TrainingState,
    train: Examples,
    batch_size: int,
    adapter: ModuleType,
    loop: str,
) -> Values:
    """Trains the first steps, one call of `fit` each, and returns the values of the stages `loss` to `weights 10`.

    Args:
        model: built and compiled; ends in its initial state.
        initial: the state to start from.
        train: the train part.
        batch_size: examples a step.
        adapter: what tells loss and gradients as the loop finds them, as in `bench.worker.stage_recorder`. A model
            whose training is all its own may not let them be asked for; it is then judged by its weights alone.
        loop: one of `movierank.loops.LOOP_NAMES`.
    """
    batches = [train.take(slice(start, start + batch_size)) for start in range(0, len(train), batch_size)[:STEPS]]
    names, trainable = weight_names(model.weights), weight_names(model.trainable_weights)
    values: Values = {}
    initial.restore(model)
    try:
        loss, gradients = adapter.loss_and_gradients(model, batches[0].features, batches[0].label)
        values["loss"] = np.array([loss])
        values |= {f"gradient/{name}": gradient for name, gradient in zip(trainable, gradients, strict=True)}
    except Exception:
        traceback.print_exc()
    initial.restore(model)
    trace = []
    for step, batch in enumerate(batches, start=1):
        logs = training.train(model, batch.features, batch.label, batch_size=len(batch), epochs=1, loop=loop)
        if step == 1:
            values.setdefault("loss", np.array([logs[0]["loss"]]))
        state = training.TrainingState.of(model)
        weights = state.weights
        trace.append(traced(weights))
        if step == 1:
            values |= _kept(model, initial, state)
        if step in recorded_steps(len(batches)):
            values |= {
                f"weights {step}/{name}": array
                for name, array in zip(names, moved(weights, initial.weights), strict=True)
            }
    values[BIAS_TRACE] = np.array(trace)
    initial.restore(model)
    return values


def _kept(model: keras.Model, before: training.TrainingState, after: training.TrainingState) -> Values:
    """Returns how the optimizer's variables have moved, but for single numbers such as its count of steps."""
    names = weight_names(model.optimizer.variables)
    apart = moved(after.optimizer, before.optimizer)
    return {f"optimizer 1/{name}": array for name, array in zip(names, apart, strict=True) if array.ndim > 0}


def traced(weights: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Returns the biases and other vectors among the weights in one row, as far as they are few."""
    vectors = [array for array in weights if array.ndim == 1]
    return np.concatenate([np.zeros(0, np.float32), *vectors])[:MOST_TRACED]


def trace_names(variables: Iterable[Any]) -> list[str]:
    """Returns the name of each number in such a row, such as `dense/bias[17]`."""
    variables = list(variables)
    names = [
        f"{name}[{place}]"
        for name, variable in zip(weight_names(variables), variables, strict=True)
        if len(variable.shape) == 1
        for place in range(variable.shape[0])
    ]
    return names[:MOST_TRACED]
