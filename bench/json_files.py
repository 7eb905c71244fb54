"""Files that grow by a line of JSON for each thing measured."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError

T = TypeVar("T", bound=msgspec.Struct)


def load(file: Path, kind: type[T], what: str) -> list[T]:
    """Returns what a file holds; nothing where there is no file.

    Args:
        file: to read.
        kind: of each line.
        what: to call that, such as `trials`.

    Raises:
        BenchError: it holds something else.
    """
    try:
        return [msgspec.json.decode(line, type=kind) for line in file.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise BenchError(f"{file} does not hold {what} ({error}). Give a file of such, or a new one.") from error


def add(record: msgspec.Struct, file: Path) -> None:
    """Adds a line to a file, which is made, with its folder, where it is not there.

    Raises:
        BenchError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as lines:
            lines.write(msgspec.json.encode(record) + b"\n")
    except OSError as error:
        raise BenchError(f"cannot write {file}: {error.strerror or error}. Give another file.") from error
