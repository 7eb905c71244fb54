"""The number of operations in the matrix products of a JAX program, before XLA compiles it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

# A convolution may need fewer operations than the plain sums, the data may decide how often a loop runs, and
# computing values again to save memory (`jax.checkpoint`) is not necessary.
NOT_COUNTED = {"conv_general_dilated", "while", "cond", "checkpoint", "remat2"}


def product_operations(program: Any) -> int | None:
    """Return the additions and multiplications of all matrix products, each counting as one.

    Args:
        program: a jaxpr, such as `jax.make_jaxpr(function)(*arguments).jaxpr`.

    Returns:
        None where the number is unknown: there is a convolution, or a part that runs an unknown number of times.
    """
    total = 0
    for equation in program.eqns:
        name = equation.primitive.name
        if name in NOT_COUNTED:
            return None
        if name == "dot_general":
            total += _of_product(equation)
        times = equation.params["length"] if name == "scan" else 1
        for inner in _inside(equation.params.values()):
            found = product_operations(inner)
            if found is None:
                return None
            total += times * found
    return total


def _of_product(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2 * math.prod(map(int, equation.outvars[0].aval.shape)) * math.prod(int(left[axis]) for axis in contracted)


def _inside(values: Any) -> Iterator[Any]:
    """Yield the programs that an operation calls, open or closed over constants."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _inside(value)
        elif hasattr(program := getattr(value, "jaxpr", value), "eqns"):
            yield program
