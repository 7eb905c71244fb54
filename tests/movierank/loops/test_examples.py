from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierank.loops import examples
from movierank.loops.examples import Examples


@given(count=st.integers(1, 200), batch_size=st.integers(1, 50), rows=st.integers(1, 60), shuffled=st.booleans())
def test_chunks_hold_every_example_once_in_order(count: int, batch_size: int, rows: int, shuffled: bool) -> None:
    x, y = np.arange(count, dtype=np.int32), np.arange(count, dtype=np.float32) + 0.5
    order = np.random.default_rng(0).permutation(count) if shuffled else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "CHUNK_BYTES", 8 * rows)
        whole = Examples.of(({"x": x}, y, None), batch_size)
        chunks = list(whole.chunks(order))
    assert np.array_equal(np.concatenate([chunk.arrays[0]["x"] for chunk in chunks]), x if order is None else x[order])
    assert all(np.array_equal(chunk.arrays[0]["x"] + 0.5, chunk.arrays[1]) for chunk in chunks)
    assert all(chunk.arrays[2] is None for chunk in chunks)
    assert all(len(chunk.arrays[1]) == chunk.steps * chunk.batch_size for chunk in chunks)
    assert sum(chunk.steps for chunk in chunks) == whole.steps
    assert all(chunk.batch_size == batch_size for chunk in chunks[:-1])
    full = [chunk.steps for chunk in chunks if chunk.batch_size == batch_size]
    assert len(set(full[:-1])) <= 1


def test_chunks_in_their_own_order_copy_nothing() -> None:
    x = np.arange(1000, dtype=np.int32)
    assert all(np.shares_memory(chunk.arrays[0], x) for chunk in Examples.of((x,), 64).chunks())


@pytest.mark.parametrize(
    ("arrays", "batch_size", "message"),
    [
        ((np.zeros(3), np.zeros(4)), 2, r"same number of examples; received \[3, 4\]"),
        ((np.zeros(0),), 2, "expected examples"),
        ((np.zeros(3),), 0, "batch size of at least 1"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(arrays: tuple[np.ndarray, ...], batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Examples.of(arrays, batch_size)
