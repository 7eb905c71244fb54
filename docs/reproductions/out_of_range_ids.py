"""An id beyond the embedding's table, a negative one, one that does not fit int32 and one that is no integer."""

from collections.abc import Callable

import keras
import numpy as np

ROWS = 5
TABLE = np.arange(ROWS, dtype="float32")[:, None]


def outcome(work: Callable[[np.ndarray], str], ids: np.ndarray) -> str:
    """Return the result of `work` for two ids, or the error that it raised."""
    try:
        return work(ids)
    except Exception as error:
        return f"raises {type(error).__name__}"


def predict(ids: np.ndarray) -> str:
    """Return the predictions; row i of the table holds i."""
    return "predicts " + " ".join(f"{value:g}" for value in model.predict(ids, verbose=0)[:, 0])


def fit(ids: np.ndarray) -> str:
    """Return the loss of a step, and which rows it changed."""
    model.set_weights([TABLE])
    loss = model.fit(ids, np.full((2, 1), 9, "float32"), verbose=0).history["loss"][0]
    changed = np.flatnonzero((model.get_weights()[0] != TABLE)[:, 0])
    return f"loss {loss:g}, changes rows {' '.join(map(str, changed))}"


for jit_compile in (False, True) if keras.backend.backend() == "tensorflow" else ("auto",):
    model = keras.Sequential([keras.layers.Embedding(ROWS, 1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=jit_compile)
    model.build((None,))
    model.set_weights([TABLE])
    for name, ids in {
        "id 5 of 5 rows": np.array([1, 5], "int32"),
        "id -1": np.array([1, -1], "int32"),
        "id -6": np.array([1, -6], "int32"),
        "int64 id 2^32 + 2": np.array([1, 2**32 + 2], "int64"),
        "float id 2.9": np.array([1, 2.9], "float32"),
    }.items():
        print(f"{name}, jit_compile={jit_compile}, predict = {outcome(predict, ids)}")
        print(f"{name}, jit_compile={jit_compile}, fit = {outcome(fit, ids)}")
        model.set_weights([TABLE])
