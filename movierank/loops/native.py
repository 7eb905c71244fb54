"""The `native` loop: the ranking model's training epoch written by hand in each framework, without Keras.

The mathematics is that of `movierank.oracle`: forward, mean squared error, backward, Adagrad. Weights and accumulators
come from a compiled `RankingModel` and return to it after each epoch, so that everything else works as with `fit`.
In between, nothing of Keras runs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from movierank.loops import Updates
from movierank.loops.driver import EpochTraining, Schedule, run_epochs
from movierank.loops.exact_rows import rows_pay
from movierank.loops.examples import Examples
from movierank.model import RankingModel


@dataclass(frozen=True)
class Adagrad:
    """The constants of the optimizer."""

    learning_rate: float
    epsilon: float

    @classmethod
    def of(cls, model: RankingModel) -> Adagrad:
        """Return the constants of a compiled model.

        Raises:
            ValueError: the loop is not written for this model, its loss or its optimizer.
        """
        optimizer = model.optimizer
        # On PyTorch Keras makes an instance of its own subclass.
        is_adagrad = isinstance(optimizer, keras.optimizers.Adagrad) and type(optimizer).__module__.startswith("keras.")
        if not isinstance(model, RankingModel) or not is_adagrad:
            raise ValueError("the native loop is written for RankingModel with Adagrad; use the fused loop")
        extras = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "loss_scale_factor")
        asked = [name for name in (*extras, "gradient_accumulation_steps") if getattr(optimizer, name, None)]
        if isinstance(optimizer.get_config()["learning_rate"], dict):
            asked.append("learning-rate schedule")
        loss = model.loss
        if type(loss) is not keras.losses.MeanSquaredError or loss.reduction != "sum_over_batch_size":
            asked.append(f"loss but the mean squared error, not {loss}")
        if asked:
            raise ValueError(f"the native loop has no {', '.join(asked)}; use the fused loop")
        if model.dtype_policy.compute_dtype != "float32" or model.variable_dtype != "float32":
            raise ValueError(
                f"the native loop is written in float32, not {model.dtype_policy.name}; use the fused loop"
            )
        if len(model.trainable_weights) != len(model.weights):
            raise ValueError("the native loop trains all weights, and some are frozen; use the fused loop")
        return cls(float(keras.ops.convert_to_numpy(optimizer.learning_rate)), float(optimizer.epsilon))


def accumulators(model: RankingModel) -> list[keras.Variable]:
    """Return Adagrad's accumulators in the order of `model.weights`, all of which are trained.

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
    """Train a built and compiled `RankingModel`; arguments and history as for `movierank.loops.fused.fit`.

    Raises:
        ValueError: the loop is not written for this model, arrays differ in length, or an id has no row.
    """
    label = np.asarray(y, np.float32)
    arrays = (
        _ids("user_id", x["user_id"], model.num_users),
        _ids("movie_id", x["movie_id"], model.num_candidates),
        label.reshape(len(label)),
    )
    examples = Examples.of(arrays, batch_size)
    if embedding_updates == "slices":
        raise ValueError("the native loop sums slices before it squares them; fused-slices does as Keras does")
    Adagrad.of(model)  # checks the model, too
    training: EpochTraining = module_for(keras.backend.backend()).Training(model, embedding_updates)
    return run_epochs(model, training, examples, Schedule(epochs, initial_epoch, shuffle, verbose), callbacks)


def module_for(backend: str) -> ModuleType:
    """Import and return the loop's module of one backend.

    Its `Training(model, updates)` is a `movierank.loops.driver.EpochTraining` whose examples are (user_id int32 [N],
    movie_id int32 [N], label float32 [N]), and keeps its compiled code for the next one.
    `loss_and_gradients(model, x, y)` and `compile_mode(model)` are as in `movierank.loops.fused.module_for`.
    """
    return importlib.import_module(f"movierank.loops.{backend}.native")


def _ids(name: str, ids: Any, rows: int) -> npt.NDArray[np.int32]:
    """Return ids as int32 [N], checked once so that no step has to check them."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or (len(ids) and not 0 <= ids.min() <= ids.max() < rows):
        raise ValueError(f"expected {name} in one dimension and from 0 to {rows - 1}, the rows of its table")
    as_int32: npt.NDArray[np.int32] = ids.astype(np.int32, copy=False)
    return as_int32


def tables_by_rows(model: RankingModel, updates: Updates, ids: int) -> tuple[bool, bool]:
    """Return whether the tables of users and of movies are updated by rows where a batch looks up `ids` ids in each."""
    users, movies = (table.shape[0] for table in model.weights[:2])
    if updates != "auto":
        return updates == "rows", updates == "rows"
    return rows_pay(users, ids), rows_pay(movies, ids)


def epoch_logs(sums_of_squares: Iterable[Any], count: int) -> dict[str, float]:
    """Return an epoch's loss and RMSE as `fit` reports them.

    Args:
        sums_of_squares: scalars that add up to the sum of all examples' squared errors, each predicted before the step
            that trains on it.
        count: number of examples.
    """
    loss = sum(map(float, sums_of_squares)) / count
    return {"loss": loss, "rmse": math.sqrt(loss)}
