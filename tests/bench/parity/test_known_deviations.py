"""What a backend is known to do otherwise is named, and hides nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.parity.stages import WEIGHT_NAMES
from bench.schema.cell import Cell

pytestmark = pytest.mark.backend_free

JAX, TENSORFLOW, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "tensorflow", "torch"))


def test_a_known_deviation_is_named_with_the_oracle_and_with_every_other_cell(small: Any) -> None:
    clean, deviating = small.first_steps(JAX), small.first_steps(TENSORFLOW, squares="one_by_one")
    results = small.judge([clean, deviating, replace(clean, cell=TORCH)])
    found = [r for r in results if r.verdict == "outside"]
    assert {r.known for r in found} == {"tensorflow-indexed-slices"}
    assert {(r.a, r.b) for r in found} == {
        ("tensorflow/cpu/fit", "oracle"),
        ("jax/cpu/fit", "tensorflow/cpu/fit"),
        ("tensorflow/cpu/fit", "torch/cpu/fit"),
    }
    stages = {r.stage for r in found}
    assert {f"{kind}/{table}" for kind in ("probe", "accumulators 1") for table in WEIGHT_NAMES[:2]} <= stages


def test_what_is_known_of_one_backend_excuses_no_other(small: Any) -> None:
    assert set(small.outside(small.judge([small.first_steps(JAX, squares="one_by_one")])).values()) == {None}


def test_a_known_deviation_hides_no_other_fault(small: Any) -> None:
    both = small.first_steps(TENSORFLOW, squares="one_by_one", learning_rate=0.1001)
    found = small.outside(small.judge([both]))
    assert found["probe/user_embedding"] is None
    assert found["probe/kernel1"] is None


def test_a_known_deviation_explains_the_rmse_and_the_rankings_that_follow_from_it(small: Any) -> None:
    name, known = "tensorflow-indexed-slices", small.reference()
    noise = np.random.default_rng(0).normal(0, 0.05, len(small.test))
    variant = {**known.variants[name], "epoch 2": known.variants[name]["epoch 2"] + noise}
    run = small.trained(TENSORFLOW, squares="one_by_one")
    deviating = replace(run, values={**run.values, "epoch 2": run.values["epoch 2"] + noise})
    found = small.outside(small.judge([deviating], {0: replace(known, variants={name: variant})}))
    assert set(found) == {"epoch 2", *small.derived}
    assert set(found.values()) == {name}
    unknown = small.outside(small.judge([deviating], {0: known}))
    assert set(unknown.values()) == {None}
