"""Common rules of loops that trace Keras's own `train_step`: when a trace is stale, and what its logs must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import keras
import numpy as np

from movierank.loops import Updates

Code = TypeVar("Code")


def traced_from(model: keras.Model) -> tuple[Any, ...]:
    """Return the objects that a step of the model is traced from; another `compile()` has other metrics."""
    return (model.optimizer, *model.metrics, *model.trainable_variables, None, *model.non_trainable_variables)


def same_objects(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether both hold the very same objects, in the same order."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


class Compiled(Generic[Code]):
    """The compiled code of models, kept as long as a model lives and is traced from the same objects."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[keras.Model, tuple[tuple[Any, ...], dict[Updates, Code]]] = WeakKeyDictionary()

    def of(self, model: keras.Model) -> dict[Updates, Code]:
        """Return a model's code by the way of its updates; the caller adds what is missing."""
        now = traced_from(model)
        made_of, code = self._kept.get(model, ((), {}))
        if not same_objects(made_of, now):
            made_of, code = self._kept[model] = now, {}
        return code


def require_logs_of_metrics(model: keras.Model, logged: Iterable[str], results: Iterable[str]) -> None:
    """Check that the metrics hold everything that a `train_step` logs, so that they can report it after an epoch.

    Args:
        model: model whose `train_step` was traced.
        logged: names of the step's logs.
        results: names of the metrics' results.

    Raises:
        ValueError: a name is only in one of them; the message lists such names.
    """
    if apart := set(logged) ^ set(results):
        raise ValueError(
            f"{type(model).__name__}.train_step returns logs that are not its metrics' results: "
            f"{sorted(apart)}; use model.fit"
        )


def plain(value: Any) -> Any:
    """Return a result as `fit` stores it in a history: a scalar as a float, anything else as an array."""
    array = np.asarray(value)
    return float(array) if array.ndim == 0 else array


def plain_logs(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results as `fit` hands them to callbacks; a metric with several results has a dict of them."""
    return {
        name: plain_logs(value) if isinstance(value, Mapping) else plain(keras.ops.convert_to_numpy(value))
        for name, value in results.items()
    }
