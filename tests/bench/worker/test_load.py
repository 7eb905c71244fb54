"""What is said of mistakes in a workload of one's own, in the worker that loads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from bench.errors import WorkloadError
from bench.parity.rounding import order_in_batches
from bench.schema.messages import Describe
from bench.schema.workload import Arrays, Workload
from bench.worker.stage_recorder import weight_names
from bench.worker.workload import Examples, sha256_of
from bench.worker.workloads.describe import describe
from bench.worker.workloads.load import build_model, load_parts, load_workload
from bench.worker.workloads.model import model_sha256, random_layers, tables


def network(units: int = 4, rate: float = 0.1, compiled: bool = True) -> keras.Model:
    layers = [keras.layers.Dense(units, activation="relu"), keras.layers.Dense(units), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    if compiled:
        model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse", metrics=["mae"])
    return model


def some_arrays() -> Arrays:
    x = np.linspace(-1, 1, 40).reshape(20, 2)
    return Arrays(x, x.sum(axis=1), x[:6], x[:6].sum(axis=1))


WORKLOAD = Workload(
    name="small", build=lambda seed: network(), arrays=some_arrays, metric="mae", batch_size=8, epochs=1
)


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="no_such_module cannot be imported: ModuleNotFoundError"):
        load_workload("no_such_module:workload")
    (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(WorkloadError, match=r"SyntaxError.*\n.*broken\.py, line 2"):
        load_workload(f"{tmp_path / 'broken.py'}:x")


def test_an_object_that_is_not_there_or_no_workload(tmp_path: Path) -> None:
    file = tmp_path / "some_workload.py"
    file.write_text(
        "from bench.schema.workload import Workload\n"
        "right = Workload(name='n', build=print, arrays=print, metric='m', batch_size=1, epochs=1)\n"
        "wrong = 3\n"
    )
    assert load_workload(f"{file}:right").name == "n"
    with pytest.raises(WorkloadError, match="has no left; it has right"):
        load_workload(f"{file}:left")
    with pytest.raises(WorkloadError, match=r"is no bench\.Workload but int"):
        load_workload(f"{file}:wrong")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"train_y": np.zeros(19)}, "of one length, and not empty; there are train_x 20, train_y 19"),
        ({"test_x": np.zeros((0, 2)), "test_y": np.zeros(0)}, "not empty"),
        ({"train_x": np.full((20, 2), np.nan)}, "train_x holds 40 numbers that are not finite"),
        ({"test_y": np.array(["a"] * 6)}, "give NumPy arrays of numbers"),
    ],
)
def test_arrays_that_cannot_be_trained_on(change, word) -> None:
    with pytest.raises(WorkloadError, match=word):
        load_parts(replace(WORKLOAD, arrays=lambda: replace(some_arrays(), **change)))


def test_a_batch_larger_than_the_train_part_and_arrays_that_fail() -> None:
    with pytest.raises(WorkloadError, match="batch_size 21 is larger than the train part"):
        load_parts(replace(WORKLOAD, batch_size=21))
    with pytest.raises(WorkloadError, match=r"arrays\(\) of small failed: ZeroDivisionError.*\n.*test_load"):
        load_parts(replace(WORKLOAD, arrays=lambda: 1 / 0))


def test_a_model_that_cannot_be_trained() -> None:
    parts = load_parts(WORKLOAD)
    with pytest.raises(WorkloadError, match="not compiled"):
        build_model(replace(WORKLOAD, build=lambda seed: network(compiled=False)), 0, parts)
    with pytest.raises(WorkloadError, match=r"returned int, not keras\.Model"):
        build_model(replace(WORKLOAD, build=lambda seed: seed), 0, parts)


def test_a_metric_that_the_model_does_not_report(tmp_path: Path, monkeypatch) -> None:
    asked = Describe(backend="", device="cpu", threads=1, target="m:o", seeds=2, folder=str(tmp_path))
    monkeypatch.setattr(
        "bench.worker.workloads.describe.load_workload", lambda target: replace(WORKLOAD, metric="rmse")
    )
    with pytest.raises(WorkloadError, match=r"'rmse', and its model reports .*mae"):
        describe(asked)
    monkeypatch.setattr("bench.worker.workloads.describe.load_workload", lambda target: WORKLOAD)
    described = describe(asked)
    assert (described.num_train, described.num_test, described.outputs, described.optimizer) == (20, 6, 1, "SGD")
    assert len(np.load(tmp_path / "weights-1.npz").files) == 6
    assert described.traced[-1] == "sequential/dense/bias-3[0]"


def test_a_metric_of_several_values_is_no_score_but_may_be_there(tmp_path: Path, monkeypatch) -> None:
    def build(seed: int) -> keras.Model:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
        f1 = keras.metrics.F1Score(average=None, name="f1")
        model.compile("sgd", "categorical_crossentropy", metrics=[f1, "accuracy"])
        return model

    x, y = np.ones((40, 2)), np.eye(3)[np.arange(40) % 3]
    by_class = replace(WORKLOAD, name="by class", build=build, arrays=lambda: Arrays(x, y, x, y), metric="f1")
    asked = Describe(backend="", device="cpu", threads=1, target="m:o", seeds=1, folder=str(tmp_path))
    monkeypatch.setattr("bench.worker.workloads.describe.load_workload", lambda target: by_class)
    with pytest.raises(WorkloadError, match="'f1', which has 3 values"):
        describe(asked)
    monkeypatch.setattr(
        "bench.worker.workloads.describe.load_workload", lambda target: replace(by_class, metric="accuracy")
    )
    assert describe(asked).outputs == 3


def test_a_checksum_knows_a_model_by_what_it_is() -> None:
    same, again = network(), network()
    assert [layer.name for layer in same.layers] != [layer.name for layer in again.layers]
    assert model_sha256(same) == model_sha256(again)
    assert weight_names(same.weights) == weight_names(again.weights)
    assert len(set(weight_names(same.weights))) == len(same.weights)
    assert len({model_sha256(model) for model in (same, network(units=5), network(rate=0.2))}) == 3
    # Keras settles by the backend whether a model is compiled.
    for jit_compile in (True, False):
        again.compile(optimizer=again.optimizer, loss="mse", metrics=["mae"], jit_compile=jit_compile)
        assert model_sha256(again) == model_sha256(same)


def test_random_layers_and_tables_are_found_inside_of_layers() -> None:
    inner = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(5, 2), keras.layers.Flatten()])
    model = keras.Sequential([keras.Input((3,), dtype="int32"), inner, keras.layers.GaussianNoise(0.1)])
    assert tables(model) == [name for name in weight_names(model.weights) if name.endswith("embeddings")]
    assert len(tables(model)) == 1
    assert len(random_layers(model)) == 1
    assert random_layers(network()) == []


def test_examples_are_permuted_inside_their_batches_and_with_their_targets() -> None:
    examples = Examples({"a": np.arange(10), "b": np.arange(10) * 2}, np.arange(10) * 3)
    permuted = examples.take(order_in_batches(10, 4, np.random.default_rng(0)))
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        batch = permuted.take(slice(start, stop))
        assert sorted(batch.features["a"]) == list(range(start, stop))
    assert (permuted.label == 3 * permuted.features["a"]).all()
    assert (permuted.features["b"] == 2 * permuted.features["a"]).all()
    assert (permuted.label != examples.label).any()
    assert sha256_of([permuted.label]) != sha256_of([examples.label])
