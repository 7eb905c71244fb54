from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from movierank import training
from movierank.loops import fused
from movierank.model import RankingModel
from movierank.training import TrainingState

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="particular to TensorFlow")

IDS = np.random.default_rng(0).integers(0, 5, 40).astype(np.int32)  # some repeat in every batch
Y = (IDS % 2).astype(np.float32)


def compiled() -> RankingModel:
    keras.utils.set_random_seed(0)
    model = RankingModel(5, 5, 4)
    model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model)
    return model


def test_slices_are_what_fit_does_with_repeated_ids_and_rows_are_not() -> None:
    states = []
    for updates in ("fit", "slices", "rows"):
        model, x = compiled(), {"user_id": IDS, "movie_id": IDS[::-1].copy()}
        if updates == "fit":
            model.fit(x, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        else:
            fused.fit(model, x, Y, batch_size=8, epochs=2, shuffle=False, embedding_updates=updates)  # type: ignore[arg-type]
        state = TrainingState.of(model)
        states.append(np.concatenate([array.ravel() for array in (*state.weights, *state.optimizer)]))
    fit, slices, rows = states
    np.testing.assert_allclose(slices, fit, rtol=2e-5, atol=2e-6)
    assert np.abs(rows - fit).max() > 1e-4


@pytest.mark.parametrize("updates", ["rows", "tables"])
@pytest.mark.parametrize("wrong", [5, -6])
def test_an_id_that_a_table_does_not_have_is_told_before_a_step_is_made(updates: str, wrong: int) -> None:
    model, ids = compiled(), IDS.astype(np.int64)  # the model casts them
    ids[30] = wrong
    before = TrainingState.of(model)
    with pytest.raises(ValueError, match=f"id {wrong} is outside the 5 rows of .*embedding"):
        fused.fit(model, {"user_id": ids, "movie_id": IDS}, Y, batch_size=8, embedding_updates=updates)  # type: ignore[arg-type]
    after = TrainingState.of(model)
    for one, other in zip((*after.weights, *after.optimizer), (*before.weights, *before.optimizer), strict=True):
        np.testing.assert_array_equal(one, other)
    ids[30] = -5  # the first row, counted from the end
    fused.fit(model, {"user_id": ids, "movie_id": IDS}, Y, batch_size=8, embedding_updates=updates)  # type: ignore[arg-type]


def test_ids_are_known_by_their_place_in_the_batch_that_is_given() -> None:
    model, x = compiled(), {"user_id": IDS, "movie_id": IDS}
    fused.fit(model, x, Y, batch_size=8)
    more = {
        "age": 1000 * IDS.astype(np.int32),
        **x,
    }  # comes first when the batch is flattened, and is looked up nowhere
    fused.fit(model, more, Y, batch_size=8)
    with pytest.raises(ValueError, match="id 5 is outside the 5 rows"):
        fused.fit(model, {**more, "user_id": np.where(IDS == 4, 5, IDS)}, Y, batch_size=8)


class Shifted(keras.Model):
    """Computes the ids that it looks up."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.table = keras.layers.Embedding(5, 1, **options)
        self.last = keras.layers.Dense(1)

    def call(self, ids: Any) -> Any:
        return self.last(self.table(ids + 1))


class Tied(Shifted):
    """Uses the whole table too, so that its gradient is not by row."""

    def call(self, ids: Any) -> Any:
        return super().call(ids) + keras.ops.sum(self.table.embeddings)


class Taken(Shifted):
    """Takes rows without the layer's help."""

    def call(self, ids: Any) -> Any:
        return self.last(keras.ops.take(self.table.embeddings, ids + 1, axis=0))

    def build(self, shape: Any) -> None:
        self.table.build(shape)
        self.last.build((None, 1))


class LookedUpAndTaken(Shifted):
    """Takes rows of a table of which a layer looks up others."""

    def call(self, ids: Any) -> Any:
        return self.last(self.table(ids)) + self.last(keras.ops.take(self.table.embeddings, ids + 1, axis=0))


class ComputedAndTaken(Shifted):
    """Computes what it takes and what a layer looks up."""

    def call(self, ids: Any) -> Any:
        return super().call(ids) + self.last(keras.ops.take(self.table.embeddings, ids + 1, axis=0))


COMPUTING: dict[str, Callable[[], keras.Model]] = {
    "trained": Shifted,
    "frozen": lambda: Shifted(trainable=False),
    "tied": Tied,
    "regularised": lambda: Shifted(embeddings_regularizer="l2"),
    "taken": Taken,
    "looked up and taken": LookedUpAndTaken,
    "computed and taken": ComputedAndTaken,
}


@pytest.mark.parametrize("kind", COMPUTING)
def test_an_id_that_a_model_computes_is_told_at_the_end_of_the_epoch(kind: str) -> None:
    model = COMPUTING[kind]()
    model.compile("sgd", "mse")
    ids = np.minimum(IDS, 3)
    fused.fit(model, ids, Y, batch_size=8)
    ids[3] = 4
    outside = 2 if kind == "computed and taken" else 1
    with pytest.raises(ValueError, match=f"^{outside} ids are outside"):
        fused.fit(model, ids, Y, batch_size=8)


def test_ids_given_as_floats_are_looked_at_too() -> None:
    model = keras.Sequential([keras.layers.Embedding(5, 1)])
    model.compile("sgd", "mse")
    fused.fit(model, IDS.astype(np.float32), Y, batch_size=8)
    wrong = np.where(IDS == 4, 5, IDS)
    with pytest.raises(ValueError, match=f"{np.sum(wrong == 5)} ids are outside"):
        fused.fit(model, wrong.astype(np.float32), Y, batch_size=8)
    with pytest.raises(ValueError, match="id 5 is outside"):  # integers of the same structure
        fused.fit(model, wrong, Y, batch_size=8)
    fused.fit(model, IDS, Y, batch_size=8)


def test_a_table_with_lora_is_looked_up() -> None:
    model = keras.Sequential([keras.layers.Embedding(5, 2, lora_rank=1), keras.layers.Dense(1)])
    model.build((None,))
    model.compile("sgd", "mse")
    fused.fit(model, IDS, Y, batch_size=8)
    with pytest.raises(ValueError, match="id 5 is outside"):
        fused.fit(model, IDS + 1, Y, batch_size=8)


class Namesakes(keras.Model):
    """Two tables of one path."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = [keras.layers.Embedding(rows, 2, name="table") for rows in (5, 300)]
        self.last = keras.layers.Dense(1)

    def call(self, ids: Any) -> Any:
        short, long = self.tables
        return self.last(short(ids) + long(ids * 60))


def test_tables_of_one_path_are_updated_apart() -> None:
    weights = []
    for loop in ("fit", "fused"):
        keras.utils.set_random_seed(0)
        model = Namesakes()
        model.compile(keras.optimizers.SGD(0.5), "mse")  # with Adagrad `fit` squares slices of one id apart
        if loop == "fit":
            model.fit(IDS, Y, batch_size=8, shuffle=False, verbose=0)
        else:
            fused.fit(model, IDS, Y, batch_size=8, shuffle=False, embedding_updates="rows")
        weights.append(model.get_weights())
    assert len({table.embeddings.path for table in model.tables}) == 1
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


class InPython(keras.Model):
    """Leaves to Python what XLA cannot compile."""

    def __init__(self) -> None:
        super().__init__()
        self.last = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        halved = tf.numpy_function(lambda values: values / 2, [x], tf.float32)
        return self.last(tf.ensure_shape(halved, x.shape))


def test_a_model_that_xla_cannot_compile_is_trained_as_by_fit_in_a_graph_without_it() -> None:
    models, x = [], np.stack([Y, IDS.astype(np.float32)], axis=1)
    for _ in range(2):
        keras.utils.set_random_seed(0)
        models.append(InPython())
        models[-1].compile("sgd", "mse")
    model, wanted = models
    wanted.fit(x, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    with pytest.warns(UserWarning, match=r"without XLA, which cannot compile it: .*PyFunc"):
        fused.fit(model, x, Y, batch_size=8, epochs=2, shuffle=False)
    fused.fit(model, x, Y, batch_size=8, epochs=1, shuffle=False)  # says it once
    for one, other in zip(model.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


def test_the_gradients_of_a_model_that_xla_cannot_compile_are_found_in_a_graph_too() -> None:
    from movierank.loops.tensorflow import fused as fused_tensorflow

    model, x = InPython(), np.stack([Y, IDS.astype(np.float32)], axis=1)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="without XLA"):
        fused.fit(model, x, Y, batch_size=8)
    loss, (of_kernel, of_bias) = fused_tensorflow.loss_and_gradients(model, x, Y)  # warns no more
    kernel, bias = model.get_weights()
    error = (x / 2 @ kernel + bias)[:, 0] - Y
    assert loss == pytest.approx(np.mean(error**2), rel=1e-5)
    np.testing.assert_allclose(of_kernel[:, 0], 2 * np.mean(x / 2 * error[:, None], axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_bias, [2 * np.mean(error)], rtol=1e-5, atol=1e-6)


def test_what_compiles_a_model_is_told_as_it_is() -> None:
    from movierank.loops.tensorflow.fused import compile_mode

    assert compile_mode(compiled()) == "xla"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert compile_mode(model) == "graph"
    model.compile("sgd", "mse", jit_compile=True)
    assert compile_mode(model) == "xla"
    model, x = InPython(), np.stack([Y, Y], axis=1)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="without XLA"):
        fused.fit(model, x, Y, batch_size=8)
    assert compile_mode(model) == "graph"
    model.compile("sgd", "mse", jit_compile=True)  # what was traced before does not count
    assert compile_mode(model) == "xla"


def test_a_model_that_asks_for_xla_by_name_hears_what_it_says() -> None:
    import tensorflow as tf

    model = InPython()
    model.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="PyFunc"):
        fused.fit(model, np.stack([Y, Y], axis=1), Y, batch_size=8)
