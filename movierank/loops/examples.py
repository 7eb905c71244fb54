"""Training examples, cut into stretches that a device trains on without returning to Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import keras
import numpy as np
import numpy.typing as npt

T = TypeVar("T")

CHUNK_BYTES = 32 * 2**20  # MovieLens 100K is one stretch, and 33 million ratings never take more than two of these


@dataclass(frozen=True)
class Chunk:
    """Several consecutive batches.

    Attributes:
        arrays: the same structure as `Examples.arrays`, each array of shape [steps * batch_size, ...].
        steps: number of batches.
        batch_size: examples in each batch.
    """

    arrays: Any
    steps: int
    batch_size: int


@dataclass(frozen=True)
class Examples:
    """The examples of one epoch.

    Attributes:
        arrays: a structure (tuple, list, dict) of NumPy arrays with the same first dimension, memory-mapped or not.
        count: that dimension.
        batch_size: examples in each batch but the last, which may be smaller.
    """

    arrays: Any
    count: int
    batch_size: int

    @classmethod
    def of(cls, arrays: Any, batch_size: int) -> Examples:
        """Return examples, with the arrays checked for equal length; None in the structure stands for "not given".

        Raises:
            ValueError: the lengths differ, there are no arrays, or the batch size is below 1.
        """
        counts = {len(array) for array in given(arrays)}
        if len(counts) != 1:
            raise ValueError(f"all arrays must have the same number of examples; received {sorted(counts)}")
        if (count := counts.pop()) < 1 or batch_size < 1:
            raise ValueError(f"expected examples and a batch size of at least 1; received {count} and {batch_size}")
        return cls(arrays, count, batch_size)

    @property
    def steps(self) -> int:
        """Batches an epoch, the last partial one included."""
        return -(-self.count // self.batch_size)

    @property
    def fits_one_chunk(self) -> bool:
        """Whether all full batches are one chunk, which a loop may then leave on its device."""
        return self.count // self.batch_size <= self._steps_per_chunk

    def chunks(self, order: npt.NDArray[np.integer[Any]] | None = None) -> Iterator[Chunk]:
        """Yield all examples once: chunks of full batches, then the last partial batch as a chunk of one step.

        Every chunk of full batches but the last has the same number of steps.

        Args:
            order: indices of all examples, [count]; None for their own order, in which arrays are views.
        """
        full = self.count // self.batch_size
        for step in range(0, full, self._steps_per_chunk):
            steps = min(self._steps_per_chunk, full - step)
            yield self._chunk(step * self.batch_size, steps, self.batch_size, order)
        if rest := self.count % self.batch_size:
            yield self._chunk(full * self.batch_size, 1, rest, order)

    @property
    def _steps_per_chunk(self) -> int:
        of_one = sum(array.nbytes for array in given(self.arrays)) / self.count
        return max(1, int(CHUNK_BYTES / (of_one * self.batch_size)))

    def _chunk(self, start: int, steps: int, batch_size: int, order: npt.NDArray[np.integer[Any]] | None) -> Chunk:
        where = slice(start, start + steps * batch_size)
        taken: Any = where if order is None else order[where]
        return Chunk(map_given(lambda array: array[taken], self.arrays), steps, batch_size)


class Feed(Generic[T]):
    """The transfer of examples to a device; one chunk in its own order stays there for the later epochs of a training.

    Args:
        load: function that transfers a chunk.
        ahead: function that iterates over the loads of several chunks, and may begin one before the caller asks for it.
    """

    def __init__(self, load: Callable[[Chunk], T], ahead: Callable[[Iterator[T]], Iterator[T]] = iter) -> None:
        self._load = load
        self._ahead = ahead
        self._kept: tuple[Examples, list[T]] | None = None

    def chunks(self, examples: Examples, order: npt.NDArray[np.integer[Any]] | None) -> Iterator[T]:
        """Yield all examples once, in `order` (int [count]) or in their own."""
        if order is not None or not examples.fits_one_chunk:
            yield from self._ahead(map(self._load, examples.chunks(order)))
            return
        if self._kept is None or self._kept[0] is not examples:
            self._kept = examples, [self._load(chunk) for chunk in examples.chunks()]
        yield from self._kept[1]


def given(arrays: Any) -> list[Any]:
    """Return the arrays of a structure in a list, without None, which stands for "not given"."""
    return [array for array in keras.tree.flatten(arrays) if array is not None]


def map_given(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Return a structure with `function` applied to each array; None stays."""
    return keras.tree.map_structure(lambda array: None if array is None else function(array), arrays)
