"""Make installed packages look as if they were not installed, in this process."""

from __future__ import annotations

import contextlib
import ctypes
import select
import signal
import sys
from collections.abc import Collection
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def hide(names: Collection[str]) -> None:
    """Let no package of these names be found from now on; one that is imported already stays.

    To set `sys.modules[name]` to None would do for an import, but SciPy takes whatever lies there for the package
    (`scipy/_lib/array_api_compat/common/_helpers.py` of 1.17), and fails on None: where scikit-learn is installed,
    Keras imports both.
    """
    sys.meta_path[:] = [_Without(names, finder) for finder in sys.meta_path]


class _Without:
    """A finder that does not find some packages; all else is the other finder's."""

    def __init__(self, names: Collection[str], finder: Any) -> None:
        self._names = frozenset(names)
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return what the other finder finds; None for a hidden package and what is in it."""
        return None if name.partition(".")[0] in self._names else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        """Return what else the other finder has, such as `find_distributions` and `invalidate_caches`."""
        return getattr(self._finder, name)


def die_with_supervisor(reply_fd: int) -> None:
    """Ask Linux to end this process when the supervisor ends, even by SIGKILL in the middle of a round.

    Args:
        reply_fd: whose other end the supervisor holds; where that is closed, it ended before it was asked.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    poll = select.poll()
    poll.register(reply_fd, 0)  # errors are told without being asked for
    if poll.poll(0):
        sys.exit(1)
