"""Averaged weights (`use_ema=True`): whether a model can be trained again, and what is left of the averages."""

import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
y = x.sum(axis=1, keepdims=True)


def trained(calls=1, epochs=1):
    """Returns a model after so many calls of `fit`."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    for _ in range(calls):
        fit(model, epochs)
    return model


def fit(model, epochs=1):
    """Trains once more."""
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)


def outcome(what):
    """Returns `fine`, or the error."""
    try:
        what()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:70]}"
    return "fine"


def kernel(model):
    """Returns one weight."""
    return float(np.ravel(model.get_weights()[0])[0])


model = trained()
print("fit after fit =", outcome(lambda: fit(model)))
model = trained()
model.predict(x, verbose=0)
print("reading the averages after fit and predict =", outcome(lambda: [v.numpy() for v in model.optimizer.variables]))
model = trained()
model.evaluate(x, y, verbose=0)
print("fit after fit and evaluate =", outcome(lambda: fit(model)))

print(f"one weight after one call of two epochs = {kernel(trained(epochs=2)):.6f}")
print("after two calls of one epoch =", outcome(lambda: trained(calls=2)))
if outcome(lambda: trained(calls=2)) == "fine":
    print(f"one weight after two calls of one epoch = {kernel(trained(calls=2)):.6f}")
