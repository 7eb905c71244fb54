"""The cache of prepared datasets, where a dataset appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from movierank.errors import MovierankError

CACHE_VARIABLE = "MOVIERANK_CACHE"


def cache_root() -> Path:
    """Return the cache directory: that of MOVIERANK_CACHE, or the user's cache directory as platformdirs finds it."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("movierank-bench"))


@dataclass(frozen=True)
class CacheSlot:
    """All prepared folders of one dataset, one for each of its sources.

    Attributes:
        root: the cache directory.
        name: name of the dataset.
    """

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """The directory with one subdirectory a source; hidden ones are being built or removed."""
        return self.root / self.name.replace(":", "-")

    def prepared(self) -> list[str]:
        """Return the keys of the prepared sources, newest first."""
        with self.clear_errors():
            if not self.folder.is_dir():
                return []
            found = [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        return [path.name for path in sorted(found, key=_modified, reverse=True)]

    @contextmanager
    def lock(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold this dataset's lock against other processes; call `waiting` once if another process holds it.

        Raises:
            MovierankError: the cache cannot be used, also within the block.
        """
        with self.clear_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waiting()
                lock.acquire()
            try:
                yield
            finally:
                lock.release()

    @contextmanager
    def building(self) -> Iterator[Path]:
        """Yield a new directory beside the prepared ones and remove it at the end; the caller holds the lock.

        The remains of a killed process are removed first.
        """
        for stale in self.folder.glob(".building-*"):
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self.folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def publish(self, built: Path, key: str, scratch: Path) -> None:
        """Move a complete directory into its place and an older one into `scratch`; the caller holds the lock."""
        target = self.folder / key
        if target.exists():
            target.rename(scratch / "replaced")
        built.rename(target)

    def remove(self, key: str) -> None:
        """Remove a prepared directory if it exists; the caller holds the lock."""
        if (self.folder / key).exists():
            with self.building() as scratch:
                (self.folder / key).rename(scratch / "removed")

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn an OSError within the block into a MovierankError that says what to do."""
        try:
            yield
        except OSError as error:
            raise MovierankError(
                f"Cannot use the data cache {self.root}: {error.strerror or error}. "
                f"Free space there, or set {CACHE_VARIABLE} to another folder."
            ) from error


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process is just replacing it
        return 0.0
