"""Files of measured JSON, one document or one line a record, and the errors for files that hold something else."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import filelock
import msgspec

from bench.errors import BenchError, NotWrittenError

T = TypeVar("T", bound=msgspec.Struct)

LOCK_NAME = ".lock"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
NOT_SUCH_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_json(file: Path, kind: type[T], if_not: str) -> T:
    """Return the record in a file.

    Args:
        file: file to read.
        kind: type of the record.
        if_not: end of the message for a file that holds something else, such as `is not a sweep`.

    Raises:
        BenchError: the file cannot be read, or holds something else.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror or error}") from error
    except NOT_SUCH_JSON as error:
        raise BenchError(f"{file} {if_not}: {error}") from error


def read_lines(file: Path, kind: type[T], what: str) -> list[T]:
    """Return the records in a file, one a line; an empty list where there is no file.

    A last line without its end was being written when a program was killed, and is left out where it is no record.

    Args:
        file: file to read.
        kind: type of each line's record.
        what: name of the records in messages, such as `trials`.

    Raises:
        BenchError: the file cannot be read, or holds something else.
    """
    try:
        return [msgspec.json.decode(line, type=kind) for line in _whole_lines(file.read_bytes()).splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, *NOT_SUCH_JSON) as error:
        raise BenchError(f"{file} does not hold {what} ({error}). Give a file of {what}, or a new one.") from error


def _whole_lines(written: bytes) -> bytes:
    """Return what was written without a last line that begins as a record and has no end."""
    whole, _, last = written.rpartition(b"\n")
    if not last.startswith(b'{"'[: len(last)]):
        return written  # of something else, whose loss would not be ours to decide
    try:
        msgspec.json.decode(last or b"null")
    except NOT_SUCH_JSON:
        return whole + b"\n" if whole else b""
    return written


def add_line(record: msgspec.Struct, file: Path) -> None:
    """Add a line to a file, which is created with its folder where it does not exist; a torn last line is dropped.

    Raises:
        BenchError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b") as lines:
            lines.seek(0)
            whole = _whole_lines(lines.read())
            lines.truncate(len(whole))
            end = b"" if whole[-1:] in (b"", b"\n") else b"\n"
            lines.write(end + msgspec.json.encode(record) + b"\n")
    except OSError as error:
        raise BenchError(f"cannot write {file}: {error.strerror or error}. Give another file.") from error


def write_json(value: Any, target: Path) -> None:
    """Write records, or parts of them, as JSON; atomically.

    Raises:
        BenchError: the file cannot be written; `target` is untouched.
    """
    with atomic_write(target) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def write_text(text: str, target: Path) -> None:
    """Write a text in UTF-8, atomically, and create its folder.

    Raises:
        BenchError: the file cannot be written; `target` is untouched.
    """
    make_folder_of(target)
    with atomic_write(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary file to write to, and rename it to `target` once all is on disk.

    A link is followed: the file that it names is replaced. What is no regular file, such as a device or a FIFO, is
    written to and stays what it is. A new file has the permissions that the umask leaves, another keeps its own.

    Raises:
        NotWrittenError: the file cannot be written; a regular `target` is untouched.
    """
    try:
        status = _status(target)
        if status is None or stat.S_ISREG(status.st_mode):
            with _replaced(Path(os.path.realpath(target)), status) as temporary:
                yield temporary
        else:
            with tempfile.TemporaryDirectory(prefix="movierank-bench-") as folder:
                temporary = Path(folder) / f"written{target.suffix}"
                yield temporary
                with target.open("wb") as stream:
                    stream.write(temporary.read_bytes())
    except OSError as error:
        raise NotWrittenError(f"cannot write {target}: {error.strerror or error}") from error


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _replaced(target: Path, status: os.stat_result | None) -> Iterator[Path]:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}{target.suffix}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield temporary
        _to_disk(temporary)
        if status is not None:
            temporary.chmod(stat.S_IMODE(status.st_mode))
        temporary.replace(target)
        with contextlib.suppress(OSError):  # some file systems cannot do this for a folder, and the file is there
            _to_disk(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def claimed_file(file: Path) -> Iterator[None]:
    """Create the folder of a result that is a single file, and keep other runs from writing to the file.

    Raises:
        BenchError: the folder cannot be written to, or another run is measuring into the file.
    """
    make_folder_of(file)
    with _locked(file.with_name(f".{file.name}{LOCK_NAME}"), file):
        yield


@contextlib.contextmanager
def _locked(path: Path, output: Path) -> Iterator[None]:
    """Hold a lock on writing to `output`."""
    lock = filelock.FileLock(path, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise BenchError(f"another run is writing to {output}; choose another --output") from error
    except OSError as error:
        raise BenchError(f"cannot write to {output}: {error.strerror or error}; choose another --output") from error
    try:
        yield
    finally:
        lock.release()  # the file stays: removing it would let a third run lock another file of the same name


def make_folder_of(file: Path) -> None:
    """Create the folder of a result.

    Raises:
        BenchError: the folder cannot be created.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BenchError(f"cannot write {file}: {file.parent} is not a folder") from error
    except OSError as error:
        raise BenchError(f"cannot write {file}: {error.strerror or error}") from error


def refuse_existing(file: Path, *, overwrite: bool) -> None:
    """Keep a long measurement's result from being replaced by accident.

    Raises:
        BenchError: the file exists and may not be overwritten, or it is a folder.
    """
    if file.is_dir():
        raise BenchError(f"--output {file} is a folder; name a file, such as {file / 'result.json'}")
    if file.exists() and not overwrite:
        raise BenchError(f"{file} already holds a result; choose another --output, or --overwrite")
