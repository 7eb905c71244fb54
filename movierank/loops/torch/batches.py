"""Batches of `Examples` as tensors on PyTorch's device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from movierank.loops.examples import Chunk, Examples, Feed, given

Loaded = tuple[Chunk, list[Tensor]]


class DeviceBatches:
    """The transfer of chunks to a device, and their batches.

    Args:
        device: device to transfer to.
    """

    def __init__(self, device: torch.device) -> None:
        self._feed = Feed(partial(_load, device), _one_ahead)

    def of(self, examples: Examples, order: Any | None) -> Iterator[tuple[int, list[Tensor]]]:
        """Yield all batches once, each with its size, as a flat list of tensors without those not given."""
        for chunk, tensors in self._feed.chunks(examples, order):
            size = chunk.batch_size
            for step in range(chunk.steps):
                yield size, [tensor[step * size : (step + 1) * size] for tensor in tensors]


def _load(device: torch.device, chunk: Chunk) -> Loaded:
    """Transfer a chunk; on the CPU only read-only memory is copied, and tensors share the arrays' memory."""
    tensors = [_shared(array) for array in given(chunk.arrays)]
    if device.type != "cuda":
        return chunk, [tensor.to(device) for tensor in tensors]
    # A transfer from pinned memory does not block, so Python can go on to submit steps.
    return chunk, [tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors]


def _one_ahead(chunks: Iterator[Loaded]) -> Iterator[Loaded]:
    """Yield chunks, each after the next one is loaded: on a GPU that is read and pinned while this one's steps run."""
    ahead = next(chunks, None)
    for loaded in chunks:
        if ahead is not None:
            yield ahead
        ahead = loaded
    if ahead is not None:
        yield ahead


def _shared(array: Any) -> Tensor:
    if not array.flags.writeable or not array.flags.c_contiguous or array.dtype == np.uint32:
        # The copy is in C order, because a compiled step requires the strides that it was traced with.
        array = np.array(array, np.int64 if array.dtype == np.uint32 else None, order="C")
    return torch.from_numpy(array)
