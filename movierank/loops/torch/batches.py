"""Batches of `Examples` as tensors on PyTorch's device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import torch
from torch import Tensor

from movierank.loops.examples import Chunk, Examples


class DeviceBatches:
    """The transfer of chunks to a device; one chunk in its own order stays there for the later epochs of a training.

    On the CPU only read-only memory is copied: tensors share the arrays' memory.

    Args:
        device: device to transfer to.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: tuple[Examples, list[tuple[Chunk, list[Tensor]]]] | None = None

    def of(self, examples: Examples, order: Any | None) -> Iterator[tuple[int, list[Tensor]]]:
        """Yield all batches once, each with its size, as a flat list of tensors without those not given."""
        for chunk, tensors in self._chunks(examples, order):
            size = chunk.batch_size
            for step in range(chunk.steps):
                yield size, [tensor[step * size : (step + 1) * size] for tensor in tensors]

    def _chunks(self, examples: Examples, order: Any | None) -> Iterator[tuple[Chunk, list[Tensor]]]:
        if order is None and examples.fits_one_chunk:
            if self._kept is None or self._kept[0] is not examples:
                self._kept = examples, [(chunk, self._load(chunk)) for chunk in examples.chunks()]
            yield from self._kept[1]
            return
        # One chunk is loaded ahead: on a GPU the next chunk is read and pinned while this one's steps run.
        ahead: tuple[Chunk, list[Tensor]] | None = None
        for chunk in examples.chunks(order):
            loaded = chunk, self._load(chunk)
            if ahead is not None:
                yield ahead
            ahead = loaded
        if ahead is not None:
            yield ahead

    def _load(self, chunk: Chunk) -> list[Tensor]:
        arrays = [array for array in keras.tree.flatten(chunk.arrays) if array is not None]
        tensors = [_shared(array) for array in arrays]
        if self._device.type != "cuda":
            return [tensor.to(self._device) for tensor in tensors]
        # A transfer from pinned memory does not block, so Python can go on to submit steps.
        return [tensor.pin_memory().to(self._device, non_blocking=True) for tensor in tensors]


def _shared(array: Any) -> Tensor:
    if not array.flags.writeable or not array.flags.c_contiguous or array.dtype == np.uint32:
        # The copy is in C order, because a compiled step requires the strides that it was traced with.
        array = np.array(array, np.int64 if array.dtype == np.uint32 else None, order="C")
    return torch.from_numpy(array)
