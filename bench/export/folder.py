"""A folder of results that is there whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.errors import BenchError


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write to, and put it in the place of `target` once all is written.

    Raises:
        BenchError: `target` holds something already, or cannot be written.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise BenchError(f"{target} already holds something; choose another -o")
        parent = target.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{target.name}.", ignore_cleanup_errors=True) as passing:
            folder = Path(passing) / "whole"
            folder.mkdir()
            yield folder
            folder.replace(target)
    except OSError as error:
        raise BenchError(f"cannot write {target}: {error.strerror or error}") from error


def write_files(files: Mapping[str, str], target: Path) -> None:
    """Write texts, by their paths, into a new folder.

    Raises:
        BenchError: there is none, `target` holds something already, or cannot be written.
    """
    if not files:
        raise BenchError("these reports hold nothing of what this format is made of; nothing was written")
    with new_folder(target) as folder:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
