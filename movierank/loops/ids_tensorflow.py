"""Ids checked before a step is made with them, on TensorFlow.

XLA takes another row for an id that a table does not have, and says nothing. Which arrays are ids of which table is
found out while the step is traced, and their smallest and largest values are known before they go to the device. Ids
that a model computes are counted there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

KEEPING = ("Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze")  # operations that keep ids' values


class LookedUp:
    """Which arrays of a batch are looked up in embedding tables, by their place in the flattened batch.

    Places are kept for each structure of batches that was traced.

    Attributes:
        outside: int64, look-ups of ids that a model computes and a table does not have, since it was last set to 0.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, tuple[int, str]]] = {}
        self._watched: set[int] = set()
        # Not int32, which TensorFlow keeps on the host, where a program of XLA's on a GPU does not reach it.
        self.outside = tf.Variable(0, dtype=tf.int64, trainable=False)

    def knows(self, batch: Any) -> bool:
        """Returns whether a step was traced on batches of this structure."""
        return _structure(batch) in self._tables

    @contextmanager
    def watched(self, batch: Any) -> Iterator[None]:
        """While a step is traced on a batch of symbolic tensors, notes what embedding layers look up.

        Arrays of integers are noted for `check`; other ids are counted.
        """
        structure = _structure(batch)
        found = dict(self._tables.get(structure, {}))
        tensors = {place: tensor for place, tensor in enumerate(keras.tree.flatten(batch)) if tensor is not None}
        graph = next(iter(tensors.values())).graph
        places = {tensor.name: place for place, tensor in tensors.items() if tensor.dtype.is_integer}
        original = keras.layers.Embedding.call
        self._watched.clear()

        def call(layer: keras.layers.Embedding, inputs: Any) -> Any:
            if isinstance(inputs, tf.Tensor):
                table = (layer.input_dim, layer._embeddings.path)  # `embeddings` has no path where there is LoRA
                self._watched.add(id(layer._embeddings))
                if inputs.graph is graph and (place := places.get(_origin(inputs).name)) is not None:
                    found[place] = min(found.get(place, table), table)
                else:
                    self.count(_as_layer_does(inputs), -layer.input_dim, layer.input_dim)
            return original(layer, inputs)

        keras.layers.Embedding.call = call
        try:
            yield
        finally:
            keras.layers.Embedding.call = original
        self._tables[structure] = found

    def watches(self, table: keras.Variable) -> bool:
        """Returns whether an embedding layer looked up the table in the step that was traced last."""
        return id(table) in self._watched

    def count(self, ids: tf.Tensor, least: int, rows: int) -> None:
        """Counts, in what is being traced, ids (int32 or int64) that are not from `least` to `rows` - 1."""
        missing = (ids < least) | (ids >= rows)
        self.outside.assign_add(tf.reduce_sum(tf.cast(missing, tf.int64)))

    def check(self, batch: Any, ranges: Sequence[tuple[int, int] | None]) -> None:
        """Looks whether all ids have a row; negative ones count from the end, as in Keras.

        Args:
            batch: of a structure that is known.
            ranges: smallest and largest value of each array, None where it holds no integers.

        Raises:
            ValueError: one has none.
        """
        for place, (rows, path) in self._tables[_structure(batch)].items():
            least, most = ranges[place] or (0, 0)  # without an integer there is no id
            if not -rows <= least <= most < rows:
                wrong = most if most >= rows else least
                raise ValueError(f"id {wrong} is outside the {rows} rows of {path}; these batches were not trained on")


def _structure(batch: Any) -> str:
    return str(keras.tree.map_structure(lambda array: None if array is None else array.dtype.name, batch))


def _as_layer_does(ids: tf.Tensor) -> tf.Tensor:
    return ids if ids.dtype in (tf.int32, tf.int64) else tf.cast(ids, tf.int32)


def _origin(tensor: Any) -> Any:
    while tensor.op.type in KEEPING:
        tensor = tensor.op.inputs[0]
    return tensor
