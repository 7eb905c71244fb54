"""Adagrad on an embedding whose ids repeat in a batch: square of the sum, or sum of the squares?

One row is looked up three times, with gradients 1, 0.5 and 0. Adagrad's accumulator starts at 0.1 and must grow by
(1 + 0.5 + 0)^2 = 2.25 to 2.35. On TensorFlow it grows by 1^2 + 0.5^2 + 0^2 = 1.25 to 1.35.
"""

import keras
import numpy as np

for jit_compile in (False, True) if keras.backend.backend() == "tensorflow" else ("auto",):
    model = keras.Sequential([keras.layers.Embedding(2, 1, embeddings_initializer="zeros")])
    model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mse", jit_compile=jit_compile)
    # The gradient of the mean of squares is 2 (0 - label) / 3 for each of the three examples.
    model.fit(np.array([1, 1, 1], "int32"), np.array([[-1.5], [-0.75], [0]], "float32"), verbose=0)
    accumulator = keras.ops.convert_to_numpy(model.optimizer.variables[2])
    print(f"accumulator, jit_compile={jit_compile} = {accumulator[1, 0]:.4f}")
