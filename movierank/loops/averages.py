"""Averaged weights (`use_ema=True`) after a training on JAX."""

from __future__ import annotations

import keras


def unshare_arrays(model: keras.Model) -> None:
    """Give the optimizer copies of the arrays that it shares with the weights.

    `fit` ends by assigning the averages to the weights, and on JAX both then are one array. `predict` would donate it
    and leave the optimizer with a deleted one, and the next `fit` would fail because it donates it twice (Keras
    3.15.1). The other backends copy.
    """
    weights = {id(variable.value) for variable in model.trainable_variables}
    for variable in model.optimizer.variables:
        if id(variable.value) in weights:
            variable.assign(keras.ops.copy(variable.value))
