from __future__ import annotations

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

    def __init__(self) -> None:
        super().__init__()
        self.table = keras.layers.Embedding(5, 1)

    def call(self, ids: Any) -> Any:
        return self.table(ids + 1)


def test_an_id_that_a_model_computes_is_told_at_the_end_of_the_epoch() -> None:
    model = Shifted()
    model.compile("sgd", "mse")
    ids = np.minimum(IDS, 3)
    fused.fit(model, ids, Y, batch_size=8)
    ids[3] = 4
    with pytest.raises(ValueError, match="1 ids are outside"):
        fused.fit(model, ids, Y, batch_size=8)
