"""What `fused.fit` does on PyTorch alone: ids, strides, settings and logs that a traced step would not see."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from movierank.loops import fused

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="particular to PyTorch")

layers, optimizers = keras.layers, keras.optimizers


def test_a_compiled_step_takes_arrays_in_any_order_of_memory(beside: Any) -> None:
    model, wanted, data = beside.pair(beside.models["with_state"])
    options: Any = {"batch_size": beside.batch, "shuffle": False, "verbose": 0}
    for x in (data["x"], np.asfortranarray(data["x"])):
        fused.fit(model, x, data["y"], **options)
        wanted.fit(x, data["y"], **options)
    beside.assert_same(model, wanted)


def test_a_step_that_reads_a_seed_on_the_host_is_not_to_be_captured(beside: Any) -> None:
    from movierank.loops import compiled_torch, fused_torch

    for name, expected in (("with_state", True), ("ranking", False)):
        model, data = beside.models[name]()
        fused.fit(model, **data, batch_size=beside.count)
        (step,) = fused_torch._kept[model].steps.values()
        assert compiled_torch._comes_back(step._run.graph) is expected
