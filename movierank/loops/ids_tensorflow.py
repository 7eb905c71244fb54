"""Ids checked before a step is made with them, on TensorFlow.

XLA takes another row for an id that a table does not have, and says nothing. Which arrays are ids of which table is
found out while the step is traced, and their smallest and largest values are known before they go to the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

KEEPING = ("Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze")  # operations that keep ids' values


class LookedUp:
    """Which arrays of a batch are looked up in embedding tables, by their place in the flattened batch.

    Places are kept for each structure of batches that was traced. Ids that a model computes are not found.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, tuple[int, str]]] = {}

    def knows(self, batch: Any) -> bool:
        """Returns whether a step was traced on batches of this structure."""
        return _structure(batch) in self._tables

    @contextmanager
    def watched(self, batch: Any) -> Iterator[None]:
        """While a step is traced on a batch of symbolic tensors, notes what embedding layers look up."""
        structure = _structure(batch)
        found = dict(self._tables.get(structure, {}))
        tensors = {place: tensor for place, tensor in enumerate(keras.tree.flatten(batch)) if tensor is not None}
        graph = next(iter(tensors.values())).graph
        places = {tensor.name: place for place, tensor in tensors.items()}
        original = keras.layers.Embedding.call

        def call(layer: keras.layers.Embedding, inputs: Any) -> Any:
            if getattr(inputs, "graph", None) is graph and (place := places.get(_origin(inputs).name)) is not None:
                table = (layer.embeddings.shape[0], layer.embeddings.path)
                found[place] = min(found.get(place, table), table)
            return original(layer, inputs)

        keras.layers.Embedding.call = call
        try:
            yield
        finally:
            keras.layers.Embedding.call = original
        self._tables[structure] = found

    def check(self, batch: Any, ranges: Sequence[tuple[int, int] | None]) -> None:
        """Looks whether all ids have a row; negative ones count from the end, as in Keras.

        Args:
            batch: of a structure that is known.
            ranges: smallest and largest value of each array, None where it is not of integers.

        Raises:
            ValueError: one has none.
        """
        for place, (rows, path) in self._tables[_structure(batch)].items():
            least, most = ranges[place] or (0, 0)
            if not -rows <= least <= most < rows:
                wrong = most if most >= rows else least
                raise ValueError(f"id {wrong} is outside the {rows} rows of {path}; these batches were not trained on")


def _structure(batch: Any) -> str:
    return str(keras.tree.map_structure(lambda array: array is not None, batch))


def _origin(tensor: Any) -> Any:
    while tensor.op.type in KEEPING:
        tensor = tensor.op.inputs[0]
    return tensor
