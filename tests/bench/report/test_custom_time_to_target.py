"""Training time to the target of a workload of one's own."""

from __future__ import annotations

import math

import pytest

from bench.report.time_to_target import LearningCurve, time_to_score
from bench.schema.cell import Cell
from bench.text.convergence import time_to_target_lines

pytestmark = pytest.mark.backend_free

JAX = Cell(backend="jax", device="cpu", loop="fit")


def test_where_higher_is_better_the_target_is_reached_from_below() -> None:
    curve = LearningCurve(JAX, 0, 0, 1.0, (0.5, math.nan, 0.9, 0.4), better="higher")
    assert [curve.epochs_to(target) for target in (0.5, 0.6, 0.9, 0.95)] == [1, 3, 3, None]
    (row,) = time_to_score([curve], 0.9)
    assert (row.typical_s, row.target, row.epochs) == (pytest.approx(3.0), 0.9, [3])


def test_a_target_of_another_metric_is_called_by_its_name() -> None:
    rows = time_to_score([LearningCurve(JAX, 0, 0, 1.0, (-0.5, -1.5))], -1.0)
    assert time_to_target_lines(rows, {}, "log_loss")[0].startswith("Seconds of training to test log_loss -1 ")
