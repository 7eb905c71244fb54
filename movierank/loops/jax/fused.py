"""The `fused` loop in JAX: Keras's own `train_step`, traced once into a compiled loop over batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

import jax
import jax.numpy as jnp
import keras
import numpy as np
import numpy.typing as npt
from jax import lax

from movierank.loops import Updates
from movierank.loops.averages import unshare_arrays
from movierank.loops.examples import Examples, Feed
from movierank.loops.jax.device import batch, upload
from movierank.loops.jax.rows_step import LookUp, State, find_look_ups, gradients, train_step
from movierank.loops.traced import Compiled, plain_logs, require_logs_of_metrics, same_objects


def compile_mode(model: keras.Model) -> str:
    """Return the compiler of a model's loop."""
    return "xla"


def _require_known_variables(model: keras.Model) -> None:
    """Refuse a built model in which a layer was frozen or unfrozen after its optimizer was built.

    Keras on JAX knows variables by their order alone, and would train the optimizer's variables with gradients of
    others.
    """
    built_for, trained = tuple(model.optimizer._trainable_variables), tuple(model.trainable_variables)
    trains_some = type(model).train_step is not keras.Model.train_step and len(built_for) != len(trained)
    if not trains_some and not same_objects(built_for, trained):
        raise ValueError("the optimizer was built for other variables than those trained now; compile with a new one")


class Training:
    """A `movierank.loops.driver.EpochTraining`.

    Args:
        model: built and compiled model.
        updates: way of updating embedding tables.

    Raises:
        ValueError: the optimizer was built for other variables.
    """

    def __init__(self, model: keras.Model, updates: Updates) -> None:
        _require_known_variables(model)
        self._model = model
        self._epoch = _epoch_of(model, updates)
        self._feed = Feed(upload)
        self._state: State | None = None
        self._logs: dict[str, Any] = {}

    def run_epoch(self, examples: Examples, order: Any | None) -> None:
        """Train on all examples once."""
        self._model.reset_metrics()
        self._logs = {}
        unshare_arrays(self._model)  # each array is donated, and a callback or Keras's `fit` may have shared some
        self._state = _state_of(self._model)
        for chunk in self._feed.chunks(examples, order):
            # Arrays are donated: meanwhile only `self._state` holds the model's values, and its variables are deleted.
            self._state, logs = self._epoch(self._state, chunk.arrays, chunk.steps, batch_size=chunk.batch_size)
            jax.block_until_ready(self._logs)  # no more than two chunks wait on the device
            self._logs = logs

    def write_back(self) -> None:
        """Write all values into the model's variables."""
        if self._state is not None:
            for variables, values in zip(_variables(self._model), self._state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
        self._state = None

    def logs(self) -> Mapping[str, Any]:
        """Return loss and metrics of the epoch."""
        return plain_logs(self._logs)


def loss_and_gradients(model: keras.Model, x: Any, y: npt.NDArray[Any]) -> tuple[float, list[npt.NDArray[np.float32]]]:
    """Return the loss of one batch and its gradients by trainable variable, as dense float32 arrays."""

    def found(state: State, data: Any) -> tuple[Any, list[Any]]:
        of_batch = gradients(model, state, data, find_look_ups(model, state, data, "auto"))
        dense = list(of_batch.dense)
        for place, (ids, slices) in of_batch.rows.items():
            dense[place] = jnp.zeros_like(state.trainable[place]).at[ids].add(slices)
        return of_batch.loss, dense

    loss, dense = jax.jit(found)(_state_of(model), (x, y, None))
    return float(loss), [np.asarray(gradient, np.float32) for gradient in dense]


Epoch = Callable[..., tuple[State, dict[str, Any]]]
_compiled: Compiled[Epoch] = Compiled()


def _epoch_of(model: keras.Model, updates: Updates) -> Epoch:
    code = _compiled.of(model)
    if updates not in code:
        code[updates] = jax.jit(partial(_epoch, ref(model), updates), static_argnames="batch_size", donate_argnums=0)
    return code[updates]


def _epoch(
    model_ref: ReferenceType[keras.Model], updates: Updates, state: State, arrays: Any, steps: Any, *, batch_size: int
) -> tuple[State, dict[str, Any]]:
    """Train on the first `steps` batches of a chunk, and return the state and the metrics' results."""
    model = model_ref()
    assert model is not None  # its training keeps it alive
    look_ups: list[LookUp] = find_look_ups(model, state, batch(arrays, 0, batch_size), updates)
    scratch = {one.place: jnp.zeros(state.trainable[one.place].shape[0], jnp.int32) for one in look_ups}
    names: set[str] = set()

    def step(number: Any, carried: Any) -> Any:
        state, scratch = carried
        data = batch(arrays, number, batch_size)
        if look_ups:
            logs, new, scratch = train_step(model, state, scratch, data, look_ups)
        else:
            logs, new = model.train_step(tuple(state), data)
        names.update(logs)
        return jax.tree.map(lambda old, value: jnp.asarray(value, old.dtype), state, State(*new)), scratch

    state, _ = lax.fori_loop(0, steps, step, (state, scratch))
    with keras.StatelessScope(state_mapping=list(zip(model.metrics_variables, state.metrics, strict=True))):
        results = model.get_metrics_result()
    require_logs_of_metrics(model, names, results)
    return state, results


def _variables(model: keras.Model) -> State:
    return State(
        model.trainable_variables, model.non_trainable_variables, model.optimizer.variables, model.metrics_variables
    )


def _state_of(model: keras.Model) -> State:
    return State(*([variable.value for variable in variables] for variables in _variables(model)))
