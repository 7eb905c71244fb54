"""The user's own MovieLens files: a folder, or a zip as GroupLens ships it."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from movierank.data.layouts import Layout
from movierank.errors import MovierankError


def content_digest(path: Path, layout: Layout) -> str:
    """Return 16 hex digits that change with the content of the zip file, or of the layout's files in the folder.

    Raises:
        MovierankError: `path` is neither, or a file is missing or not readable.
    """
    digest = hashlib.sha256()
    try:
        for file_path in [path] if _is_zip(path) else _folder_files(path, layout):
            with file_path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise MovierankError(f"{error.filename or path}: {error.strerror}") from error
    return digest.hexdigest()[:16]


def extract(path: Path, layout: Layout, extracted: Path) -> Path:
    """Put the layout's files under `extracted` as TFDS expects them.

    Args:
        path: a folder with the layout's files or with `layout.folder` in it, or a zip.
        layout: layout of the distribution.
        extracted: folder to create.

    Returns:
        The folder `extracted / layout.folder`, which holds the files or links to them.

    Raises:
        MovierankError: a file is missing or the zip is damaged.
    """
    folder = extracted / layout.folder
    folder.mkdir(parents=True)
    if _is_zip(path):
        _unzip(path, layout, folder)
    else:
        for file in _folder_files(path, layout):
            (folder / file.name).symlink_to(file.absolute())
    return folder


def _is_zip(path: Path) -> bool:
    if path.is_dir():
        return False
    if not path.exists():
        raise MovierankError(f"{path} does not exist; --data-path takes a MovieLens folder or zip")
    if not zipfile.is_zipfile(path):
        raise MovierankError(f"{path} is neither a folder nor a zip file (or the zip is cut off)")
    return True


def _folder_files(path: Path, layout: Layout) -> list[Path]:
    inner = path / layout.folder
    folder = inner if inner.is_dir() else path
    missing = [name for name in layout.files if not (folder / name).is_file()]
    if missing:
        raise MovierankError(f"{folder} has no {', '.join(missing)}; {layout.folder} needs {', '.join(layout.files)}")
    return [folder / name for name in layout.files]


def _unzip(path: Path, layout: Layout, folder: Path) -> None:
    # Only the required files are extracted, to fixed names: a member's path never decides where anything is written.
    try:
        with zipfile.ZipFile(path) as archive:
            inner = _folder_in(archive, path, layout)
            for name in layout.files:
                with archive.open(str(inner / name)) as member, (folder / name).open("xb") as file:
                    shutil.copyfileobj(member, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise MovierankError(f"{path} cannot be unpacked: {error}") from error


def _folder_in(archive: zipfile.ZipFile, path: Path, layout: Layout) -> PurePosixPath:
    members = set(archive.namelist())
    parents = {PurePosixPath(member).parent for member in members}
    complete = [parent for parent in parents if all(str(parent / name) in members for name in layout.files)]
    if len(complete) != 1:
        found = "no folder" if not complete else f"{len(complete)} folders"
        raise MovierankError(f"{path} has {found} with {', '.join(layout.files)}; it is not {layout.folder}.zip")
    return complete[0]
