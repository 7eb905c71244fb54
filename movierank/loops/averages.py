"""What averaged weights (`use_ema=True`) need after a training on JAX."""

from __future__ import annotations

import keras


def own_arrays(model: keras.Model) -> None:
    """Yield what the optimizer keeps arrays of its own where it shares them with the weights.

    `fit` ends by assigning the averages to the weights, and on JAX that makes one array of both: `predict` would give
    it away and leave the optimizer with one that is deleted, and the next `fit` fails, as it would give it away twice
    (Keras 3.15.1). The other backends copy.
    """
    weights = {id(variable.value) for variable in model.trainable_variables}
    for variable in model.optimizer.variables:
        if id(variable.value) in weights:
            variable.assign(keras.ops.copy(variable.value))
