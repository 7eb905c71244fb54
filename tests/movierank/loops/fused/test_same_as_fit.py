"""`fused.fit` beside `model.fit(shuffle=False)`, from the same weights."""

from __future__ import annotations

from typing import Any

import pytest

MODELS = (
    "ranking",
    "with_state",
    "two_inputs_and_outputs",
    "weighted_with_a_schedule",
    "frozen_and_clipped",
    "table_of_two_calls",
    "mixed_precision",
    "tied",
    "metric_of_two_results",
)
BY_ROWS = ("ranking", "two_inputs_and_outputs", "table_of_two_calls")
CASES = [(name, "auto") for name in MODELS] + [(name, "rows") for name in BY_ROWS] + [("ranking", "tables")]


@pytest.mark.parametrize(("name", "updates"), CASES, ids=["-".join(case) for case in CASES])
def test_a_fused_training_is_the_training_that_fit_does(beside: Any, name: str, updates: str) -> None:
    model, wanted, history, expected = beside.trained(beside.models[name], updates)
    tolerance = 2e-2 if name == "mixed_precision" else 2e-5
    assert list(history) == list(expected)
    # TensorFlow's graph under `fit` knows no batch size, and a partial batch then counts in an output's loss as a full
    # one does.
    metrics = beside.sums_first or name != "two_inputs_and_outputs"
    for each, values in expected.items():
        if metrics or each not in ("yes_loss", "much_loss"):
            assert history[each] == pytest.approx(values, rel=tolerance), each
    beside.assert_same(model, wanted, tolerance, metrics=metrics)
