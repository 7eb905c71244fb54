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


def test_each_table_is_updated_by_rows_where_it_is_long_beside_the_ids_of_a_batch(
    beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from movierank.loops import fused_torch, rows_torch

    monkeypatch.setattr(rows_torch, "ROWS_FROM", 41)

    def make() -> Any:
        inputs = keras.Input((), dtype="int32"), keras.Input((6,), dtype="int32"), keras.Input((), dtype="int32")
        tables = [layers.Embedding(rows, 2) for rows in (41, 240, 40)]
        found = [layers.Flatten()(table(each)) for table, each in zip(tables, inputs, strict=True)]
        model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(found)))
        model.compile(optimizers.Adagrad(0.1), "mse")
        return model, {"x": (beside.ids, np.tile(beside.ids[:, None], 6), beside.ids), "y": beside.y}

    model, wanted, _, _ = beside.trained(make, "auto")
    beside.assert_same(model, wanted)
    # Batches of 8, and a last one of 2: 8, 48 and 8 ids, and 2, 12 and 2.
    names = {id(variable): variable.shape[0] for variable in model.variables}
    kept = fused_torch._kept[model]
    assert [[names[table] for table in key[0]] for key in kept.steps] == [[41], [41, 240]]


def test_a_step_that_reads_a_seed_on_the_host_is_not_to_be_captured(beside: Any) -> None:
    from movierank.loops import compiled_torch, fused_torch

    for name, expected in (("with_state", True), ("ranking", False)):
        model, data = beside.models[name]()
        fused.fit(model, **data, batch_size=beside.count)
        (step,) = fused_torch._kept[model].steps.values()
        assert compiled_torch._comes_back(step._run.graph) is expected


def test_the_gradient_of_a_long_table_that_is_used_otherwise_too_is_found(
    beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from movierank.loops import fused_torch, rows_torch

    model, data = beside.models["tied"]()
    model.evaluate(data["x"], data["y"], verbose=0)
    loss, (gradient,) = fused_torch.loss_and_gradients(model, data["x"], data["y"])
    monkeypatch.setattr(rows_torch, "ROWS_FROM", 1)
    found, (same,) = fused_torch.loss_and_gradients(model, data["x"], data["y"])
    assert found == loss
    np.testing.assert_array_equal(same, gradient)
