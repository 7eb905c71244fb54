"""Files of JSON that were measured, whole or a line for each thing, and what is said where one holds something else."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from bench.errors import BenchError

T = TypeVar("T", bound=msgspec.Struct)

NOT_SUCH_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_json(file: Path, kind: type[T], if_not: str) -> T:
    """Returns what a file holds.

    Args:
        file: to read.
        kind: of it.
        if_not: what to say of a file that holds something else, such as `is not a sweep`.

    Raises:
        BenchError: it cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror or error}") from error
    except NOT_SUCH_JSON as error:
        raise BenchError(f"{file} {if_not}: {error}") from error


def read_lines(file: Path, kind: type[T], what: str) -> list[T]:
    """Returns what a file holds; nothing where there is no file.

    Args:
        file: to read.
        kind: of each line.
        what: to call that, such as `trials`.

    Raises:
        BenchError: it cannot be read, or holds something else.
    """
    try:
        return [msgspec.json.decode(line, type=kind) for line in file.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, *NOT_SUCH_JSON) as error:
        raise BenchError(f"{file} does not hold {what} ({error}). Give a file of such, or a new one.") from error


def add_line(record: msgspec.Struct, file: Path) -> None:
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
