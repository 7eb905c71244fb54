"""Row-wise updates of embedding tables in JAX: only the rows that a batch has touched.

Adagrad and plain SGD leave a row without a gradient as it is, so this is exact. Its cost depends on the batch, not on
the table.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

IN_BOUNDS = "promise_in_bounds"


def sum_by_row(slices: Any, ids: Any, scratch: Any) -> tuple[Any, Any]:
    """Sum gradients of the same row, without sorting.

    Args:
        slices: [K, D], what each look-up adds to the gradient of its row.
        ids: int [K], the rows.
        scratch: int32 [table rows], with any content.

    Returns:
        [K, D], at every look-up the whole gradient of its row, so that writing a row twice writes the same values
        twice; and the scratch to use next.
    """
    # Each look-up writes its number at its row, and all look-ups of one row read back the number that stayed.
    scratch = scratch.at[ids].set(jnp.arange(len(ids), dtype=scratch.dtype), mode=IN_BOUNDS)
    slot = scratch.at[ids].get(mode=IN_BOUNDS)
    total = jnp.zeros_like(slices).at[slot].add(slices, mode=IN_BOUNDS)
    return total.at[slot].get(mode=IN_BOUNDS), scratch
