"""The initial weights of embeddings and kernels: their range, their spread, and what a seed stands for."""

import keras
import numpy as np

to_numpy = keras.ops.convert_to_numpy
keras.utils.set_random_seed(0)

for name, layer, shape, limit in (
    ("Embedding(1683, 32)", keras.layers.Embedding(1683, 32), None, 0.05),
    ("Dense 64 to 256", keras.layers.Dense(256), (None, 64), (6 / (64 + 256)) ** 0.5),
    ("Dense 256 to 64", keras.layers.Dense(64), (None, 256), (6 / (256 + 64)) ** 0.5),
):
    layer.build(shape)
    values = np.sort(np.ravel(layer.get_weights()[0])) / limit
    n = values.size
    # Kolmogorov-Smirnov: of a uniform sample, sqrt(n) times the largest distance exceeds 1.63 in 1 of 100.
    distance = np.abs((values + 1) / 2 - (np.arange(n) + 0.5) / n).max() * np.sqrt(n)
    print(f"{name} in limits of {limit:.4f} = from {values[0]:+.4f} to {values[-1]:+.4f}, K-S {distance:.2f}")
    print(f"{name} beyond the float32 limit = {int((np.abs(values) > 1).sum())}")

keras.utils.set_random_seed(0)
first = [keras.layers.Embedding(9, 2) for _ in range(2)]
for layer in first:
    layer.build(None)
keras.utils.set_random_seed(0)
again = keras.layers.Embedding(9, 2)
again.build(None)
a, b, c = (layer.get_weights()[0] for layer in (*first, again))
print("seed 0, first three draws =", *(f"{value:+.5f}" for value in a.ravel()[:3]))
print(f"seed 0, the same draws again = {bool((a == c).all())}")
print(f"seed 0, a second layer draws others = {bool((a != b).any())}")

draw = keras.initializers.RandomUniform(seed=1)
print(f"an initialiser with a seed repeats itself = {bool((to_numpy(draw((4,))) == to_numpy(draw((4,)))).all())}")

one, two = keras.random.SeedGenerator(1), keras.random.SeedGenerator(2)
keras.random.uniform((4,), seed=one)
second_of_one = to_numpy(keras.random.uniform((4,), seed=one))
first_of_two = to_numpy(keras.random.uniform((4,), seed=two))
print(f"the second draw of seed 1 is the first of seed 2 = {bool((second_of_one == first_of_two).all())}")
