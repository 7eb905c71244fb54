"""Keras's Python code of a step on PyTorch as operations that a traced graph can hold.

Keras seeds a new `torch.Generator` from its seed's state for every draw (keras/src/backend/torch/random.py). Here a
draw is one operation that takes the state as a tensor and does the same, so that it draws the numbers of `fit`. Where
Keras passes a tensor and PyTorch would read it back as a number, the value stays a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from keras.src.backend.torch import random as keras_random
from keras.src.random.seed_generator import draw_seed
from torch import Tensor
from torch.overrides import TorchFunctionMode


def _generator(seed: Tensor) -> torch.Generator:
    first, second = seed.tolist()
    return torch.Generator(device=seed.device).manual_seed((first + second) & 0xFFFFFFFF)


def _bernoulli(probabilities: Tensor, seed: Tensor) -> Tensor:
    return torch.bernoulli(probabilities, generator=_generator(seed))


def _uniform(like: Tensor, seed: Tensor) -> Tensor:
    return torch.rand(like.shape, generator=_generator(seed), dtype=like.dtype, device=like.device)


def _normal(like: Tensor, seed: Tensor, mean: float, deviation: float) -> Tensor:
    return torch.normal(
        mean, deviation, size=like.shape, generator=_generator(seed), dtype=like.dtype, device=like.device
    )


# Each takes a tensor, for its shape and dtype, and the seed's state, int [2].
seeded_bernoulli = torch.library.custom_op("movierank::seeded_bernoulli", _bernoulli, mutates_args=())
seeded_uniform = torch.library.custom_op("movierank::seeded_uniform", _uniform, mutates_args=())
seeded_normal = torch.library.custom_op("movierank::seeded_normal", _normal, mutates_args=())
for operation in (seeded_bernoulli, seeded_uniform, seeded_normal):
    operation.register_fake(lambda like, seed, *_: torch.empty_like(like))


class _Traceable(TorchFunctionMode):  # type: ignore[misc]  # untyped in PyTorch
    """A mode that replaces draws from a stand-in for a seed, and operations that would read a tensor's value."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: dict[torch.Generator, Tensor] = {}

    def stand_in(self, seed: Any) -> torch.Generator:
        """Return a generator that stands for the next state of a Keras seed."""
        generator = torch.Generator()
        self.seeds[generator] = draw_seed(seed)
        return generator

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch._foreach_add_ and isinstance(kwargs.get("alpha"), Tensor):
            return torch._foreach_add_(args[0], torch._foreach_mul(args[1], kwargs["alpha"]))
        generator = kwargs.get("generator")
        seed = self.seeds.get(generator) if generator is not None else None
        if seed is None:
            return func(*args, **kwargs)
        if func is torch.bernoulli:
            return seeded_bernoulli(args[0], seed)
        if func in (torch.rand, torch.normal):
            like = torch.empty(kwargs["size"], dtype=kwargs["dtype"], device=kwargs["device"])
            return seeded_uniform(like, seed) if func is torch.rand else seeded_normal(like, seed, *map(float, args))
        raise NotImplementedError(f"a seeded torch.{func.__name__} is not known here")


@contextmanager
def traceable() -> Iterator[None]:
    """Make Keras's code traceable; draws without a seed use PyTorch's own state, as with `fit`.

    Raises:
        AttributeError: this Keras has no `torch_seed_generator`, which is private and has no public form.
    """
    mode = _Traceable()
    original = keras_random.torch_seed_generator
    keras_random.torch_seed_generator = mode.stand_in
    try:
        with mode:
            yield
    finally:
        keras_random.torch_seed_generator = original
