"""Look at a system that may be stranger than any tested one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def text_of(path: Path) -> str:
    """Returns a file's text, empty where it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def attempt(probe: Callable[[], T], otherwise: T) -> T:
    """Returns what `probe` finds, or `otherwise` where it fails in any way."""
    try:
        return probe()
    except Exception:  # whatever a strange system does to a probe, a measurement must not be lost to it
        return otherwise
