"""Both branches of a condition on a tensor, on PyTorch, where a trace cannot know which of them a step will take.

Keras's optimizers ask with `keras.ops.cond` whether to update weights at all: whether enough gradients are gathered,
whether all are finite, whether averages are due. Eager PyTorch reads the answer and calls one function. Here both run
from the same values of a step's variables, and the answer selects one of their results. That is exact: the other
result has no effect, not even if it is not a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import torch

# This is private and has no public form: `keras.ops.cond` calls it, and it reads the condition.
from keras.src.backend.torch import core as keras_core
from torch import Tensor
from torch.overrides import TorchFunctionMode

Values = dict[int, Tensor]

IN_PLACE = re.compile(r"\w*[^_]_|__i(add|sub|mul|truediv|floordiv|mod|pow|and|or|xor|lshift|rshift)__|__setitem__")


@contextmanager
def both_branches(scope: keras.StatelessScope) -> Iterator[None]:
    """Let `keras.ops.cond` run both branches where its condition is a tensor.

    This is not for code that is differentiated: the branch that is not taken would have a gradient, 0 times any value.

    Args:
        scope: entered scope that holds the value of every variable that a branch may change.

    Raises:
        AttributeError: this Keras has no `cond` there, and a step with conditions cannot be traced.
        ValueError: the branches of a condition return values of different structures, shapes or dtypes, or one changes
            a tensor in place that the other branch, or later code, would see.
    """
    original = keras_core.cond

    def cond(condition: Any, if_true: Callable[[], Any], if_false: Callable[[], Any]) -> Any:
        if not isinstance(condition, Tensor):
            return original(condition, if_true, if_false)
        taken = condition.detach().reshape(()).bool()
        before = scope.state_mapping
        one, of_one = _run(scope, before, if_true)
        other, of_other = _run(scope, before, if_false)
        changed = {
            key: torch.where(taken, of_one.get(key, before[key]), of_other.get(key, before[key]))
            for key in of_one | of_other
        }
        scope.state_mapping = before | changed
        return _chosen(taken, one, other)

    keras_core.cond = cond
    try:
        yield
    finally:
        keras_core.cond = original


def _run(scope: keras.StatelessScope, before: Values, branch: Callable[[], Any]) -> tuple[Any, Values]:
    """Return a branch's result and changed values, from copies, since Keras's optimizers work in place."""
    copies = {key: value.clone() for key, value in before.items()}
    versions = {key: value._version for key, value in copies.items()}
    scope.state_mapping = dict(copies)
    with _InPlace(copies.values()) as in_place:
        result = branch()
    changed = {
        key: value
        for key, value in scope.state_mapping.items()
        if value is not copies[key] or value._version != versions[key] or id(value) in in_place.changed
    }
    return result, changed


class _InPlace(TorchFunctionMode):  # type: ignore[misc]  # untyped in PyTorch
    """A recorder of tensors that a branch changes in place: in a trace, list operations do not increase their versions.

    Args:
        copies: tensors that the branch may change, besides those that it makes.
    """

    def __init__(self, copies: Iterable[Tensor]) -> None:
        super().__init__()
        self._own = {_memory(tensor): tensor for tensor in copies}  # keeps them, so that no other gets their address
        self.changed: set[int] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if args and IN_PLACE.fullmatch(func.__name__):
            targets = _tensors(args[0])
            if any(_memory(target) not in self._own for target in targets):
                raise ValueError(
                    "a branch of a condition changes in place what is neither its own nor a variable, and a traced "
                    "step runs both branches; use model.fit"
                )
            self.changed |= set(map(id, targets))
        result = func(*args, **(kwargs or {}))
        given = set(map(_memory, _tensors((args, kwargs))))  # a view of a tensor is that tensor
        self._own |= {_memory(each): each for each in _tensors(result) if _memory(each) not in given}
        return result


def _tensors(structure: Any) -> list[Tensor]:
    return [each for each in keras.tree.flatten(structure) if isinstance(each, Tensor)]


def _memory(tensor: Tensor) -> int:
    # This is private: a traced tensor has no data address, but its views share this.
    return int(tensor.untyped_storage()._cdata)


def _chosen(taken: Tensor, one: Any, other: Any) -> Any:
    def choose(a: Any, b: Any) -> Any:
        if a is None and b is None:
            return None
        a, b = (keras.ops.convert_to_tensor(value) for value in (a, b))
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ValueError(
                f"the branches of a condition return {a.dtype} {tuple(a.shape)} and {b.dtype} {tuple(b.shape)}, "
                "and a traced step cannot select one of them; use model.fit"
            )
        return torch.where(taken, a, b)

    return keras.tree.map_structure(choose, one, other)
