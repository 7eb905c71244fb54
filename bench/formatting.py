"""Numbers and lists as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

Interval = tuple[float, float]


def three_digits(value: float) -> str:
    """Returns a positive number with three significant digits and no exponent: `0.845`, `12.8`, `552`."""
    digits = 3 if value <= 0 else max(0, 2 - math.floor(math.log10(value)))
    return f"{value:.{digits}f}"


def with_interval(value: float, ci95: Interval | None) -> str:
    """Returns `1.23 [1.10, 1.40]`, or `1.23` where there is no interval."""
    if ci95 is None:
        return three_digits(value)
    return f"{three_digits(value)} [{three_digits(ci95[0])}, {three_digits(ci95[1])}]"


def listed(parts: Iterable[str], word: str = "and") -> str:
    """Returns `a`, `a and b`, or `a, b and c`, with another `word` as `or`; there must be at least one part."""
    *front, last = list(parts)
    return f"{', '.join(front)} {word} {last}" if front else last
