"""Adagrad's constants in float32: where epsilon stands, how exact a step is, and what becomes of untouched rows."""

import keras
import numpy as np

to_numpy = keras.ops.convert_to_numpy
rng = np.random.default_rng(0)


def step(gradient: np.ndarray, accumulator: float, jit: bool = True) -> np.ndarray:
    """Return the weights that one step from 0 leaves, for gradients [1, N], by a compiled train step."""
    model = keras.Sequential([keras.layers.Dense(gradient.shape[1], use_bias=False, kernel_initializer="zeros")])
    optimizer = keras.optimizers.Adagrad(0.1, initial_accumulator_value=accumulator)
    model.compile(optimizer=optimizer, loss=lambda weight, p: keras.ops.sum(weight * p, axis=-1))
    model.fit(np.ones((1, 1), "float32"), gradient, verbose=0)
    return model.get_weights()[0]


print(f"learning rate in float32 = {float(to_numpy(keras.optimizers.Adagrad(0.1).learning_rate)):.12f}")

# Beside a gradient of 1e-4 epsilon decides: inside the root the step is 0.1 * 0.3015, outside 0.1 * 0.9990.
print(f"share of the rate that a gradient of 1e-4 moves = {-step(np.full((1, 1), 1e-4, 'f4'), 0.0)[0, 0] / 0.1:.4f}")

gradient = (rng.normal(size=(1, 20_000)) * np.exp(rng.uniform(-14, 0, (1, 20_000)))).astype("float32")
g, a, e, rate = gradient.astype("f8"), float(np.float32(0.1)), float(np.float32(1e-7)), float(np.float32(0.1))
moved = step(gradient, 0.1)
for name, exact in {
    "Adagrad with float32 constants": -rate * g / np.sqrt(a + g**2 + e),
    "Adagrad with float64 constants": -0.1 * g / np.sqrt(0.1 + g**2 + 1e-7),
    "epsilon outside the root": -rate * g / (np.sqrt(a + g**2) + e),
    "no epsilon": -rate * g / np.sqrt(a + g**2),
    "epsilon 1e-8": -rate * g / np.sqrt(a + g**2 + 1e-8),
}.items():
    error = (moved - exact) / np.abs(exact)
    print(f"step against {name} = mean {error.mean():+.1e}, rms {np.sqrt((error**2).mean()):.1e} relative")

model = keras.Sequential([keras.layers.Embedding(50, 4)])
model.compile(optimizer=keras.optimizers.Adagrad(0.1), loss="mse")
model.build((None,))
model.optimizer.build(model.trainable_variables)
before = model.get_weights()[0]
model.fit(np.arange(0, 20, dtype="int32"), np.ones((20, 4), "float32"), verbose=0)
after, accumulator = model.get_weights()[0], to_numpy(model.optimizer.variables[2])
print(f"rows without a rating: bits unchanged = {bool((before[20:] == after[20:]).all())}")
print(f"rows without a rating: accumulator still 0.1 = {bool((accumulator[20:] == np.float32(0.1)).all())}")
