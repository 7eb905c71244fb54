"""Arguments that `model.fit` takes: `fused.fit` does the same with them, or refuses them in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from movierank.loops import fused


class Sequence(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        raise AssertionError


def generated() -> Iterator[Any]:
    raise AssertionError
    yield


def of_framework() -> Any:
    """Return a data set of the backend's own kind."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((np.zeros((4, 6)), np.zeros((4, 1)))).batch(2)
    if keras.backend.backend() == "torch":
        import torch

        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 6), torch.zeros(4, 1)))
    return Sequence(workers=1)


def classifier() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3, activation="softmax")])
    model.build((None, 6))
    return model


@pytest.mark.parametrize(
    "given",
    [
        {"callbacks": None, "batch_size": None},
        {"callbacks": keras.callbacks.EarlyStopping("loss", patience=0, min_delta=100.0)},
        {"class_weight": {0: 3.0, 2: 0.25}},
        {"class_weight": {0: 3.0, 2: 0.25}, "validation_split": 0.2},
    ],
    ids=["none", "one_callback", "class_weight", "class_weight_and_validation"],
)
@pytest.mark.parametrize("one_hot", [False, True])
def test_arguments_of_fit(beside: Any, given: dict[str, Any], one_hot: bool) -> None:
    labels = np.arange(beside.count) % 3
    y = np.eye(3, dtype=np.float32)[labels] if one_hot else labels[:, None]
    wanted: dict[str, Any] = {"x": beside.x, "y": y, "epochs": 3, "shuffle": False, "verbose": 0, **given}
    models = [classifier(), classifier()]
    for model in models:
        model.compile(keras.optimizers.SGD(0.1), f"{'' if one_hot else 'sparse_'}categorical_crossentropy")
    history, expected = fused.fit(models[0], **wanted).history, models[1].fit(**wanted).history
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-5), name
    for mine, theirs in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [of_framework, lambda: Sequence(workers=1), generated])
def test_data_that_are_no_arrays_are_refused_before_training(beside: Any, make: Callable[[], Any]) -> None:
    model, data = beside.models["with_state"]()
    before = model.get_weights()
    kind = type(make()).__name__
    with pytest.raises(ValueError, match=f"trains on arrays, and x is a {kind}; make arrays of it, or use model.fit"):
        fused.fit(model, make())
    with pytest.raises(ValueError, match=f"validation_data must be .* of arrays, not a {kind}"):
        fused.fit(model, **data, validation_data=make())
    with pytest.raises(ValueError, match="trains on arrays, and y holds a float"):
        fused.fit(model, data["x"], [0.5] * beside.count)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("name", ["steps_per_epoch", "validation_steps"])
def test_a_number_of_steps_is_refused(beside: Any, name: str) -> None:
    model, data = beside.models["with_state"]()
    with pytest.raises(ValueError, match=f"has no {name}; use model.fit"):
        fused.fit(model, **data, **{name: 2})


def test_class_weights_beside_sample_weights_or_outputs_are_refused(beside: Any) -> None:
    model, data = beside.models["with_state"]()
    with pytest.raises(ValueError, match="exclude each other"):
        fused.fit(model, **data, class_weight={0: 2.0}, sample_weight=np.ones(beside.count))
    model, data = beside.models["two_inputs_and_outputs"]()
    with pytest.raises(ValueError, match="one output"):
        fused.fit(model, **data, class_weight={0: 2.0})


def test_a_training_that_was_cut_off_goes_on_from_its_backup(beside: Any, tmp_path: Path) -> None:
    class CutOff(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    def backup() -> keras.callbacks.Callback:
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq="epoch")

    options: dict[str, Any] = {"batch_size": beside.batch, "epochs": 4, "shuffle": False, "verbose": 0}
    model, whole, data = beside.pair(beside.models["two_inputs_and_outputs"])
    expected = fused.fit(whole, **data, **options).history
    with pytest.raises(KeyboardInterrupt):
        fused.fit(model, **data, **options, callbacks=[backup(), CutOff()])
    again, _, _ = beside.pair(beside.models["two_inputs_and_outputs"])
    history = fused.fit(again, **data, **options, callbacks=backup()).history
    assert history["loss"] == pytest.approx(expected["loss"][2:], rel=1e-5)
    with pytest.raises(ValueError, match="BackupAndRestore has on_train_batch_end"):
        fused.fit(again, **data, callbacks=keras.callbacks.BackupAndRestore(str(tmp_path / "other"), save_freq=2))
