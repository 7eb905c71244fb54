"""The best movies of a block of users in PyTorch: eager, in buffers that are reused.

Nothing is compiled: in a block, the products and the passes over the first layer's output take far longer than the
dozen calls from Python, and Inductor does not fuse a pass into the input of a matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from movierank.model import RankingModel

LAST_PLACE = 2**31 - 1


def compile_mode() -> str:
    """Return `eager`: nothing compiles the scoring."""
    return "eager"


def on_gpu(model: RankingModel) -> bool:
    """Return whether the model's weights lie on a GPU."""
    return bool(model.weights[0].value.device.type == "cuda")


def start(model: RankingModel, movies: npt.NDArray[np.int32], block: int, k: int) -> Scorer:
    """Compute the movies' part of the first layer, as described in `movierank.scoring.top.scoring_of`."""
    return Scorer([variable.value.detach() for variable in model.weights], movies, block, k)


class Scorer:
    """The scorer of PyTorch, as described in `movierank.scoring.top.Scorer`."""

    def __init__(self, weights: list[Any], movies: npt.NDArray[np.int32], block: int, k: int) -> None:
        self.weights = weights
        self.block = block
        self.k = k
        table, kernel = weights[1], weights[2]
        self.device = table.device
        self.parts = table[torch.from_numpy(movies).to(self.device)] @ kernel[table.shape[1] :]
        self.buffers: tuple[Any, Any] | None = None

    def top(self, users: npt.NDArray[np.int32], allowed: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
        """Return places among the movies and predictions."""
        user_table, _, kernel1, bias1, kernel2, bias2, kernel3, bias3 = self.weights
        rows = user_table[torch.from_numpy(users).to(self.device)]
        user_parts = torch.addmm(bias1, rows, kernel1[: user_table.shape[1]])
        refused = torch.from_numpy(~allowed).to(self.device)
        h1, h2 = self._buffers(len(users) * self.block)
        best = torch.empty((len(users), 0), dtype=torch.int64, device=self.device)
        for first in range(0, len(self.parts), self.block):
            part = slice(first, first + self.block)
            torch.add(user_parts[:, None], self.parts[part], out=h1.view(len(users), self.block, -1)).relu_()
            torch.addmm(bias2, h1, kernel2, out=h2).relu_()
            scores = torch.addmm(bias3, h2, kernel3).view(len(users), self.block)
            keys = _keys(scores.masked_fill_(refused[:, part], -torch.inf), first)
            best = torch.cat([best, keys], dim=1)
            best = best.topk(min(self.k, best.shape[1]), dim=1).values
        missing = self.k - best.shape[1]
        nothing = _keys(torch.full((len(users), missing), -torch.inf, device=self.device), 0)
        return _read(torch.cat([best, nothing], dim=1))

    def _buffers(self, pairs: int) -> tuple[Any, Any]:
        if self.buffers is None or len(self.buffers[0]) != pairs:
            sizes = (len(self.weights[4]), len(self.weights[6]))
            self.buffers = tuple(torch.empty((pairs, size), device=self.device) for size in sizes)
        return self.buffers


def _keys(scores: Any, first: int) -> Any:
    """Return int64 numbers that order scores [B, n] ascending, and equal ones with the last place first.

    PyTorch's `topk` does not specify which of equal values it takes. A float's bits, read as an integer, rise with it
    above zero and fall with it below, so all bits but the sign are inverted there.
    """
    bits = (scores + 0.0).view(torch.int32)  # minus zero is zero
    rising = bits ^ ((bits >> 31) & LAST_PLACE)
    places = torch.arange(first, first + scores.shape[1], device=scores.device)
    return (rising.long() << 32) + (LAST_PLACE - places)


def _read(keys: Any) -> tuple[Any, Any]:
    """Return the places and the scores of `_keys`."""
    rising = (keys >> 32).int()
    return LAST_PLACE - (keys & LAST_PLACE), (rising ^ ((rising >> 31) & LAST_PLACE)).view(torch.float32)
