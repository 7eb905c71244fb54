"""MovieLens 100K from the PyPI package `recbole` 1.2.1, which carries GroupLens's ratings byte for byte.

`ml-100k.inter` without its header line is `u.data`. `.item` and `.user` hold the parts of `u.item` and `u.user` that
TFDS reads, with separate title and year, and genres as words.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from movierank.data.layouts import LAYOUTS
from movierank.errors import MovierankError

REQUIREMENT = "recbole==1.2.1"
WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
MEMBER = "recbole/dataset_example/ml-100k/ml-100k"
RATINGS_MD5 = "6e47046882bad158b0efbb84cd5cb987"  # GroupLens's u.data
TIMEOUT_S = 300

# Columns 6 to 24 of u.item, in the order of GroupLens's u.genre.
GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
NO_TITLE = "unkonwn"  # recbole's spelling for movie 267, which GroupLens calls "unknown" without a year


def fetch_wheel(scratch: Path) -> Path:
    """Download the wheel through the user's own pip configuration.

    Args:
        scratch: existing folder for the wheel.

    Returns:
        The wheel's path; `unpack_wheel` checks its hash.

    Raises:
        MovierankError: pip fails or takes more than `TIMEOUT_S` seconds.
    """
    options = ["--no-deps", "--only-binary=:all:", "--retries=2", "--quiet", f"--dest={scratch}"]
    command = [sys.executable, "-m", "pip", "download", *options, REQUIREMENT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise MovierankError(f"pip download {REQUIREMENT} took more than {TIMEOUT_S} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line] or lines
        reason = errors[-1].removeprefix("ERROR: ")[:200] if errors else f"exit code {done.returncode}"
        raise MovierankError(f"pip download {REQUIREMENT} failed: {reason}")
    return scratch / WHEEL


def unpack_wheel(wheel: Path, extracted: Path) -> None:
    """Write `ml-100k/u.data`, `u.item` and `u.user` in GroupLens's layout (ISO-8859-1).

    Args:
        wheel: recbole's wheel.
        extracted: folder to create; TFDS reads it as an extracted `ml-100k.zip`.

    Raises:
        MovierankError: the wheel or its ratings are not the known ones.
    """
    try:
        content = wheel.read_bytes()
    except FileNotFoundError:
        raise MovierankError(f"pip download {REQUIREMENT} did not write {wheel.name}") from None
    if hashlib.sha256(content).hexdigest() != WHEEL_SHA256:
        raise MovierankError(f"{wheel.name} from pip does not have the known SHA-256 {WHEEL_SHA256[:12]}…")
    with zipfile.ZipFile(wheel) as archive:
        ratings = archive.read(f"{MEMBER}.inter").partition(b"\n")[2]
        movies = _rows(archive.read(f"{MEMBER}.item"))
        users = _rows(archive.read(f"{MEMBER}.user"))
    if hashlib.md5(ratings, usedforsecurity=False).hexdigest() != RATINGS_MD5:
        raise MovierankError(f"the ratings in {wheel.name} are not GroupLens's u.data")
    layout = LAYOUTS["100k"]
    folder = extracted / layout.folder
    folder.mkdir(parents=True)
    (folder / layout.ratings).write_bytes(ratings)
    (folder / layout.movies).write_text("".join(map(_item_line, movies)), encoding="iso-8859-1")
    (folder / str(layout.users)).write_text("".join("|".join(row) + "\n" for row in users), encoding="iso-8859-1")


def full_title(title: str, year: str) -> str:
    """Return GroupLens's title from recbole's two columns, for example `Toy Story (1995)`."""
    return "unknown" if title == NO_TITLE else f"{title} ({year})"


def _rows(content: bytes) -> list[list[str]]:
    return [line.split("\t") for line in content.decode("utf-8").splitlines()[1:]]


def _item_line(row: list[str]) -> str:
    movie, title, year, classes = row
    genres = re.split(r"\s+", classes)
    flags = [str(int(genre in genres)) for genre in GENRES]
    # Release date, video release date and address are in no feature of TFDS.
    return "|".join([movie, full_title(title, year), "", "", "", *flags]) + "\n"
