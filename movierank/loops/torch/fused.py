"""The `fused` loop on PyTorch: a compiled Keras model's own step as one compiled graph, in place in its variables."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch
from keras.optimizers.schedules import LearningRateSchedule
from keras.src.utils.torch_utils import TorchModuleWrapper
from torch import Tensor

from movierank.loops import Updates
from movierank.loops.exact_rows import embedding_layers, not_by_rows, rows_pay, why_not_rows
from movierank.loops.examples import Examples
from movierank.loops.torch.batches import DeviceBatches
from movierank.loops.torch.compiled import CompiledStep, compiler
from movierank.loops.torch.ids import CheckedIds, TableOfIds
from movierank.loops.torch.keras_step import (
    Differentiated,
    Lookups,
    Scope,
    UpdateWholeError,
    differentiate,
    state_of,
    step_of,
    unflatten,
)
from movierank.loops.torch.traceable import traceable
from movierank.loops.traced import plain_logs, same_objects


@dataclass(frozen=True)
class _Step:
    """A compiled step, and the tables by the place in a batch of the array with their ids."""

    run: CompiledStep
    tables_of_ids: dict[int, TableOfIds]


@dataclass
class _Compiled:
    """The state that is kept for a model between calls.

    Attributes:
        made_of: objects that the steps were traced with; other ones make them stale.
        settings: constants that the steps were traced with; other ones make them stale.
        outside: int64 scalar, number of ids without a row.
        steps: steps by tables updated in rows, and shapes and dtypes of a batch.
        whole: tables that turned out to be updated whole, by identity; by the requested updates, and shapes.
        slots: scratch of tables, by identity.
    """

    made_of: tuple[Any, ...]
    settings: list[dict[str, Any]]
    outside: Tensor
    steps: dict[tuple[Any, ...], _Step] = field(default_factory=dict)
    whole: dict[tuple[Any, ...], set[int]] = field(default_factory=dict)
    slots: dict[int, Tensor] = field(default_factory=dict)


_kept: weakref.WeakKeyDictionary[keras.Model, _Compiled] = weakref.WeakKeyDictionary()


class Training:
    """A `movierank.loops.driver.EpochTraining`; the steps change the model's own tensors in place.

    Args:
        model: built and compiled model.
        updates: way of updating embedding tables.

    Raises:
        ValueError: the step cannot be traced faithfully, or the requested updates are not exact.
    """

    def __init__(self, model: keras.Model, updates: Updates) -> None:
        _refuse_untraceable(model)
        self._model = model
        self._updates = updates
        self._variables = state_of(model)
        self._tables = tables_for_rows(model, updates)
        self._device = self._variables[0].value.device
        self._batches = DeviceBatches(self._device)
        self._checked = CheckedIds()
        self._compiled = _compiled(model, self._variables)

    def run_epoch(self, examples: Examples, order: npt.NDArray[np.integer[Any]] | None) -> None:
        """Train on all examples once.

        Raises:
            ValueError: an embedding looked up ids that it does not have. Where an array of the examples holds them,
                nothing was trained.
        """
        self._model.reset_metrics()
        self._model.train()
        self._compiled.outside.zero_()
        for size, batch in self._batches.of(examples, order):
            step = self._step_for(examples, batch, compiled=size == examples.batch_size)
            self._checked.check(examples, step.tables_of_ids)
            step.run(batch)
        if outside := int(self._compiled.outside):
            raise ValueError(f"{outside} ids are outside their embedding's table; the model was trained on other rows")

    def write_back(self) -> None:
        """End the epoch; the steps have left everything in place."""
        self._model.eval()

    def logs(self) -> Mapping[str, Any]:
        """Return loss and metrics of the epoch."""
        return plain_logs(self._model.get_metrics_result())

    def _step_for(self, examples: Examples, batch: list[Tensor], *, compiled: bool) -> _Step:
        shapes = tuple((tuple(tensor.shape), tensor.dtype) for tensor in batch)
        structure = keras.tree.map_structure(lambda array: array is not None or None, examples.arrays)
        of_batch = (shapes, str(structure), compiled)
        whole = self._compiled.whole.setdefault((self._updates, *of_batch), set())
        tables = [table for table in self._tables if id(table) not in whole]
        key = (tuple(map(id, tables)), *of_batch)
        state = self._state(tables)
        step = self._compiled.steps.get(key)
        if step is not None and step.run.serves(state):
            return step
        auto = self._updates == "auto"
        try:
            function, noted = step_of(self._model, self._variables, tables, structure, where_it_pays=auto)
            step = _Step(CompiledStep(function, state, batch, compiled=compiled), noted)
        except UpdateWholeError as error:
            if not auto:
                raise not_by_rows(str(error)) from None
            # Trace again without the table that the error names.
            whole.add(id(error.table))
            return self._step_for(examples, batch, compiled=compiled)
        except ValueError:
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"PyTorch cannot trace this model's training step ({reason}); use model.fit") from error
        self._compiled.steps[key] = step
        return step

    def _state(self, tables: list[keras.Variable]) -> list[Tensor]:
        for table in tables:
            if id(table) not in self._compiled.slots:
                self._compiled.slots[id(table)] = torch.zeros(table.shape[0], dtype=torch.int64, device=self._device)
        values = [variable.value.detach() for variable in self._variables]
        return [*values, *(self._compiled.slots[id(table)] for table in tables), self._compiled.outside]


def _compiled(model: keras.Model, variables: list[keras.Variable]) -> _Compiled:
    optimizers = _optimizers(model.optimizer)
    made_of = (
        *optimizers,
        *(optimizer._learning_rate for optimizer in optimizers),
        model._compile_loss,
        model._compile_metrics,
        model._loss_tracker,
        *variables,
        *(bool(variable.trainable) for variable in model.variables),
    )
    settings = _settings(optimizers)
    kept = _kept.get(model)
    if kept is None or not same_objects(kept.made_of, made_of) or kept.settings != settings:
        outside = torch.zeros((), dtype=torch.int64, device=variables[0].value.device)
        kept = _kept[model] = _Compiled(made_of, settings, outside)
    return kept


def compile_mode(model: keras.Model) -> str:
    """Return the compiler of a model's step: `inductor`, or `eager` without one."""
    kept = _kept.get(model)
    if kept is None or not kept.steps:
        return compiler()
    return "inductor" if any(step.run.compiled for step in kept.steps.values()) else "eager"


def forget(model: keras.Model) -> None:
    """Drop the compiled steps of a model, so that its next epoch compiles again."""
    _kept.pop(model, None)


def _refuse_untraceable(model: keras.Model) -> None:
    """Refuse a model whose traced step would silently differ from what runs at every step."""
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(f"{type(model).__name__} has its own train_step; use model.fit")
    for optimizer in _optimizers(model.optimizer):
        if not isinstance(optimizer._learning_rate, keras.Variable | LearningRateSchedule):
            raise ValueError("a learning rate that is a function may change in Python at every step; use a schedule")
    for layer in model._flatten_layers():
        if isinstance(layer, TorchModuleWrapper):
            raise ValueError(f"{layer.name} wraps a torch.nn.Module, whose state Keras does not see; use model.fit")


def _optimizers(optimizer: keras.Optimizer) -> list[keras.Optimizer]:
    """Return an optimizer and the inner ones of a `LossScaleOptimizer` or `MultiOptimizer`."""
    inner = getattr(optimizer, "inner_optimizer", None)
    within = [*([] if inner is None else [inner]), *getattr(optimizer, "optimizers", ())]
    return [optimizer, *(each for one in within for each in _optimizers(one))]


def _settings(optimizers: list[keras.Optimizer]) -> list[dict[str, Any]]:
    """Return the numbers and switches that optimizers and their schedules read from Python at each step."""
    rates = [optimizer._learning_rate for optimizer in optimizers]
    parts = [*optimizers, *(rate for rate in rates if isinstance(rate, LearningRateSchedule))]
    kinds = Number | str | None
    return [{name: value for name, value in vars(part).items() if isinstance(value, kinds)} for part in parts]


def tables_for_rows(model: keras.Model, updates: Updates) -> list[keras.Variable]:
    """Return the tables to update in touched rows only, as far as is known without tracing.

    Raises:
        ValueError: rows were requested where they are not exact.
    """
    if updates == "tables":
        return []
    tables = [model.trainable_variables[place] for place, _ in embedding_layers(model)]
    reason = why_not_rows(model.optimizer) or (None if tables else "no table is looked up and trained")
    if updates == "rows" and reason:
        raise not_by_rows(reason)
    if updates == "auto":  # a trace will show how many ids a batch looks up
        tables = [table for table in tables if rows_pay(table.shape[0], ids=1)]
    return [] if reason else tables


def loss_and_gradients(model: keras.Model, x: Any, y: Any) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients by trainable variable, without training."""
    variables = state_of(model)
    values = [variable.value.detach() for variable in variables]
    arrays = [torch.tensor(np.asarray(array), device=values[0].device) for array in keras.tree.flatten((x, y))]
    x, y, _ = unflatten((x, y, None), arrays)
    with traceable(), Scope(variables, values):
        lookups, result = _differentiated(model, tables_for_rows(model, "auto"), x, y)
    dense = []
    for variable, gradient in zip(model.trainable_variables, result.gradients, strict=True):
        if gradient is None:
            gradient = torch.zeros(tuple(variable.shape))
        elif id(variable) in lookups.made:
            whole = torch.zeros(tuple(variable.shape), dtype=gradient.dtype, device=gradient.device)
            gradient = whole.index_add(0, lookups.found(variable), gradient)
        dense.append(gradient.float().cpu().numpy())
    return float(result.loss.detach()), dense


def _differentiated(
    model: keras.Model, tables: Sequence[keras.Variable], x: Any, y: Any
) -> tuple[Lookups, Differentiated]:
    lookups = Lookups(tables)
    try:
        return lookups, differentiate(model, lookups, x, y, None)
    except UpdateWholeError as error:
        return _differentiated(model, [table for table in tables if table is not error.table], x, y)
