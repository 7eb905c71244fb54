"""TensorFlow: one NaN in Adagrad's accumulator of an embedding, and the other rows get wrong updates or an error.

Where a gradient that is an IndexedSlices is divided by something with a zero or a NaN in any row, as Adagrad's
sqrt(accumulator + epsilon), Keras forms the union of the rows in `indexed_slices_union_indices_and_values`
(keras/src/backend/tensorflow/sparse.py). It takes the slices for distinct ids: it compares their number with that of
the union's rows, and numbers them with `tf.scatter_nd`, which adds the numbers of slices that share an id.

In each case row 0, which no example names, has NaN in its accumulator. Without it, what jax and torch print holds
for rows 1 to 5; TensorFlow's would differ in repeated ids alone (adagrad_repeated_ids.py).
"""

import keras
import numpy as np


def table_after_a_step(ids: list[int], row_0: float) -> str:
    """Return the table, or the error, after a step on `ids` from accumulators of 0.1, in row 0 of `row_0`."""
    model = keras.Sequential([keras.layers.Embedding(6, 1, embeddings_initializer="zeros")])
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mse", jit_compile=False)
    model.build((None,))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.variables[2].assign(np.array([[row_0], *[[0.1]] * 5], "float32"))
    labels = -np.square(np.arange(1, len(ids) + 1, dtype="float32"))[:, None] / 9
    try:
        model.fit(np.array(ids, "int32"), labels, batch_size=len(ids), shuffle=False, verbose=0)
    except Exception as error:
        said = next(line for line in str(error).splitlines() if "is not in" in line)
        return f"{type(error).__name__}: {said.strip()}"
    return " ".join(f"{value:.4f}" for value in model.get_weights()[0][:, 0])


for name, ids in {
    "distinct ids": [1, 2, 3],
    "as many slices as rows in the union": [1, 1, 2],
    "numbers within range": [1, 1, 2, 2, 3, 4, 5],
    "numbers out of range": [3, 2, 2, 2],
}.items():
    print(f"{name}, {ids}, all finite = {table_after_a_step(ids, 0.1)}")
    print(f"{name}, {ids}, NaN in row 0 = {table_after_a_step(ids, np.nan)}")
