"""The data and weights that `keras.Model.fit` takes, and which of them a loop over arrays can train on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from movierank.loops.examples import given


def require_arrays(arguments: Mapping[str, Any]) -> None:
    """Check that arguments are arrays, or structures of arrays.

    Raises:
        ValueError: one holds something else, such as a `tf.data.Dataset`, a generator or a number.
    """
    for name, structure in arguments.items():
        for leaf in given(structure):
            if not hasattr(leaf, "__array__"):
                raise ValueError(
                    f"fused.fit trains on arrays, and {name} {'holds' if keras.tree.is_nested(structure) else 'is'} "
                    f"a {type(leaf).__name__}; make arrays of it, or use model.fit"
                )


def require_validation_arrays(data: Any) -> None:
    """Check that validation data are (x, y) or (x, y, sample_weight) of arrays.

    Raises:
        ValueError: they are something else.
    """
    if not isinstance(data, list | tuple) or len(data) not in (2, 3):
        raise ValueError(
            f"validation_data must be (x, y) or (x, y, sample_weight) of arrays, not a {type(data).__name__}; make "
            "arrays of it, or use model.fit"
        )
    require_arrays({"validation_data": data})


def weights_of_classes(weights: Mapping[int, float], y: Any, sample_weight: Any) -> npt.NDArray[np.float32]:
    """Return the weight of each example by its class, float32 [N], as `keras.Model.fit` does.

    Args:
        weights: weight of a class by its number; 1 for a class that is not named.
        y: targets: numbers of classes, [N] or [N, 1], or a score for each class, [N, classes].
        sample_weight: the argument beside it, which must be None.

    Raises:
        ValueError: there are several outputs, no targets, or sample weights too.
    """
    if sample_weight is not None:
        raise ValueError("class_weight and sample_weight exclude each other; give one of them")
    if y is None or keras.tree.is_nested(y):
        raise ValueError("class_weight is for a model with one output; give sample_weight")
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(axis=-1)
    numbers, places = np.unique(np.round(labels).astype(np.int64), return_inverse=True)
    of_number = np.array([weights.get(int(number), 1.0) for number in numbers], np.float32)
    return of_number[places.reshape(labels.shape)]
