"""The loop over an epoch's batches as one TensorFlow program, compiled by XLA where possible and not turned off."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable
from typing import Any, Literal

import keras
import tensorflow as tf

Xla = Literal["never", "where it can", "always"]


def xla_for(model: keras.Model) -> Xla:
    """Return whether XLA compiles a model's loop; a graph does the same work more slowly."""
    if not all(layer.supports_jit for layer in model._flatten_layers()):
        return "never"
    if model.jit_compile:
        return "always"
    # TensorFlow draws other random numbers under XLA than this model's `fit` does.
    draws = any("seed_generator" in variable.path for variable in model.non_trainable_variables)
    # On a CPU Keras resolves `auto` to False. Where it would resolve it to True, the False here is the user's.
    turned_off = model._resolve_auto_jit_compile()
    return "never" if draws or turned_off else "where it can"


class Program:
    """A function of tensors as a program, traced for each structure and shape of its arguments.

    Args:
        function: function in TensorFlow, such as a loop over batches.
        xla: whether XLA compiles it.

    Attributes:
        xla: the argument, or `never` after XLA has failed.
    """

    def __init__(self, function: Callable[..., Any], xla: Xla) -> None:
        self._function = function
        self.xla: Xla = xla
        self._run = tf.function(function, jit_compile=xla != "never", autograph=False)

    def trace(self, *arguments: Any) -> None:
        """Trace the function for arguments like these, and run nothing."""
        self._run.get_concrete_function(*arguments)

    def __call__(self, *arguments: Any) -> Any:
        """Run the function; after a failure of XLA run it in a graph, if `fit` would also do without XLA.

        Raises:
            tf.errors.OpError: XLA cannot compile a function that it was requested for by name; or a step failed.
        """
        try:
            return self._run(*arguments)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as refusal:
            if self.xla != "where it can":
                raise
            reason = textwrap.shorten(refusal.message, 500)
        # XLA compiles a whole program before it runs any of it, so no step was made.
        warnings.warn(f"fused.fit goes on in a graph without XLA, which cannot compile it: {reason}", stacklevel=2)
        self.xla = "never"
        self._run = tf.function(self._function, jit_compile=False, autograph=False)
        return self._run(*arguments)
