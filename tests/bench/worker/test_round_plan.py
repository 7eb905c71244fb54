"""A round lasts as long as requested, whatever the first call costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.worker.round_plan import plan_round
from movierank.data.ratings import Ratings

pytestmark = pytest.mark.backend_free


def ratings(count: int) -> Ratings:
    ids = np.arange(1, count + 1, dtype=np.int32)
    return Ratings(user_id=ids, movie_id=ids, label=np.zeros(count, np.float32))


class Machine:
    """Trains at a constant speed, and compiles first."""

    def __init__(self, step_s: float, compile_s: float, batch_size: int) -> None:
        self.step_s = step_s
        self.left_to_compile_s = compile_s
        self.batch_size = batch_size

    def time_epoch(self, epoch: Ratings) -> float:
        compiling, self.left_to_compile_s = self.left_to_compile_s, 0.0
        assert len(epoch) % self.batch_size == 0
        return compiling + self.step_s * (len(epoch) // self.batch_size)


@given(
    step_ms=st.floats(0.05, 50),
    compile_s=st.floats(0, 30),
    round_s=st.floats(0.01, 2),
    batches=st.integers(1, 90),
    rest=st.integers(0, 9),
)
def test_compiling_makes_no_round_shorter(
    step_ms: float, compile_s: float, round_s: float, batches: int, rest: int
) -> None:
    machine = Machine(step_ms / 1e3, compile_s, batch_size=10)
    plan = plan_round(ratings(10 * batches + rest), 10, round_s, machine.time_epoch)
    lasts_s = plan.steps * step_ms / 1e3
    one_epoch_s = step_ms / 1e3 * len(plan.examples) / 10
    assert lasts_s >= round_s * (1 - 1e-9)
    assert lasts_s - one_epoch_s < round_s * (1 + 1e-9), "an epoch less would have done"
    assert plan.steps == plan.epochs * len(plan.examples) / 10


def test_a_slow_model_is_not_probed_longer_than_its_speed_takes_to_see() -> None:
    machine = Machine(step_s=5.0, compile_s=60.0, batch_size=10)
    calls: list[int] = []

    def time_epoch(epoch: Ratings) -> float:
        calls.append(len(epoch) // 10)
        return machine.time_epoch(epoch)

    plan = plan_round(ratings(400), 10, 0.4, time_epoch)
    assert plan.steps == 1
    assert calls == [20, 20]
