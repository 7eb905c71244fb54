"""Ids checked before a step is made with them, on PyTorch.

For an id that a table does not have `fit` raises an error. A compiled step takes another row, or ends the process from
within a parallel loop. Which arrays are ids of which table is found out while the step is traced, and their smallest
and largest values are looked at once, on the host. Ids that a model computes are counted on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import torch
from torch import Tensor

# Experimental as `make_fx` itself: from which node of the graph in the making a tensor comes.
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from movierank.loops.examples import Examples

aten = torch.ops.aten
# Operations after which ids are what they were.
KEEPING = {
    *(aten.view, aten._unsafe_view, aten.expand, aten.squeeze, aten.unsqueeze, aten.permute, aten.transpose, aten.t),
    *(aten.alias, aten.clone, aten.detach, aten._to_copy),
}
WIDE = (None, torch.int32, torch.int64, torch.float32, torch.float64)  # what a cast may lead to


class TableOfIds(NamedTuple):
    """The table that an array's ids are rows of; of several the shortest.

    Attributes:
        rows: how many.
        name: of its layer.
    """

    rows: int
    name: str


class LookedUp:
    """What embedding layers look up in a step that is being traced.

    Args:
        batch: the arrays of a batch.
        outside: int64 scalar; the step adds to it the ids that the model computes and that have no row.
        noted: put into it are tables by the place in the batch of the array with their ids.
    """

    def __init__(self, batch: Sequence[Tensor], outside: Tensor, noted: dict[int, TableOfIds]) -> None:
        self._places = {_origin(tensor): place for place, tensor in enumerate(batch)}
        self._outside = outside
        self._noted = noted

    def safe(self, ids: Tensor, rows: int, name: str) -> Tensor:
        """Return ids that have a row, given that `CheckedIds` has checked the arrays.

        Args:
            ids: of any shape; negative ones count from the end, as in Keras.
            rows: of the table.
            name: of the layer.
        """
        place = self._places.get(_origin(ids))
        if place is not None:
            table = TableOfIds(rows, name)
            self._noted[place] = min(self._noted.get(place, table), table)
            return ids
        ids = ids.long()
        ids = torch.where(ids < 0, ids + rows, ids)
        self._outside.add_(((ids < 0) | (ids >= rows)).sum())
        return ids.clamp(0, rows - 1)


class CheckedIds:
    """Examples whose arrays were looked at, each once."""

    def __init__(self) -> None:
        self._examples: Examples | None = None
        self._tables: Mapping[int, TableOfIds] | None = None
        self._ranges: dict[int, tuple[float, float]] = {}

    def check(self, examples: Examples, tables: Mapping[int, TableOfIds]) -> None:
        """Look whether all ids have a row; costs next to nothing where that is known.

        Args:
            examples: to be trained on.
            tables: by the place of an array among those given.

        Raises:
            ValueError: one has none.
        """
        if examples is self._examples and tables is self._tables:
            return
        if examples is not self._examples:
            self._examples, self._ranges = examples, {}
        arrays = [array for array in keras.tree.flatten(examples.arrays) if array is not None]
        for place, (rows, name) in tables.items():
            if not arrays[place].size:  # such as [N, 0]: without an id there is none to be wrong
                continue
            if place not in self._ranges:
                self._ranges[place] = arrays[place].min().item(), arrays[place].max().item()
            least, most = self._ranges[place]
            if not -rows - 1 < least <= most < rows:  # a float is cut off towards zero
                wrong = least if least <= -rows - 1 else most
                raise ValueError(f"id {wrong} is outside the {rows} rows of {name}; nothing was trained")
        self._tables = tables


def _origin(tensor: Tensor) -> Any:
    """Return the node of the graph that a tensor's values come from; None outside a trace."""
    mode = get_proxy_mode()
    slot = None if mode is None else get_proxy_slot(tensor, mode.tracer, None)
    if slot is None:
        return None
    node = slot.proxy.node
    while getattr(node.target, "overloadpacket", None) in KEEPING and node.kwargs.get("dtype") in WIDE:
        node = node.args[0]
    return node
