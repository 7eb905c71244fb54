"""Whether the same start gives the same bits at the end, in one process on the CPU."""

import keras
import numpy as np

rng = np.random.default_rng(0)
ids = rng.integers(0, 300, 5000).astype("int32")
labels = rng.uniform(size=(5000, 1)).astype("float32")
model = keras.Sequential([keras.layers.Embedding(300, 32), keras.layers.Dense(256, "relu"), keras.layers.Dense(1)])
model.build((None,))
start, ends = model.get_weights(), []
for _ in range(2):
    model.set_weights(start)
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mse")
    model.fit(ids, labels, batch_size=1000, epochs=2, shuffle=False, verbose=0)
    ends.append(model.get_weights())
same = all(bool((a == b).all()) for a, b in zip(*ends, strict=True))
print(f"two trainings from the same weights end in the same bits = {same}")
