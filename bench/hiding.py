"""Make installed packages look as if they were not installed, in this process."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any


def hide(names: Collection[str]) -> None:
    """Lets no package of these names be found from now on; one that is imported already stays.

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
        """Returns what the other finder finds; None for a hidden package and what is in it."""
        return None if name.partition(".")[0] in self._names else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        """Returns what else the other finder has, such as `find_distributions` and `invalidate_caches`."""
        return getattr(self._finder, name)
