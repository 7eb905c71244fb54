"""`fused.fit` beside `model.fit(shuffle=False)`, from the same weights, for models that others would bring."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import examples, fused
from movierank.model import RankingModel

COUNT, BATCH = 50, 8  # six batches and a partial one
ROWS = np.random.default_rng(0)
X = ROWS.normal(size=(COUNT, 6)).astype(np.float32)
Y = (X[:, :1] > 0).astype(np.float32)
IDS = ROWS.integers(0, 7, COUNT).astype(np.int32)  # of eight rows: some repeat in every batch, the last is never there
WEIGHT = ROWS.uniform(0.1, 2, COUNT).astype(np.float32)
# Keras squares slices of repeated ids before it adds them there (docs/deviations.md), and these loops do not.
SUMS_FIRST = keras.backend.backend() != "tensorflow"

layers, optimizers = keras.layers, keras.optimizers
Data = dict[str, Any]


def ranking() -> tuple[keras.Model, Data]:
    model = RankingModel(8, 8, 4)
    model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model)
    movies = np.arange(COUNT, dtype=np.int32) % 8
    return model, {"x": {"user_id": IDS if SUMS_FIRST else movies, "movie_id": movies}, "y": Y[:, 0]}


def with_state() -> tuple[keras.Model, Data]:
    """Dropout has a seed that moves, BatchNormalization statistics that do, and a regulariser adds to the loss."""
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    x = layers.Dropout(0.4, seed=3)(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile(optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model, {"x": X, "y": Y}


def two_inputs_and_outputs() -> tuple[keras.Model, Data]:
    number, identity = keras.Input((6,), name="number"), keras.Input((), dtype="int32", name="identity")
    x = layers.Concatenate()([number, layers.Embedding(8, 3)(identity)])
    outputs = {"yes": layers.Dense(1, activation="sigmoid", name="yes")(x), "much": layers.Dense(2, name="much")(x)}
    model = keras.Model({"number": number, "identity": identity}, outputs)
    losses = {"yes": "binary_crossentropy", "much": "mse"}
    model.compile(optimizers.SGD(0.05), losses, loss_weights={"yes": 1.0, "much": 0.3}, metrics={"much": ["mae"]})
    return model, {"x": {"number": X, "identity": IDS}, "y": {"yes": Y, "much": X[:, 2:4]}}


def weighted_with_a_schedule() -> tuple[keras.Model, Data]:
    model = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(1)])
    schedule = optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    auc = keras.metrics.AUC(num_thresholds=9, name="auc", from_logits=True)
    model.compile(optimizers.Adagrad(schedule), "mse", weighted_metrics=["mae", auc])
    return model, {"x": X, "y": Y, "sample_weight": WEIGHT}


def frozen_and_clipped() -> tuple[keras.Model, Data]:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu", trainable=False), layers.Dense(1)])
    model.compile(optimizers.AdamW(0.02, weight_decay=0.01, global_clipnorm=0.5, use_ema=True), keras.losses.Huber())
    return model, {"x": X, "y": Y}


def table_of_two_calls() -> tuple[keras.Model, Data]:
    """One table, looked up with [B] and [B, 3] ids, which is updated by rows."""
    one, many = keras.Input((), dtype="int32"), keras.Input((3,), dtype="int32")
    table = layers.Embedding(8, 3)
    x = layers.Concatenate()([table(one), layers.Flatten()(table(many))])
    model = keras.Model([one, many], layers.Dense(1)(x))
    model.compile(optimizers.Adagrad(0.1) if SUMS_FIRST else optimizers.SGD(0.1), "mse")
    return model, {"x": [IDS, np.stack([IDS, IDS[::-1], IDS // 2], axis=1)], "y": Y}


def mixed_precision() -> tuple[keras.Model, Data]:
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential(
        [keras.Input((), dtype="int32"), layers.Embedding(8, 4, dtype=policy), layers.Dense(1, dtype=policy)]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    return model, {"x": IDS, "y": Y}


class Tied(keras.Model):
    """The table is an output layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = layers.Embedding(8, 4)

    def call(self, ids: Any) -> Any:
        return keras.ops.matmul(self.table(ids), keras.ops.transpose(self.table.embeddings))


def tied() -> tuple[keras.Model, Data]:
    model = Tied()
    model.compile(optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, {"x": IDS, "y": IDS[::-1].copy()}


Make = Callable[[], tuple[keras.Model, Data]]


@pytest.fixture(autouse=True)
def _compiling_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PyTorch compiles the ranking model alone: a C++ compiler takes seconds for each graph."""
    if keras.backend.backend() == "torch" and "ranking-" not in request.node.name:
        from movierank.loops import compiled_torch

        monkeypatch.setattr(compiled_torch, "compile_mode", lambda: "eager")


MODELS: list[Make] = [
    ranking,
    with_state,
    two_inputs_and_outputs,
    weighted_with_a_schedule,
    frozen_and_clipped,
    table_of_two_calls,
    mixed_precision,
    tied,
]
BY_ROWS = (ranking, two_inputs_and_outputs, table_of_two_calls)


def pair(make: Make) -> tuple[keras.Model, keras.Model, Data]:
    """Two models with the same weights and seeds, and what to train them on."""
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        made.append(make())
    (one, data), (other, _) = made
    x, y = (keras.tree.map_structure(lambda array: array[:BATCH], data[name]) for name in ("x", "y"))
    for model in (one, other):
        model.evaluate(x, y, verbose=0)  # builds what has no shape yet
    other.set_weights(one.get_weights())
    return one, other, data


def everything(model: keras.Model) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [training.as_numpy(variable) for variable in variables]


def assert_same(found: keras.Model, wanted: keras.Model, tolerance: float = 2e-5) -> None:
    for one, other, variable in zip(everything(found), everything(wanted), found.variables, strict=False):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=variable.path)


def both(make: Make, updates: str, **options: Any) -> tuple[keras.Model, keras.Model, Any, Any]:
    model, wanted, data = pair(make)
    options = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **options}
    expected = wanted.fit(**data, **options).history
    history = fused.fit(model, **data, **options, embedding_updates=updates).history
    return model, wanted, history, expected


CASES = [(make, "auto") for make in MODELS] + [(make, "rows") for make in BY_ROWS] + [(ranking, "tables")]


@pytest.mark.parametrize(("make", "updates"), CASES, ids=[f"{make.__name__}-{updates}" for make, updates in CASES])
def test_a_fused_training_is_the_training_that_fit_does(make: Make, updates: str) -> None:
    model, wanted, history, expected = both(make, updates)
    tolerance = 2e-2 if make is mixed_precision else 2e-5
    assert list(history) == list(expected)
    for name, values in expected.items():
        # TensorFlow's graph under `fit` knows no batch size, and a partial batch then counts in an output's loss as a
        # full one does.
        if SUMS_FIRST or name not in ("yes_loss", "much_loss"):
            assert history[name] == pytest.approx(values, rel=tolerance), name
    assert_same(model, wanted, tolerance)
    assert len(everything(model)) == len(everything(wanted))


def test_callbacks_and_validation_see_what_they_see_under_fit(tmp_path: Path) -> None:
    def callbacks(name: str) -> list[keras.callbacks.Callback]:
        return [
            keras.callbacks.ModelCheckpoint(tmp_path / f"{name}-{{epoch}}.keras"),
            keras.callbacks.EarlyStopping(monitor="loss", patience=0, mode="max", restore_best_weights=True),
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        ]

    model, wanted, data = pair(with_state)
    options: Data = {"epochs": 4, "batch_size": BATCH, "shuffle": False, "verbose": 0, "validation_split": 0.2}
    expected = wanted.fit(**data, **options, callbacks=callbacks("fit")).history
    history = fused.fit(model, **data, **options, callbacks=callbacks("fused")).history
    assert 1 < len(history["loss"]) < 4, "stopped early"
    assert list(history) == list(expected)
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-4), name
    assert_same(model, wanted)
    saved = keras.saving.load_model(tmp_path / "fused-1.keras")
    assert_same(saved, keras.saving.load_model(tmp_path / "fit-1.keras"))


def test_chunks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "CHUNK_BYTES", 28 * BATCH * 2)  # two batches
    model, wanted, history, expected = both(with_state, "auto")
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert_same(model, wanted)


def test_the_model_goes_on_with_keras_afterwards(tmp_path: Path) -> None:
    model, wanted, _, _ = both(with_state, "auto")
    _, data = with_state()
    for each in (model, wanted):
        each.fit(**data, batch_size=BATCH, shuffle=False, verbose=0)
    assert_same(model, wanted)
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted.predict(X, verbose=0), atol=1e-5)
    model.save(tmp_path / "model.keras")
    fused.fit(model, **data, batch_size=BATCH)


def test_a_model_compiled_or_frozen_anew_is_not_trained_as_before() -> None:
    model, wanted, data = pair(with_state)
    options: Data = {"batch_size": BATCH, "shuffle": False}
    fused.fit(model, **data, **options)
    wanted.fit(**data, **options, verbose=0)
    for each in (model, wanted):
        each.layers[1].trainable = False
        each.compile(optimizers.SGD(0.5), "mse", metrics=["mae"])
    history = fused.fit(model, **data, **options).history
    expected = wanted.fit(**data, **options, verbose=0).history
    assert list(history) == list(expected) == ["loss", "mae"]
    assert history["mae"] == pytest.approx(expected["mae"], rel=1e-5)
    assert_same(model, wanted)


def test_a_shuffled_epoch_trains_on_every_example_in_an_order_of_the_seed() -> None:
    model, wanted, data = pair(two_inputs_and_outputs)
    keras.utils.set_random_seed(5)
    fused.fit(model, **data, batch_size=COUNT)
    wanted.fit(**data, batch_size=COUNT, shuffle=False, verbose=0)
    assert_same(model, wanted)


def test_an_interrupt_leaves_a_usable_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, data = pair(weighted_with_a_schedule)
    monkeypatch.setattr(examples, "CHUNK_BYTES", 32 * BATCH)  # a batch
    whole = examples.Examples.chunks

    def interrupted(self: examples.Examples, order: Any = None) -> Any:
        yield from list(whole(self, order))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(examples.Examples, "chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fused.fit(model, **data, batch_size=BATCH, epochs=3)
    monkeypatch.setattr(examples.Examples, "chunks", whole)
    assert all(np.isfinite(array).all() for array in everything(model))
    model.evaluate(X, Y, verbose=0)
    fused.fit(model, **data, batch_size=BATCH)
    model.fit(**data, batch_size=BATCH, verbose=0)


def test_what_is_kept_of_a_model_does_not_keep_the_model() -> None:
    model, data = weighted_with_a_schedule()
    fused.fit(model, **data, batch_size=BATCH)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_state, "Adam changes rows"),
        (tied, r"tied/.*embeddings is used otherwise|otherwise"),
        (weighted_with_a_schedule, "no table"),
    ],
)
def test_rows_are_refused_where_they_would_not_be_exact(make: Make, message: str) -> None:
    model, data = make()
    with pytest.raises(ValueError, match=message):
        fused.fit(model, **data, batch_size=BATCH, embedding_updates="rows")
    fused.fit(model, **data, batch_size=BATCH)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda: optimizers.SGD(0.1, momentum=0.9), "momentum"),
        (lambda: optimizers.Adagrad(0.1, global_clipnorm=1.0), "clipping by norm"),
        (lambda: optimizers.SGD(0.1, weight_decay=0.1), "weight decay"),
    ],
)
def test_rows_are_refused_to_optimizers_that_reach_beyond_them(optimizer: Callable[[], Any], message: str) -> None:
    model, data = ranking()
    model.compile(optimizer(), "mse")
    with pytest.raises(ValueError, match=message):
        fused.fit(model, **data, batch_size=BATCH, embedding_updates="rows")


def test_what_fused_cannot_do_is_refused() -> None:
    class AtEveryBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise AssertionError

    model, data = ranking()
    with pytest.raises(ValueError, match="AtEveryBatch has on_train_batch_end"):
        fused.fit(model, **data, callbacks=[AtEveryBatch()])
    with pytest.raises(ValueError, match="same number of examples"):
        fused.fit(model, data["x"], Y[:-1])
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="run_eagerly"):
        fused.fit(model, **data)
    with pytest.raises(ValueError, match="compile"):
        fused.fit(keras.Sequential([layers.Dense(1)]), X, Y)
    if keras.backend.backend() != "tensorflow":
        model, data = ranking()
        with pytest.raises(ValueError, match="slices"):
            fused.fit(model, **data, embedding_updates="slices")
