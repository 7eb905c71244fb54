"""Averaged weights (`use_ema=True`): can a model be trained again, and are two calls of `fit` one of two epochs?"""

from collections.abc import Callable

import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
y = x.sum(axis=1, keepdims=True)


def trained(calls: int = 1, epochs: int = 1) -> keras.Model:
    """Return a model after so many calls of `fit`."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), "mse")
    for _ in range(calls):
        fit(model, epochs)
    return model


def fit(model: keras.Model, epochs: int = 1) -> None:
    """Train once more."""
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)


def predicted_and_read() -> None:
    """Read the optimizer's variables after a prediction."""
    model = trained()
    model.predict(x, verbose=0)
    for variable in model.optimizer.variables:
        keras.ops.convert_to_numpy(variable.value)


def outcome(what: Callable[[], object]) -> str:
    """Return `fine`, or the error and its cause."""
    try:
        what()
    except Exception as error:
        first: BaseException = error
        while first.__context__ is not None:
            first = first.__context__
        said = "; first ".join(f"{type(each).__name__}: {each}" for each in dict.fromkeys((error, first)))
        return said.replace("\n", " ")[:300]
    return "fine"


print("fit, then fit =", outcome(lambda: trained(calls=2)))
print("fit, then predict, then reading the averages =", outcome(predicted_and_read))
print(f"a weight after one call of two epochs = {float(np.ravel(trained(epochs=2).get_weights()[0])[0]):.5f}")
if outcome(lambda: trained(calls=2)) == "fine":
    print(f"after two calls of one = {float(np.ravel(trained(calls=2).get_weights()[0])[0]):.5f}")
