"""Checks of ids on PyTorch, before a step uses them.

For an id that a table does not have, `fit` raises an error. A compiled step takes another row, or ends the process from
within a parallel loop. Tracing a step shows which arrays are ids of which table, and their smallest and largest values
are checked once, on the host. Ids that a model computes are counted on the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Experimental, like `make_fx` itself: these find the node of the graph being traced that a tensor comes from.
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from movierank.loops.examples import Examples, given

aten = torch.ops.aten
# Operations that keep the values of ids.
KEEPING = {
    *(aten.view, aten._unsafe_view, aten.expand, aten.squeeze, aten.unsqueeze, aten.permute, aten.transpose, aten.t),
    *(aten.alias, aten.clone, aten.detach, aten._to_copy),
}
WIDE = (None, torch.int32, torch.int64, torch.float32, torch.float64)  # dtypes that a cast may lead to


class TableOfIds(NamedTuple):
    """The table that an array's ids are rows of; the shortest one of several.

    Attributes:
        rows: number of rows.
        name: name of its layer.
    """

    rows: int
    name: str


class LookedUp:
    """The look-ups of embedding layers in a step that is being traced.

    Args:
        batch: arrays of a batch.
        outside: int64 scalar; the step adds the number of computed ids without a row.
        noted: tables by the place in the batch of the array with their ids; filled by the trace.
    """

    def __init__(self, batch: Sequence[Tensor], outside: Tensor, noted: dict[int, TableOfIds]) -> None:
        self._places = {_origin(tensor): place for place, tensor in enumerate(batch)}
        self._outside = outside
        self._noted = noted

    def safe(self, ids: Tensor, rows: int, name: str) -> Tensor:
        """Return ids that have a row, provided that `CheckedIds` has checked the arrays.

        Args:
            ids: ids of any shape; negative ones count from the end, as in Keras.
            rows: rows of the table.
            name: name of the layer.
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
    """Examples whose arrays were checked, each once."""

    def __init__(self) -> None:
        self._examples: Examples | None = None
        self._tables: Mapping[int, TableOfIds] | None = None
        self._ranges: dict[int, tuple[float, float]] = {}

    def check(self, examples: Examples, tables: Mapping[int, TableOfIds]) -> None:
        """Check that all ids have a row; a repeated check costs next to nothing.

        Args:
            examples: examples to train on.
            tables: tables by the place of an array among those given.

        Raises:
            ValueError: an id has no row.
        """
        if examples is self._examples and tables is self._tables:
            return
        if examples is not self._examples:
            self._examples, self._ranges = examples, {}
        arrays = given(examples.arrays)
        for place, (rows, name) in tables.items():
            if not arrays[place].size:  # an array such as [N, 0] has no id that could be wrong
                continue
            if place not in self._ranges:
                self._ranges[place] = arrays[place].min().item(), arrays[place].max().item()
            least, most = self._ranges[place]
            if not -rows - 1 < least <= most < rows:  # a float is truncated towards zero
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
