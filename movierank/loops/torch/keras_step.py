"""One training step of a compiled Keras model on PyTorch, as a function of tensors: Keras's own code, traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import torch
from torch import Tensor

from movierank.loops.exact_rows import rows_pay
from movierank.loops.torch.branches import both_branches
from movierank.loops.torch.ids import LookedUp, TableOfIds
from movierank.loops.torch.rows import total_by_row
from movierank.loops.torch.traceable import traceable
from movierank.loops.traced import require_logs_of_metrics


def state_of(model: keras.Model) -> list[keras.Variable]:
    """Return all variables that a step may change, each once."""
    everything = (*model.variables, *model.optimizer.variables, *model.metrics_variables)
    return list({id(variable): variable for variable in everything}.values())


@dataclass(frozen=True)
class Lookups:
    """The embedding tables that a step splits into looked-up rows, and the look-ups that it has made.

    Attributes:
        tables: variables, each used only by `keras.layers.Embedding.call`.
        looked_up: check that all ids have a row, in any table; None where they are known to have one.
        made: look-ups by a table's identity: ids, int64 [N], and the rows found, [N, D], to differentiate by.
    """

    tables: Sequence[keras.Variable]
    looked_up: LookedUp | None = None
    made: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record look-ups in `tables`."""
        original = keras.layers.Embedding.call
        tables = {id(table) for table in self.tables}

        def call(layer: keras.layers.Embedding, inputs: Any) -> Any:
            if self.looked_up is not None:
                inputs = self.looked_up.safe(inputs, layer.input_dim, layer.path)
            if id(layer._embeddings) not in tables:
                return original(layer, inputs)
            table = layer._embeddings.value
            ids = inputs.long()
            ids = torch.where(ids < 0, ids + len(table), ids)  # keras.ops.take does the same
            rows = table.detach()[ids].requires_grad_()
            flat = ids.reshape(-1)
            self.made.setdefault(id(layer._embeddings), []).append((flat, rows))
            return keras.ops.cast(rows, layer.compute_dtype)

        keras.layers.Embedding.call = call
        try:
            yield
        finally:
            keras.layers.Embedding.call = original

    def found(self, table: keras.Variable) -> Tensor:
        """Return the ids of all look-ups in a table, [N]."""
        return torch.cat([ids for ids, _ in self.made[id(table)]])

    def refuse_what_does_not_pay(self) -> None:
        """Check that the tables have so many rows that updating only the looked-up ones pays.

        Raises:
            UpdateWholeError: a table has too few rows.
        """
        for table in self.tables:
            if not rows_pay(table.shape[0], sum(len(ids) for ids, _ in self.made[id(table)])):
                raise UpdateWholeError(table, "has few rows beside the ids of a batch")


class UpdateWholeError(ValueError):
    """The error for a table that has to be updated whole, or is faster so.

    Args:
        table: the table.
        why: reason, which follows the table's path in the message.
    """

    def __init__(self, table: keras.Variable, why: str) -> None:
        super().__init__(f"{table.path} {why}")
        self.table = table


@dataclass(frozen=True)
class Differentiated:
    """A batch's loss and gradients, inside the scope in which they were computed.

    Attributes:
        loss: scalar.
        predictions: outputs of the model.
        gradients: gradients by trainable variable; None where the loss does not depend on it; for a table in `Lookups`,
            those of its looked-up rows, [N, D].
    """

    loss: Tensor
    predictions: Any
    gradients: list[Tensor | None]


class Scope(keras.StatelessScope):  # type: ignore[misc]  # Keras ships no types
    """A scope with the values of a step's variables; nothing outside changes.

    Args:
        variables: variables of the step.
        values: their values.
        only_read: variables whose value nothing changes in place, so that it need not be copied.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        values: Sequence[Tensor],
        only_read: Sequence[keras.Variable] = (),
    ) -> None:
        as_they_are = set(map(id, only_read))
        mapping = []
        for variable, value in zip(variables, values, strict=True):
            inner = value.detach() if id(variable) in as_they_are else value.detach().clone()
            mapping.append((variable, inner.requires_grad_(bool(variable.trainable) and value.is_floating_point())))
        super().__init__(state_mapping=mapping, collect_losses=True)
        self._known = {id(variable) for variable in variables}

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        """Set a variable's new value.

        Raises:
            ValueError: the variable belongs to neither model, optimizer nor metrics, and the value would be lost.
        """
        if id(update[0]) not in self._known:
            raise ValueError(f"{update[0].path} belongs to neither model, optimizer nor metrics; give layers a seed")
        super().add_update(update)

    def put(self, variable: keras.Variable, value: Tensor) -> None:
        """Set a variable's value, of any shape."""
        self.state_mapping[id(variable)] = value


def differentiate(model: keras.Model, lookups: Lookups, x: Any, y: Any, sample_weight: Any) -> Differentiated:
    """Run forward and backward in the current scope, as `keras.Model.train_step` does on PyTorch.

    Raises:
        UpdateWholeError: a table in `lookups` is used otherwise than by look-ups, so that all its rows have a gradient.
    """
    with lookups.watched():
        predictions = model(x, training=True) if model._call_has_training_arg else model(x)
    loss = model._compute_loss(x=x, y=y, y_pred=predictions, sample_weight=sample_weight, training=True)
    examples = next(len(array) for array in keras.tree.flatten(x) if array is not None)
    model._loss_tracker.update_state(loss.detach(), sample_weight=examples)
    trainable = model.trainable_variables
    values = [variable.value for variable in trainable]
    rows = [rows for table in lookups.tables for _, rows in lookups.made.get(id(table), [])]
    found = list(torch.autograd.grad(model.optimizer.scale_loss(loss), values + rows, allow_unused=True))
    gradients, of_rows = found[: len(values)], iter(found[len(values) :])
    for table in lookups.tables:
        place = next(place for place, variable in enumerate(trainable) if variable is table)
        if gradients[place] is not None or id(table) not in lookups.made:
            raise UpdateWholeError(table, "is used otherwise than by an embedding layer's call")
        parts = [(next(of_rows), rows) for _, rows in lookups.made[id(table)]]
        gradients[place] = torch.cat(
            [(torch.zeros_like(rows) if part is None else part).reshape(-1, rows.shape[-1]) for part, rows in parts]
        )
    return Differentiated(loss, predictions, gradients)


def step_of(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    tables: Sequence[keras.Variable],
    structure: Any,
    *,
    where_it_pays: bool,
) -> tuple[Callable[..., None], dict[int, TableOfIds]]:
    """Return a step for `movierank.loops.torch.compiled.CompiledStep`, and the tables that its trace finds.

    Its tensors are those of `variables`, an int64 [rows] scratch for each of `tables`, an int64 scalar to which ids
    without a row are counted, and the arrays of a batch.

    Args:
        model: built and compiled model.
        variables: variables as `state_of` returns them.
        tables: tables to update in touched rows only.
        structure: (x, y, sample_weight), with None for what is not given.
        where_it_pays: whether to refuse, in the trace, tables that are updated faster whole.

    Returns:
        The step; and, once it is traced, the tables by the place in a batch of the array with their ids.
    """
    noted: dict[int, TableOfIds] = {}

    def step(*tensors: Tensor) -> None:
        values, rest = tensors[: len(variables)], tensors[len(variables) :]
        slots, outside, batch = rest[: len(tables)], rest[len(tables)], rest[len(tables) + 1 :]
        x, y, sample_weight = unflatten(structure, batch)
        lookups = Lookups(tables, LookedUp(batch, outside, noted))
        by_rows = [each for table in tables for each in of_table(model.optimizer, table)]
        # Gradients are needed here, although the surrounding code turns them off.
        with torch.enable_grad(), traceable(), Scope(variables, values, by_rows) as scope:
            result = differentiate(model, lookups, x, y, sample_weight)
            if where_it_pays:
                lookups.refuse_what_does_not_pay()
            with torch.no_grad():
                _apply(model, scope, lookups, slots, result.gradients)
                predictions = keras.tree.map_structure(torch.detach, result.predictions)
                require_logs_of_metrics(
                    model, model.compute_metrics(x, y, predictions, sample_weight), model.get_metrics_result()
                )
                _write(scope, variables, values, {id(table): lookups.found(table) for table in tables}, model)

    return step, noted


def _apply(
    model: keras.Model, scope: Scope, lookups: Lookups, slots: Sequence[Tensor], gradients: list[Tensor | None]
) -> None:
    """Run Keras's optimizer, for tables in `lookups` as if the looked-up rows were the whole table.

    That is exact where an optimizer treats each element separately and leaves those without a gradient unchanged.
    """
    trainable = model.trainable_variables
    for table, slot in zip(lookups.tables, slots, strict=True):
        place = next(place for place, variable in enumerate(trainable) if variable is table)
        ids = lookups.found(table)
        gradient = gradients[place]
        if gradient is None:
            raise AssertionError("differentiate gives every table its rows' gradient")
        gradients[place] = total_by_row(slot, ids, gradient)
        for variable in of_table(model.optimizer, table):
            scope.put(variable, scope.get_current_value(variable).detach()[ids])
    with both_branches(scope):
        model.optimizer.apply(gradients, trainable)


def of_table(optimizer: keras.optimizers.Optimizer, table: keras.Variable) -> list[keras.Variable]:
    """Return a table and the state that the optimizer, Adagrad or plain SGD, keeps for it.

    Raises:
        ValueError: the optimizer was built without the table.
    """
    if isinstance(optimizer, keras.optimizers.Adagrad):
        optimizer._check_variables_are_known([table])
        return [table, optimizer._accumulators[optimizer._get_variable_index(table)]]
    return [table]


def _write(
    scope: Scope,
    variables: Sequence[keras.Variable],
    values: Sequence[Tensor],
    found: dict[int, Tensor],
    model: keras.Model,
) -> None:
    """Copy the scope's values into their original tensors, for tables only the looked-up rows."""
    by_rows: dict[int, Tensor] = {}
    for variable in model.trainable_variables:
        if id(variable) in found:
            by_rows |= {id(each): found[id(variable)] for each in of_table(model.optimizer, variable)}
    for variable, value in zip(variables, values, strict=True):
        now = scope.get_current_value(variable).detach()
        if id(variable) in by_rows:
            value[by_rows[id(variable)]] = now
        else:
            value.copy_(now)


def unflatten(structure: Any, batch: Sequence[Tensor]) -> Any:
    """Return a batch's tensors in the structure of `structure`; floats get Keras's float type, as in `fit`."""
    arrays = iter(batch)
    kind = getattr(torch, keras.config.floatx())

    def place(array: Any) -> Tensor | None:
        if array is None:
            return None
        tensor = next(arrays)
        return tensor.to(kind) if tensor.is_floating_point() else tensor

    return keras.tree.pack_sequence_as(structure, [place(array) for array in keras.tree.flatten(structure)])
