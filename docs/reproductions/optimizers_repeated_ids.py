"""Which optimizers and clippings treat ids that repeat in a batch otherwise than ids that do not?

A row is looked up twice, with gradients 1 and -0.5, and in another model once, with gradient 0.5: the same gradient by
definition. The script prints how far the two rows are apart after two steps, relative to how far they moved.
"""

import keras
import numpy as np

IDS, GRADIENTS = np.array([1, 1], "int32"), np.array([[1.0], [-0.5]], "float32")


def slope(weight: object, prediction: object) -> object:
    """Return a loss whose slope is `weight`, over the number of examples."""
    return keras.ops.sum(weight * prediction, axis=-1)


def moved(optimizer: keras.optimizers.Optimizer, ids: np.ndarray, gradients: np.ndarray) -> float:
    """Return row 1 after two steps from 0, the second with smaller gradients."""
    layer = keras.layers.Embedding(3, 1, embeddings_initializer="zeros")
    model = keras.Sequential([layer])
    # Traced it takes twice as long; the result is the same.
    model.compile(optimizer=optimizer, loss=slope, run_eagerly=True)
    for scale in (1, 0.3):
        model.fit(ids, scale * len(ids) * gradients, batch_size=len(ids), shuffle=False, verbose=0)
    return float(model.get_weights()[0][1, 0])


OPTIMIZERS = {
    "SGD": lambda **k: keras.optimizers.SGD(0.1, **k),
    "SGD, momentum": lambda **k: keras.optimizers.SGD(0.1, momentum=0.9, **k),
    "Adagrad": lambda **k: keras.optimizers.Adagrad(0.1, **k),
    "RMSprop": lambda **k: keras.optimizers.RMSprop(0.1, **k),
    "Adam": lambda **k: keras.optimizers.Adam(0.1, **k),
    "AdamW": lambda **k: keras.optimizers.AdamW(0.1, **k),
    "Adadelta": lambda **k: keras.optimizers.Adadelta(0.1, **k),
    "Adamax": lambda **k: keras.optimizers.Adamax(0.1, **k),
    "Nadam": lambda **k: keras.optimizers.Nadam(0.1, **k),
    "Ftrl": lambda **k: keras.optimizers.Ftrl(0.1, **k),
    "Lion": lambda **k: keras.optimizers.Lion(0.1, **k),
    "SGD, clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.8),
    "SGD, clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.8),
    "SGD, global_clipnorm": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.8),
    "Adagrad, gradient accumulation over 2": lambda: keras.optimizers.Adagrad(0.1, gradient_accumulation_steps=2),
}

for name, make in OPTIMIZERS.items():
    try:
        repeated = moved(make(), IDS, GRADIENTS)
        once = moved(make(), IDS[:1], GRADIENTS.sum(axis=0, keepdims=True))
        print(f"{name} = {abs(repeated - once) / abs(once):.4f}")
    except Exception as error:
        print(f"{name} = {type(error).__name__}")
