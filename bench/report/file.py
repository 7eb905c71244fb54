"""Read and write a report's directory; a reader never sees half a file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import BenchError
from bench.schema.report import SCHEMA, Report
from bench.system.files import LOCK_NAME, NO_ROOM, NOT_SUCH_JSON, _locked, write_json

REPORT_NAME = "report.json"
PREDICTIONS_NAME = "predictions.npz"
PAGE_NAME = "report.html"
PARTS_PREFIX = ".parts-"


def report_path(path: Path) -> Path:
    """Return the JSON file of a report, given its directory or the file itself."""
    return path / REPORT_NAME if path.is_dir() else path


def load_report(path: Path) -> Report:
    """Read a report from its directory or file.

    Raises:
        BenchError: there is no report, it cannot be read, or this version does not know its schema.
    """
    return _convert(_load_raw(path), report_path(path))


def save_report(report: Report, directory: Path, stored: Any = None) -> None:
    """Write `report.json` atomically; keep the stored report's keys that this version does not know.

    Args:
        report: report to write.
        directory: its directory, which exists.
        stored: stored report as `stored_json` returns it; None to read it now.

    Raises:
        BenchError: the file cannot be written; the one before is untouched.
    """
    before = stored_json(directory) if stored is None else stored
    write_json(with_unknown_keys(msgspec.to_builtins(report), before), directory / REPORT_NAME)


def stored_json(directory: Path) -> Any:
    """Return the stored report as decoded JSON, with unknown keys; `{}` where there is none or it cannot be read."""
    try:
        return _load_raw(directory)
    except BenchError:
        return {}


def with_unknown_keys(fresh: Any, stored: Any) -> Any:
    """Return `fresh` with the keys that only `stored` has, at every depth.

    A record of a list keeps them only where it is otherwise as stored: measured or derived anew, they might no
    longer be true of it.
    """
    if isinstance(fresh, dict) and isinstance(stored, dict):
        return {key: with_unknown_keys(value, stored.get(key)) for key, value in fresh.items()} | {
            key: value for key, value in stored.items() if key not in fresh
        }
    if isinstance(fresh, list) and isinstance(stored, list):
        return [
            with_unknown_keys(item, next((old for old in stored if _agree(item, old)), None))
            if isinstance(item, dict)
            else item
            for item in fresh
        ]
    return fresh


def _agree(fresh: Any, stored: Any) -> bool:
    """Return whether `stored` is `fresh`, perhaps with further keys, or without keys that are null or empty."""
    if isinstance(fresh, dict) and isinstance(stored, dict):
        return all(
            _agree(value, stored[key]) if key in stored else value is None or value == []
            for key, value in fresh.items()
        )
    if isinstance(fresh, list | tuple) and isinstance(stored, list):
        return len(fresh) == len(stored) and all(map(_agree, fresh, stored))
    return bool(fresh == stored)


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[Path]:
    """Create a report's directory, lock out other runs, and yield a folder in it for temporary files.

    Temporary files that a killed run left there are removed.

    Raises:
        BenchError: the directory cannot be written to, or another run is measuring into it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise BenchError(f"cannot write to {directory}, which is not a folder; choose another --output") from error
    except OSError as error:
        raise BenchError(f"cannot write to {directory}: {error.strerror or error}; choose another --output") from error
    with _locked(directory / LOCK_NAME, directory):
        try:
            _remove_temporary_files(directory)
            with tempfile.TemporaryDirectory(dir=directory, prefix=PARTS_PREFIX, ignore_cleanup_errors=True) as parts:
                yield Path(parts)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise BenchError(f"cannot write to {directory}: {error.strerror}") from error


def _remove_temporary_files(directory: Path) -> None:
    for path in directory.iterdir():
        if path.name.startswith(PARTS_PREFIX):
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith(tuple(f".{name}." for name in (REPORT_NAME, PREDICTIONS_NAME, PAGE_NAME))):
            with contextlib.suppress(OSError):
                path.unlink()


def _load_raw(path: Path) -> Any:
    file = report_path(path)
    try:
        return msgspec.json.decode(file.read_bytes())
    except FileNotFoundError as error:
        raise BenchError(f"no report at {path}: it should hold a {REPORT_NAME}") from error
    except OSError as error:
        raise BenchError(f"cannot read {file}: {error.strerror or error}") from error
    except NOT_SUCH_JSON as error:
        raise BenchError(f"{file} is not a report: {error}") from error


def _convert(raw: Any, file: Path) -> Report:
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, str) and schema.startswith("movierank-bench-"):
        command = schema.removeprefix("movierank-bench-").partition("/")[0]
        raise BenchError(f"{file} is not a report of `bench run` but of `bench {command}`, which `bench page` shows")
    if not isinstance(schema, str) or not schema.startswith("movierank-bench/"):
        raise BenchError(f"{file} is not a movierank-bench report: it has no such schema")
    if schema != SCHEMA:
        raise BenchError(f"{file} has schema {schema}, and this version reads {SCHEMA}; upgrade movierank-bench")
    try:
        return msgspec.convert(raw, Report)
    except msgspec.ValidationError as error:
        raise BenchError(f"{file} is damaged: {error}") from error
