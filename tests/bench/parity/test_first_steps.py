"""The early stages of a training, from the loss to the tenth step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.parity.divergence import divergences
from bench.parity.numpy_oracle import trained_copy
from bench.parity.trainings import Trajectory
from bench.schema.cell import Cell

pytestmark = pytest.mark.backend_free

JAX, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "torch"))


def test_clean_copies_are_within_at_every_stage_from_the_loss_to_the_rankings(small: Any) -> None:
    for place, stream in enumerate(np.random.SeedSequence(7).spawn(5)):
        results = small.judge([Trajectory(JAX, 0, 0, trained_copy(small.task(), stream))])
        assert not small.outside(results), place
        assert len(results) == 2 + 6 * 8 + small.epochs + 4, "every stage is judged"


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"epsilon": 1e-8}, "probe/user_embedding"),
        ({"learning_rate": 0.1001}, "probe/user_embedding"),
        ({"fault": lambda oracle: oracle.accumulators.bias2.fill(0.11)}, "accumulators 1/bias2"),
        ({"fault": lambda oracle: oracle.weights.kernel2.__setitem__((3, 4), 0.01)}, "loss"),
    ],
    ids=["epsilon", "learning rate", "accumulator", "one weight"],
)
def test_a_fault_in_the_first_step_is_outside_from_the_stage_where_it_shows(
    small: Any, options: dict[str, Any], first: str
) -> None:
    found = small.outside(small.judge([small.first_steps(**options)]))
    assert next(iter(found)) == first
    assert not any(found.values())


def test_a_difference_in_one_weight_is_told_with_its_place(small: Any) -> None:
    run = small.first_steps()
    changed = np.array(run.values["gradient/kernel1"])
    changed[5, 17] += 1.0
    results = small.judge([replace(run, values={**run.values, "gradient/kernel1": changed})])
    (result,) = (r for r in results if r.verdict == "outside")
    assert (result.stage, result.where, result.seed) == ("gradient/kernel1", [5, 17], 0)
    assert result.ulps is not None
    assert result.ulps > 1e6


def test_the_step_and_the_unit_where_two_trainings_part_are_told(small: Any) -> None:
    clean = small.first_steps()
    trace = np.array(clean.values["bias trace"])
    trace[3:, 256 + 17] += 1e-4
    parted = replace(clean, cell=TORCH, values={**clean.values, "bias trace": trace})
    found = {(d.a, d.b): d for d in divergences(small.sides([clean, parted]), small.rules)}
    assert found["jax/cpu/fit", "oracle"].step is None
    pair = found["jax/cpu/fit", "torch/cpu/fit"]
    assert (pair.step, pair.steps, pair.unit) == (4, 10, "bias2[17]")
    assert pair.difference == pytest.approx(1e-4, rel=1e-3)
