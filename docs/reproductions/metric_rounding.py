"""How far `RootMeanSquaredError`, which adds up in float32, is from the exact value (NumPy alone, no backend)."""

import numpy as np

rng = np.random.default_rng(0)
for examples in (20_000, 80_000, 20_000_000):
    total, exact = np.float32(0), 0.0
    for _ in range(examples // 1000):
        batch = np.float32(rng.normal(65, 3))  # squared errors of 1000 examples at an RMSE of 0.255
        total, exact = total + batch, exact + float(batch)
    print(f"rmse over {examples} examples in batches of 1000, relative error = {np.sqrt(total / exact) - 1:+.0e}")
