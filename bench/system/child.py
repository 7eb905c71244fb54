"""Set up a child process: hide packages from it, and end it with its supervisor."""

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
    """Hide the packages of these names from further imports in this process; packages imported already stay.

    For an import, `sys.modules[name] = None` would be enough. But SciPy takes any entry there for the package
    (`scipy/_lib/array_api_compat/common/_helpers.py` of 1.17) and fails on None; Keras imports both SciPy and
    scikit-learn, where that is installed.
    """
    sys.meta_path[:] = [_Without(names, finder) for finder in sys.meta_path]


class _Without:
    """A finder that does not find some packages and leaves everything else to another finder."""

    def __init__(self, names: Collection[str], finder: Any) -> None:
        self._names = frozenset(names)
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the result of the other finder; None for a hidden package and its modules."""
        return None if name.partition(".")[0] in self._names else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the other finder, such as `find_distributions` and `invalidate_caches`."""
        return getattr(self._finder, name)


def die_with_supervisor(reply_fd: int) -> None:
    """Ask Linux to end this process when the supervisor ends, even by SIGKILL in the middle of a round.

    Args:
        reply_fd: pipe whose other end the supervisor holds; a closed end means that the supervisor had ended before.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    poll = select.poll()
    poll.register(reply_fd, 0)  # poll reports errors without being asked
    if poll.poll(0):
        sys.exit(1)
