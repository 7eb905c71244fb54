"""Where float32 itself differs: tiny numbers, relu at 0, means and products; and what `jit_compile="auto"` means."""

import keras
import numpy as np

ops, to_numpy = keras.ops, keras.ops.convert_to_numpy
rng = np.random.default_rng(0)

tiny = to_numpy(ops.multiply(ops.convert_to_tensor(np.full(64, 1e-30, "f4")), np.float32(1e-10)))
print(f"1e-30 * 1e-10, below float32's normal range = {tiny[0]:.0e}")

model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", activation="relu")])
model.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda y, p: -p)
model.fit(np.ones((1, 1), "f4"), np.ones((1, 1), "f4"), verbose=0)
print(f"slope of relu at 0 = {model.get_weights()[0][0, 0]:g}")
print(f"jit_compile auto becomes = {model.jit_compile}")

values = rng.uniform(size=(2000, 1000)).astype("f4")
error = to_numpy(ops.mean(values, axis=1)) - values.mean(axis=1, dtype="f8")
ulps = np.sqrt((error**2).mean()) / np.spacing(np.float32(0.5))
print(f"mean of 1000 numbers, rms error in float32 ulps = {ulps:.2f}")
a, b = rng.normal(size=(1000, 256)).astype("f4"), rng.normal(size=(256, 64)).astype("f4")
error = to_numpy(ops.matmul(a, b)) - a.astype("f8") @ b
print(f"product of 1000x256 and 256x64, rms error relative to its rms of 16 = {np.sqrt((error**2).mean()) / 16:.1e}")
