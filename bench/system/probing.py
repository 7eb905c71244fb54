"""Look at a system that may be stranger than any tested one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def text_of(path: Path) -> str:
    """Return a file's text, empty where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def allowed_cpus() -> list[int]:
    """Return the numbers of the processors that the scheduler lets this process run on, all where it cannot say."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def attempt(probe: Callable[[], T], otherwise: T) -> T:
    """Return what `probe` finds, or `otherwise` where it fails in any way."""
    try:
        return probe()
    except Exception:  # whatever a strange system does to a probe, a measurement must not be lost to it
        return otherwise
