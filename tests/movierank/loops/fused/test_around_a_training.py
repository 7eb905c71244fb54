"""The surroundings of `fused.fit`: callbacks, files, kept code, and a model that is trained further."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import examples, fused

Data = dict[str, Any]


def test_callbacks_and_validation_see_what_they_see_under_fit(beside: Any, tmp_path: Path) -> None:
    def callbacks(name: str) -> list[keras.callbacks.Callback]:
        return [
            keras.callbacks.ModelCheckpoint(tmp_path / f"{name}-{{epoch}}.keras"),
            keras.callbacks.EarlyStopping(monitor="loss", patience=0, mode="max", restore_best_weights=True),
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        ]

    model, wanted, data = beside.pair(beside.models["with_state"])
    options: Data = {"epochs": 4, "batch_size": beside.batch, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    expected = wanted.fit(**data, **options, callbacks=callbacks("fit")).history
    history = fused.fit(model, **data, **options, callbacks=callbacks("fused")).history
    assert 1 < len(history["loss"]) < 4, "stopped early"
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-4), name
    beside.assert_same(model, wanted)
    saved = keras.saving.load_model(tmp_path / "fused-1.keras")
    beside.assert_same(saved, keras.saving.load_model(tmp_path / "fit-1.keras"))


def test_callbacks_hear_of_an_evaluation_as_under_fit(beside: Any) -> None:
    def callbacks(heard: list[Any]) -> list[keras.callbacks.Callback]:
        """The first has the averaged weights evaluated, the second listens."""
        listener = keras.callbacks.LambdaCallback(
            on_test_begin=lambda logs: heard.append("begin"),
            on_test_batch_end=lambda batch, logs: heard.append(batch),
            on_test_end=lambda logs: heard.append(sorted(logs)),
        )
        return [keras.callbacks.SwapEMAWeights(), listener]

    model, wanted, data = beside.pair(beside.models["frozen_and_clipped"])
    options: Data = {"epochs": 3, "batch_size": beside.batch, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    expected_calls: list[Any] = []
    calls: list[Any] = []
    expected = wanted.fit(**data, **options, callbacks=callbacks(expected_calls)).history
    history = fused.fit(model, **data, **options, callbacks=callbacks(calls)).history
    assert calls == expected_calls == ["begin", 0, 1, ["loss"]] * 3
    assert history["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-4)
    beside.assert_same(model, wanted)


def test_a_metric_of_several_values_is_told_as_fit_tells_it(beside: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def by_class() -> tuple[keras.Model, Data]:
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
        f1 = keras.metrics.F1Score(average=None, threshold=0.3, name="f1")
        model.compile("sgd", "categorical_crossentropy", metrics=[f1])
        return model, {"x": beside.x, "y": np.eye(3, dtype=np.float32)[beside.ids % 3]}

    model, wanted, data = beside.pair(by_class)
    options: Data = {"epochs": 2, "batch_size": beside.batch, "shuffle": False, "validation_split": 0.2}
    expected = wanted.fit(**data, **options, verbose=0).history
    history = fused.fit(model, **data, **options, verbose=1).history
    assert list(history) == list(expected)
    for name in ("f1", "val_f1"):
        assert np.shape(history[name]) == (2, 3)
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-5)
    values = np.array2string(np.asarray(history["f1"][-1]), precision=4, floatmode="fixed")
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"f1: {values} - " in line
    assert f"val_loss: {history['val_loss'][-1]:.4f}" in line


def test_chunks_leave_no_trace(beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "CHUNK_BYTES", 28 * beside.batch * 2)  # two batches
    model, wanted, history, expected = beside.trained(beside.models["with_state"], "auto")
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    beside.assert_same(model, wanted)


def test_the_model_goes_on_with_keras_afterwards(beside: Any, tmp_path: Path) -> None:
    model, wanted, _, _ = beside.trained(beside.models["with_state"], "auto")
    _, data = beside.models["with_state"]()
    for each in (model, wanted):
        each.fit(**data, batch_size=beside.batch, shuffle=False, verbose=0)
    beside.assert_same(model, wanted)
    np.testing.assert_allclose(model.predict(beside.x, verbose=0), wanted.predict(beside.x, verbose=0), atol=1e-5)
    model.save(tmp_path / "model.keras")
    fused.fit(model, **data, batch_size=beside.batch)


def test_averaged_weights_may_be_trained_on(beside: Any) -> None:
    """On JAX they and the weights must not share arrays, which Keras's own `fit` leaves them with."""
    model, wanted, data = beside.pair(beside.models["frozen_and_clipped"])
    for _ in range(2):
        fused.fit(model, **data, batch_size=beside.batch, shuffle=False)
        training.train(wanted, **data, batch_size=beside.batch, epochs=1)
        model.predict(beside.x, verbose=0)
        beside.assert_same(model, wanted)


def test_a_model_compiled_or_frozen_anew_is_not_trained_as_before(beside: Any) -> None:
    model, wanted, data = beside.pair(beside.models["with_state"])
    options: Data = {"batch_size": beside.batch, "shuffle": False}
    fused.fit(model, **data, **options)
    wanted.fit(**data, **options, verbose=0)
    for each in (model, wanted):
        each.layers[1].trainable = False
        each.compile(keras.optimizers.SGD(0.5), "mse", metrics=["mae"])
    history = fused.fit(model, **data, **options).history
    expected = wanted.fit(**data, **options, verbose=0).history
    assert list(history) == list(expected) == ["loss", "mae"]
    assert history["mae"] == pytest.approx(expected["mae"], rel=1e-5)
    beside.assert_same(model, wanted)


def test_a_shuffled_epoch_trains_on_every_example_in_an_order_of_the_seed(beside: Any) -> None:
    model, wanted, data = beside.pair(beside.models["two_inputs_and_outputs"])
    keras.utils.set_random_seed(5)
    fused.fit(model, **data, batch_size=beside.count)
    wanted.fit(**data, batch_size=beside.count, shuffle=False, verbose=0)
    beside.assert_same(model, wanted)


def test_an_interrupt_leaves_a_usable_model(beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, data = beside.pair(beside.models["weighted_with_a_schedule"])
    monkeypatch.setattr(examples, "CHUNK_BYTES", 32 * beside.batch)  # a batch
    whole = examples.Examples.chunks

    def interrupted(self: examples.Examples, order: Any = None) -> Any:
        yield from list(whole(self, order))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(examples.Examples, "chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fused.fit(model, **data, batch_size=beside.batch, epochs=3)
    monkeypatch.setattr(examples.Examples, "chunks", whole)
    assert all(np.isfinite(training.as_numpy(variable)).all() for variable in beside.everything(model))
    model.evaluate(beside.x, beside.y, verbose=0)
    fused.fit(model, **data, batch_size=beside.batch)
    model.fit(**data, batch_size=beside.batch, verbose=0)


def test_what_is_kept_of_a_model_does_not_keep_the_model(beside: Any) -> None:
    model, data = beside.models["weighted_with_a_schedule"]()
    fused.fit(model, **data, batch_size=beside.batch)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
