"""The `native` loop: the ranking model's training epoch written by hand in each framework, without Keras.

The mathematics is that of `movierank.oracle`: forward, mean squared error, backward, Adagrad. Weights and accumulators
come from a compiled `RankingModel` and go back into it after each epoch, so that everything else works as with `fit`;
between the two nothing of Keras runs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np

from movierank.loops import Updates
from movierank.loops.driver import Schedule, run_epochs
from movierank.loops.examples import Examples
from movierank.model import RankingModel


@dataclass(frozen=True)
class Adagrad:
    """The optimizer's constants."""

    learning_rate: float
    epsilon: float

    @classmethod
    def of(cls, model: RankingModel) -> Adagrad:
        """Reads them from a compiled model.

        Raises:
            ValueError: the model, its loss or its optimizer is not what is written by hand here.
        """
        optimizer = model.optimizer
        if not isinstance(model, RankingModel) or type(optimizer) is not keras.optimizers.Adagrad:
            raise ValueError("the native loop is written for RankingModel with Adagrad; use the fused loop")
        extras = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "loss_scale_factor")
        asked = [name for name in (*extras, "gradient_accumulation_steps") if getattr(optimizer, name, None)]
        if asked or not isinstance(model.loss, keras.losses.MeanSquaredError):
            raise ValueError(f"the native loop knows no {', '.join(asked) or model.loss}; use the fused loop")
        if model.dtype_policy.compute_dtype != "float32" or model.variable_dtype != "float32":
            raise ValueError(
                f"the native loop is written in float32, not {model.dtype_policy.name}; use the fused loop"
            )
        return cls(float(keras.ops.convert_to_numpy(optimizer.learning_rate.value)), float(optimizer.epsilon))


def accumulators(model: RankingModel) -> list[keras.Variable]:
    """Returns Adagrad's accumulators in the order of `model.weights`, all of which are trained.

    Raises:
        ValueError: the optimizer has no accumulator for each of them.
    """
    found = [variable for variable in model.optimizer.variables if variable.path.endswith("accumulator")]
    shapes = [tuple(variable.shape) for variable in found]
    if shapes != [tuple(variable.shape) for variable in model.weights]:
        raise ValueError(f"expected an accumulator for each weight; the optimizer has {shapes}")
    return found


def fit(
    model: RankingModel,
    x: dict[str, Any],
    y: Any,
    *,
    batch_size: int,
    epochs: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    shuffle: bool = False,
    initial_epoch: int = 0,
    verbose: int = 0,
    embedding_updates: Updates = "auto",
) -> keras.callbacks.History:
    """Trains a built and compiled `RankingModel`; arguments and history as for `movierank.loops.fused.fit`.

    Raises:
        ValueError: the model is not what is written by hand here, or arrays differ in length.
    """
    ids = (np.asarray(x["user_id"], np.int32), np.asarray(x["movie_id"], np.int32))
    examples = Examples.of((*ids, np.asarray(y, np.float32)), batch_size)
    training = module_for(keras.backend.backend()).start(model, Adagrad.of(model), embedding_updates)
    return run_epochs(model, training, examples, Schedule(epochs, initial_epoch, shuffle, verbose), callbacks)


def module_for(backend: str) -> ModuleType:
    """Imports and returns the loop of one backend.

    It has `start(model, adagrad, embedding_updates)`, which returns a `movierank.loops.driver.EpochTraining` whose
    examples are (user_id int32 [N], movie_id int32 [N], label float32 [N]); what it compiles is kept for the next call.
    `loss_and_gradients(model, x, y)` and `compile_mode()` are as in `movierank.loops.fused.module_for`.
    """
    return importlib.import_module(f"movierank.loops.native_{backend}")


def epoch_logs(sum_of_squares: float, count: int) -> dict[str, float]:
    """Returns an epoch's loss and RMSE as `fit` reports them.

    Args:
        sum_of_squares: of all examples' errors, each predicted before the step that trains on it.
        count: examples.
    """
    loss = sum_of_squares / count
    return {"loss": loss, "rmse": math.sqrt(loss)}
