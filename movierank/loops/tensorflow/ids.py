"""Checks of ids on TensorFlow, before a step uses them.

XLA silently takes another row for an id that a table does not have. Tracing a step shows which arrays are ids of which
table, and their smallest and largest values are known before they go to the device. Ids that a model computes are
counted there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

KEEPING = ("Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze")  # operations that keep ids' values


@dataclass
class ByLayers:
    """The look-ups of embedding layers in a table in one step.

    Attributes:
        ids: number of ids.
        missing: int64 scalars, the numbers of ids without a row.
    """

    ids: int = 0
    missing: list[tf.Tensor] = field(default_factory=list)


class LookedUp:
    """The arrays of a batch that are looked up in embedding tables, by their place in the flattened batch.

    Places are kept for each structure of batches that was traced.

    Attributes:
        outside: int64, number of look-ups of computed ids that a table does not have, since it was last set to 0.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, tuple[int, str]]] = {}
        self._by_layers: dict[int, ByLayers] = {}  # by the table's identity, in the step being traced
        # TensorFlow would keep an int32 on the host, out of reach of an XLA program on a GPU.
        self.outside = tf.Variable(0, dtype=tf.int64, trainable=False)

    def knows(self, batch: Any) -> bool:
        """Return whether a step was traced on batches of this structure."""
        return _structure(batch) in self._tables

    @contextmanager
    def watched(self, batch: Any) -> Iterator[None]:
        """Record the look-ups of embedding layers while a step is traced on a batch of symbolic tensors.

        Arrays of integers are recorded for `check`; other ids are counted.
        """
        structure = _structure(batch)
        found = dict(self._tables.get(structure, {}))
        tensors = {place: tensor for place, tensor in enumerate(keras.tree.flatten(batch)) if tensor is not None}
        graph = next(iter(tensors.values())).graph
        places = {tensor.name: place for place, tensor in tensors.items() if tensor.dtype.is_integer}
        original = keras.layers.Embedding.call

        def call(layer: keras.layers.Embedding, inputs: Any) -> Any:
            if isinstance(inputs, tf.Tensor):
                table = (layer.input_dim, layer._embeddings.path)  # `embeddings` has no path where there is LoRA
                by_layers = self._by_layers.setdefault(id(layer._embeddings), ByLayers())
                by_layers.ids += inputs.shape.num_elements() or 0
                if inputs.graph is graph and (place := places.get(_origin(inputs).name)) is not None:
                    found[place] = min(found.get(place, table), table)
                else:
                    missing = _missing(_as_layer_does(inputs), -layer.input_dim, layer.input_dim)
                    by_layers.missing.append(missing)
                    self.outside.assign_add(missing)
            return original(layer, inputs)

        keras.layers.Embedding.call = call
        try:
            yield
        finally:
            keras.layers.Embedding.call = original
            self._by_layers.clear()
        self._tables[structure] = found

    def count_others(self, table: keras.Variable, ids: tf.Tensor) -> None:
        """Count ids of a table without a row that no layer looked up, in the step that is being traced.

        Args:
            table: table whose gradient is by row.
            ids: int32 or int64 [K], ids of all rows of the gradient; a negative id has no row.
        """
        by_layers = self._by_layers.get(id(table), ByLayers())
        if ids.shape[0] is not None and ids.shape[0] <= by_layers.ids:
            return
        # These ids include those of the layers. A count in a layer's own graph cannot be reached from here.
        counted = sum(each for each in by_layers.missing if each.graph is ids.graph)
        self.outside.assign_add(tf.maximum(_missing(ids, 0, table.shape[0]) - counted, 0))

    def check(self, batch: Any, ranges: Sequence[tuple[int, int] | None]) -> None:
        """Check that all ids have a row; negative ones count from the end, as in Keras.

        Args:
            batch: batch of a known structure.
            ranges: smallest and largest value of each array; None for an array that does not hold integers.

        Raises:
            ValueError: an id has no row.
        """
        for place, (rows, path) in self._tables[_structure(batch)].items():
            least, most = ranges[place] or (0, 0)  # without an integer there is no id
            if not -rows <= least <= most < rows:
                wrong = most if most >= rows else least
                raise ValueError(f"id {wrong} is outside the {rows} rows of {path}; these batches were not trained on")


def _structure(batch: Any) -> str:
    return str(keras.tree.map_structure(lambda array: None if array is None else array.dtype.name, batch))


def _missing(ids: tf.Tensor, least: int, rows: int) -> tf.Tensor:
    """Return how many ids are not from `least` to `rows` - 1, an int64 scalar."""
    return tf.reduce_sum(tf.cast((ids < least) | (ids >= rows), tf.int64))


def _as_layer_does(ids: tf.Tensor) -> tf.Tensor:
    return ids if ids.dtype in (tf.int32, tf.int64) else tf.cast(ids, tf.int32)


def _origin(tensor: Any) -> Any:
    while tensor.op.type in KEEPING:
        tensor = tensor.op.inputs[0]
    return tensor
