"""Updates of an embedding table on PyTorch, in the rows that a batch has touched only."""

from __future__ import annotations

import torch
from torch import Tensor


def total_by_row(slots: Tensor, ids: Tensor, gradients: Tensor) -> Tensor:
    """Return for each example the sum of the gradients of all examples with its id.

    This is exact, without sorting and without touching a whole table: every example writes its number into its id's
    slot, and the number that stays there represents the id. Which one stays does not matter.

    Args:
        slots: int [rows of the table], scratch with any content.
        ids: int [N].
        gradients: [N, D], gradient of the embedding of each example.

    Returns:
        [N, D]; examples of one id have the same values, so that writing all of them to the table's row writes one.
    """
    slots[ids] = torch.arange(len(ids), dtype=slots.dtype, device=ids.device)
    representative = slots[ids]
    return torch.zeros_like(gradients).index_add(0, representative, gradients)[representative]


def adagrad_rows(
    table: Tensor, accumulator: Tensor, ids: Tensor, total: Tensor, learning_rate: float | Tensor, epsilon: float
) -> None:
    """Make Adagrad's step in the rows `ids` of a table, in place; the other rows have no gradient and do not move.

    Args:
        table: [rows, D].
        accumulator: [rows, D].
        ids: int [N].
        total: sums as `total_by_row` returns them.
        learning_rate: learning rate of this step.
        epsilon: addend inside the root.
    """
    squares = accumulator[ids] + total * total
    moved = table[ids] - learning_rate * total / torch.sqrt(squares + epsilon)
    accumulator[ids] = squares
    table[ids] = moved
