"""`fused.fit` on PyTorch only: ids, strides, settings and logs that a traced step would not see."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import fused

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="particular to PyTorch")

layers, optimizers = keras.layers, keras.optimizers
ROWS = 8


def of_ids(ids: Any) -> keras.Model:
    """A model of one table, of which `ids` makes ids from the input."""
    inputs = keras.Input((), dtype="int32")
    model = keras.Model(inputs, layers.Dense(1)(layers.Embedding(ROWS, 3)(ids(inputs))))
    model.compile(optimizers.SGD(0.1), "mse")
    return model


def weights(model: keras.Model) -> list[Any]:
    return [training.as_numpy(variable).copy() for variable in model.variables]


@pytest.mark.parametrize("updates", ["rows", "tables"])
@pytest.mark.parametrize("wrong", [ROWS, -ROWS - 1, -2 * ROWS])
def test_an_id_without_a_row_is_told_before_anything_is_trained(beside: Any, updates: Any, wrong: int) -> None:
    model, ids = of_ids(lambda inputs: inputs), beside.ids.astype(np.int64)
    ids[-1] = wrong  # in the last, smaller batch
    before = weights(model)
    with pytest.raises(ValueError, match=f"id {wrong} is outside the {ROWS} rows of embedding"):
        fused.fit(model, ids, beside.y, batch_size=beside.batch, embedding_updates=updates)
    for one, other in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(one, other)
    ids[-1] = -ROWS  # the first row, counted from the end
    fused.fit(model, ids, beside.y, batch_size=beside.batch, embedding_updates=updates)


def test_a_compiled_step_is_not_made_with_an_id_without_a_row(beside: Any) -> None:
    model, data = beside.models["ranking"]()
    data["x"]["movie_id"] = data["x"]["movie_id"] - 17
    with pytest.raises(ValueError, match=r"id -17 is outside the 8 rows of .*embedding"):
        fused.fit(model, **data, batch_size=beside.batch)


class Summed(keras.Model):
    """Sums what it looks up."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = layers.Embedding(ROWS, 3), layers.Dense(1)

    def call(self, ids: Any) -> Any:
        return self.last(keras.ops.sum(self.table(ids), axis=1))


def test_an_array_of_no_ids_has_no_wrong_one(beside: Any) -> None:
    def make() -> Any:
        model = Summed()
        model.compile(optimizers.SGD(0.1), "mse")
        return model, {"x": np.zeros((beside.count, 0), np.int32), "y": beside.y}

    model, wanted, _, _ = beside.trained(make, "auto")
    beside.assert_same(model, wanted)


@pytest.mark.parametrize("updates", ["rows", "tables"])
def test_ids_that_a_model_computes_are_told_at_the_end_of_the_epoch(beside: Any, updates: Any) -> None:
    model, ids = of_ids(lambda inputs: 2 * inputs), beside.ids // 2
    options: Any = {"batch_size": beside.batch, "embedding_updates": updates}
    fused.fit(model, ids, beside.y, **options)
    ids[[3, -1]] = ROWS, -ROWS
    with pytest.raises(ValueError, match="2 ids are outside"):
        fused.fit(model, ids, beside.y, **options)
    fused.fit(model, beside.ids // 2, beside.y, **options)


def test_a_compiled_step_takes_arrays_in_any_order_of_memory(beside: Any) -> None:
    model, wanted, data = beside.pair(beside.models["with_state"])
    options: Any = {"batch_size": beside.batch, "shuffle": False, "verbose": 0}
    for x in (data["x"], np.asfortranarray(data["x"])):
        fused.fit(model, x, data["y"], **options)
        wanted.fit(x, data["y"], **options)
    beside.assert_same(model, wanted)


def test_a_step_that_cannot_be_compiled_is_said_to_run_eagerly(beside: Any) -> None:
    from movierank.loops.torch import fused as fused_torch

    def of_positives(y: Any, found: Any) -> Any:
        return keras.ops.mean((found - y)[y > 0] ** 2)  # how many there are depends on the batch

    def make() -> Any:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(optimizers.SGD(0.1), of_positives)
        return model, {"x": beside.x, "y": beside.y}

    model, wanted, _, _ = beside.trained(make, "auto")
    beside.assert_same(model, wanted)
    assert fused_torch.compile_mode(model) == "eager"


class WithLogs(keras.Sequential):
    """Returns a log of its own."""

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return {**super().compute_metrics(x, y, y_pred, sample_weight), "largest": keras.ops.max(y_pred)}


def test_logs_that_are_no_metrics_are_refused(beside: Any) -> None:
    model = WithLogs([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="largest"):
        fused.fit(model, beside.x, beside.y, batch_size=beside.batch)


def assert_same_with_a_change_between(beside: Any, make: Any, change: Any) -> None:
    """Train twice by both loops, with a change of the optimizer after each training."""
    model, wanted, data = beside.pair(make)
    options: Any = {"batch_size": beside.batch, "shuffle": False, "verbose": 0}
    for _ in range(2):
        fused.fit(model, **data, **options)
        wanted.fit(**data, **options)
        for each in (model, wanted):
            change(each.optimizer)
    beside.assert_same(model, wanted)


@pytest.mark.parametrize(
    "change",
    [
        lambda optimizer: setattr(optimizer, "learning_rate", optimizers.schedules.ExponentialDecay(0.5, 3, 0.5)),
        lambda optimizer: setattr(optimizer, "clipnorm", 0.01),
        lambda optimizer: setattr(optimizer._learning_rate, "decay_rate", 0.1),
        lambda optimizer: optimizer.iterations.assign(0),
    ],
    ids=["schedule", "clipping", "decay", "nothing in Python"],
)
def test_what_is_set_of_an_optimizer_between_trainings_holds(beside: Any, change: Any) -> None:
    def make() -> Any:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 3, 0.9)), "mse")
        return model, {"x": beside.x, "y": beside.y}

    assert_same_with_a_change_between(beside, make, change)


def test_what_is_set_of_an_optimizer_among_several_holds(beside: Any) -> None:
    def make() -> Any:
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        chosen = optimizers.OptimizerMap(optimizers.SGD(0.1), {".*bias": optimizers.Adam(0.1)})
        model.compile(optimizers.MultiOptimizer(chosen), "mse")
        return model, {"x": beside.x, "y": beside.y}

    assert_same_with_a_change_between(
        beside, make, lambda optimizer: setattr(optimizer.optimizers[-1], "clipnorm", 0.01)
    )


def test_another_training_compiles_nothing_anew(beside: Any) -> None:
    from movierank.loops.torch import fused as fused_torch

    model, data = beside.models["weighted_with_a_schedule"]()
    kept = []
    for _ in range(2):
        fused.fit(model, **data, batch_size=beside.batch)
        kept.append([fused_torch._kept[model], *fused_torch._kept[model].steps.values()])
    assert all(one is other for one, other in zip(*kept, strict=True))


def test_each_table_is_updated_by_rows_where_it_is_long_beside_the_ids_of_a_batch(
    beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from movierank.loops import exact_rows
    from movierank.loops.torch import fused as fused_torch

    monkeypatch.setitem(exact_rows.FEWEST_ROWS, "torch", 41)

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
    from movierank.loops.torch import compiled as compiled_torch
    from movierank.loops.torch import fused as fused_torch

    for name, expected in (("with_state", True), ("ranking", False)):
        model, data = beside.models[name]()
        fused.fit(model, **data, batch_size=beside.count)
        (step,) = fused_torch._kept[model].steps.values()
        assert compiled_torch._comes_back(step.run._run.graph) is expected


def test_the_gradient_of_a_long_table_that_is_used_otherwise_too_is_found(
    beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from movierank.loops import exact_rows
    from movierank.loops.torch import fused as fused_torch

    model, data = beside.models["tied"]()
    model.evaluate(data["x"], data["y"], verbose=0)
    loss, (gradient,) = fused_torch.loss_and_gradients(model, data["x"], data["y"])
    monkeypatch.setitem(exact_rows.FEWEST_ROWS, "torch", 1)
    found, (same,) = fused_torch.loss_and_gradients(model, data["x"], data["y"])
    assert found == loss
    np.testing.assert_array_equal(same, gradient)
