"""The least work of a training step: operations, and bytes of memory traffic."""

from __future__ import annotations

from itertools import pairwise

from movierank.loops import parse_loop
from movierank.weights import HIDDEN_UNITS


def layer_shapes(embedding_dimension: int) -> list[tuple[int, int]]:
    """Return the shapes of the dense layers' kernels, first to last."""
    widths = (2 * embedding_dimension, *HIDDEN_UNITS, 1)
    return list(pairwise(widths))


def step_operations(batch_size: int, embedding_dimension: int) -> int:
    """Return the operations of a step's matrix products, forward and backward."""
    forward = 2 * batch_size * sum(rows * columns for rows, columns in layer_shapes(embedding_dimension))
    return 3 * forward


def state_bytes(embedding_dimension: int, table_rows: float, bytes_of_weight: int = 4) -> float:
    """Return the bytes of all weights that a step updates and of their accumulators.

    Args:
        embedding_dimension: width of both tables.
        table_rows: number of updated rows of both tables together.
        bytes_of_weight: bytes of a weight, 4 in float32.
    """
    dense = sum(rows * columns + columns for rows, columns in layer_shapes(embedding_dimension))
    return 2 * bytes_of_weight * (dense + table_rows * embedding_dimension)


def table_rows(loop: str, workload_rows: int, touched_rows: float) -> float:
    """Return how many rows of both tables a step of `loop` updates.

    Args:
        loop: name of the loop without an arithmetic.
        workload_rows: number of all rows.
        touched_rows: number of rows that a batch uses, which also counts for a loop that chooses between the two ways.
    """
    return workload_rows if sweeps_tables(loop) else touched_rows


def sweeps_tables(loop: str) -> bool:
    """Return whether each step of `loop` updates whole tables; False for a loop that chooses between the two ways."""
    kind, updates = parse_loop(loop)
    return kind == "fit" or updates == "tables"
