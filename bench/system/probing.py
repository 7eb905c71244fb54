"""Functions that look at a system which may be stranger than any tested one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def text_of(path: Path) -> str:
    """Return a file's text; an empty string where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def allowed_cpus() -> list[int]:
    """Return the numbers of the processors that this process may run on; all where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def attempt(probe: Callable[[], T], otherwise: T) -> T:
    """Return the result of `probe`, or `otherwise` where it fails in any way."""
    try:
        return probe()
    except Exception:  # a strange system must not cost a measurement
        return otherwise
