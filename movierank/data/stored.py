"""A prepared dataset on disk: plain `.npy` arrays, titles and a manifest with every file's checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from movierank.data.checks import check_order, check_ratings, check_titles
from movierank.data.ratings import Dataset, Int32Array, Ratings
from movierank.errors import MovierankError

FORMAT = 1
MANIFEST = "manifest.json"
TITLES = "titles.json"
RATING_ARRAYS = ("user_id", "movie_id", "label")
ORDER_ARRAY = "tutorial_order"


class FileRecord(msgspec.Struct, frozen=True):
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a folder of prepared data.

    Attributes:
        format: version of this layout.
        name: name of the dataset.
        source: source of its ratings.
        sha256: SHA-256 of the arrays, see `arrays_sha256`.
        num_ratings: length of the arrays.
        num_users: highest user id.
        num_movies: highest movie id, rated or not.
        has_order: whether the tutorial's order is stored.
        files: size and checksum of every other file by its name.
        software: versions of the packages that read the source, by name.
    """

    format: int
    name: str
    source: str
    sha256: str
    num_ratings: int
    num_users: int
    num_movies: int
    has_order: bool
    files: dict[str, FileRecord]
    software: dict[str, str]


class _Format(msgspec.Struct):
    format: int


def write_arrays(folder: Path, ratings: Ratings, order: Int32Array | None, titles: Mapping[int, str]) -> None:
    """Write a dataset's data files into an existing folder; `seal` completes it."""
    for name in RATING_ARRAYS:
        np.save(folder / f"{name}.npy", getattr(ratings, name))
    if order is not None:
        np.save(folder / f"{ORDER_ARRAY}.npy", order)
    (folder / TITLES).write_bytes(msgspec.json.encode(dict(titles)))


def seal(folder: Path, name: str, source: str, software: Mapping[str, str]) -> None:
    """Check the data files that `write_arrays` wrote to `folder` and write their manifest.

    Raises:
        MovierankError: the data breaks a rule of `movierank.data.checks`.
    """
    ratings, order = _open_arrays(folder, (folder / f"{ORDER_ARRAY}.npy").exists())
    titles = _read_titles(folder)
    check_ratings(ratings)
    if order is not None:
        check_order(order, len(ratings))
    check_titles(titles, ratings)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        source=source,
        sha256=arrays_sha256(ratings, order),
        num_ratings=len(ratings),
        num_users=int(ratings.user_id.max()),
        num_movies=max(titles),
        has_order=order is not None,
        files={path.name: _record(path) for path in sorted(folder.iterdir())},
        software=dict(software),
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


def open_sealed(folder: Path) -> Dataset:
    """Open a sealed folder, with size and checksum of every file verified and arrays memory-mapped read-only.

    Raises:
        MovierankError: a file is missing, damaged or of another version; the message names the file.
    """
    manifest = _read_manifest(folder / MANIFEST)
    for name, expected in manifest.files.items():
        _verify(folder / name, expected)
    ratings, order = _open_arrays(folder, manifest.has_order)
    return Dataset(
        name=manifest.name,
        source=manifest.source,
        sha256=manifest.sha256,
        ratings=ratings,
        num_users=manifest.num_users,
        num_movies=manifest.num_movies,
        tutorial_order=order,
        load_titles=lambda: _read_titles(folder),
    )


def arrays_sha256(ratings: Ratings, order: Int32Array | None) -> str:
    """Return the SHA-256 of the arrays' names, lengths and little-endian bytes, and of the tutorial's order if any."""
    digest = hashlib.sha256()
    arrays: list[tuple[str, npt.NDArray[np.generic]]] = [(name, getattr(ratings, name)) for name in RATING_ARRAYS]
    if order is not None:
        arrays.append((ORDER_ARRAY, order))
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.name} {len(array)}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _open_arrays(folder: Path, has_order: bool) -> tuple[Ratings, Int32Array | None]:
    def mapped(name: str) -> npt.NDArray[Any]:
        path = folder / f"{name}.npy"
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as error:  # also where the folder is being replaced after its check
            raise MovierankError(f"{path} is not readable: {error}") from error

    user_id, movie_id, label = (mapped(name) for name in RATING_ARRAYS)
    return Ratings(user_id, movie_id, label), mapped(ORDER_ARRAY) if has_order else None


def _read_titles(folder: Path) -> dict[int, str]:
    try:
        return msgspec.json.decode((folder / TITLES).read_bytes(), type=dict[int, str])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MovierankError(f"Cannot read {folder / TITLES}: {error}") from error


def _read_manifest(path: Path) -> Manifest:
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Format).format
        if found != FORMAT:
            raise MovierankError(f"{path} has format {found}; this version reads format {FORMAT}")
        return msgspec.json.decode(content, type=Manifest)
    except FileNotFoundError:
        raise MovierankError(f"{path} is missing") from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MovierankError(f"{path} is not readable: {error}") from error


def _verify(path: Path, expected: FileRecord) -> None:
    try:
        found = _record(path)
    except FileNotFoundError:
        raise MovierankError(f"{path} is missing") from None
    except OSError as error:
        raise MovierankError(f"{path} is not readable: {error.strerror}") from error
    if found.size != expected.size:
        raise MovierankError(f"{path} is damaged: {found.size} bytes instead of {expected.size}")
    if found.sha256 != expected.sha256:
        raise MovierankError(f"{path} is damaged: its checksum differs from the manifest's")


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileRecord(size=file.tell(), sha256=digest.hexdigest())
