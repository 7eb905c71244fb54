from __future__ import annotations

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
def test_an_id_that_a_table_does_not_have_is_told(updates: str) -> None:
    wrong = IDS.copy()
    wrong[3] = 5
    with pytest.raises(ValueError, match="1 ids are outside"):
        fused.fit(compiled(), {"user_id": wrong, "movie_id": IDS}, Y, batch_size=8, embedding_updates=updates)  # type: ignore[arg-type]
