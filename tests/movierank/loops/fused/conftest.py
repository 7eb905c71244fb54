"""Models of other users, and pairs of equal ones trained by `model.fit(shuffle=False)` and by `fused.fit`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import fused
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
Make = Callable[[], tuple[keras.Model, Data]]


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


class Spread(keras.metrics.Metric):
    """A metric with several results."""

    def __init__(self) -> None:
        super().__init__(name="spread")
        self.least = self.add_weight(name="least", initializer="zeros")
        self.most = self.add_weight(name="most", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.least.assign(keras.ops.minimum(self.least, keras.ops.min(y_pred)))
        self.most.assign(keras.ops.maximum(self.most, keras.ops.max(y_pred)))

    def result(self) -> dict[str, Any]:
        return {"least": self.least + 0.0, "most": self.most + 0.0}


def metric_of_two_results() -> tuple[keras.Model, Data]:
    model = keras.Sequential([layers.Dense(3, activation="tanh"), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse", metrics=[Spread(), "mae"])
    return model, {"x": X, "y": Y}


MODELS: dict[str, Make] = {
    make.__name__: make
    for make in (
        ranking,
        with_state,
        two_inputs_and_outputs,
        weighted_with_a_schedule,
        frozen_and_clipped,
        table_of_two_calls,
        mixed_precision,
        tied,
        metric_of_two_results,
    )
}


class Beside:
    """Two equal models, one for `model.fit` and one for `fused.fit`, and their data."""

    models = MODELS
    count, batch, x, y, ids = COUNT, BATCH, X, Y, IDS
    sums_first = SUMS_FIRST

    def pair(self, make: Make) -> tuple[keras.Model, keras.Model, Data]:
        """Return two models with the same weights and seeds, and what to train them on."""
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

    def trained(self, make: Make, updates: str, **options: Any) -> tuple[keras.Model, keras.Model, Any, Any]:
        """Return the models that `fused.fit` and `model.fit` have trained, and both histories."""
        model, wanted, data = self.pair(make)
        options = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **options}
        expected = wanted.fit(**data, **options).history
        history = fused.fit(model, **data, **options, embedding_updates=updates).history
        return model, wanted, history, expected

    def everything(self, model: keras.Model, *, metrics: bool = True) -> list[keras.Variable]:
        return [*model.variables, *model.optimizer.variables, *(model.metrics_variables if metrics else ())]

    def assert_same(
        self, found: keras.Model, wanted: keras.Model, tolerance: float = 2e-5, *, metrics: bool = True
    ) -> None:
        variables = (self.everything(model, metrics=metrics) for model in (found, wanted))
        for one, other in zip(*variables, strict=True):
            values = training.as_numpy(one), training.as_numpy(other)
            np.testing.assert_allclose(*values, rtol=tolerance, atol=tolerance, err_msg=one.path)


@pytest.fixture
def beside() -> Beside:
    return Beside()


@pytest.fixture(autouse=True)
def _compiling_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile only the ranking model and tests that say so on PyTorch: a C++ compiler takes seconds for each graph."""
    if keras.backend.backend() == "torch" and not re.search("ranking-|compiled", request.node.name):
        from movierank.loops.torch import compiled as compiled_torch

        monkeypatch.setattr(compiled_torch, "compiler", lambda: "eager")
