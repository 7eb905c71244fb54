"""The files of MovieLens's distributions, and their checks before anything else reads them.

The checks name a bad line with its file and number, because TFDS would stop at it with a traceback that names neither.
Formats: the README.txt inside each MovieLens distribution.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from movierank.errors import MovierankError

LARGEST_ID = 2**31 - 1

Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Layout:
    """The tables of one MovieLens distribution.

    Attributes:
        folder: name of its folder inside the zip.
        ratings: file of user, movie, rating, timestamp.
        movies: file of movies, their id first.
        users: file of users, their id first; None where there is none.
        separators: separators of the fields of `ratings`, `movies` and `users`; empty for CSV with a header.
        fields: number of fields of `ratings`, `movies` and `users`; empty for CSV with a header.
        whole_stars: whether ratings are whole stars from 1 to 5; half stars from 0.5 to 5 otherwise.
    """

    folder: str
    ratings: str
    movies: str
    users: str | None = None
    separators: tuple[str, ...] = ()
    fields: tuple[int, ...] = ()
    whole_stars: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that TFDS reads."""
        return (self.ratings, self.movies) if self.users is None else (self.ratings, self.movies, self.users)


def _csv_layout(name: str) -> Layout:
    return Layout(folder=f"ml-{name}", ratings="ratings.csv", movies="movies.csv")


LAYOUTS = {
    "100k": Layout("ml-100k", "u.data", "u.item", "u.user", ("\t", "|", "|"), (4, 24, 5), whole_stars=True),
    "latest-small": _csv_layout("latest-small"),
    "1m": Layout("ml-1m", "ratings.dat", "movies.dat", "users.dat", ("::", "::", "::"), (4, 3, 5), whole_stars=True),
    "20m": _csv_layout("20m"),
    "25m": _csv_layout("25m"),
}


def check_folder(folder: Path, layout: Layout) -> None:
    """Check every line that TFDS will read.

    Args:
        folder: folder with `layout.files`.
        layout: layout of the distribution.

    Raises:
        MovierankError: a line is bad; the message has the file name and line number of the first one.
    """
    try:
        movies = _read_ids(folder / layout.movies, _rows(folder, layout, 1), "movie")
        users = None if layout.users is None else _read_ids(folder / layout.users, _rows(folder, layout, 2), "user")
        _check_ratings(folder / layout.ratings, _rows(folder, layout, 0), movies, users, layout.whole_stars)
    except (UnicodeDecodeError, csv.Error) as error:
        raise MovierankError(f"{folder}: not readable as MovieLens text: {error}") from error
    except OSError as error:
        raise MovierankError(f"{error.filename or folder}: {error.strerror}") from error


def _rows(folder: Path, layout: Layout, table: int) -> Iterator[Row]:
    path = folder / layout.files[table]
    if layout.separators:
        return _separated_rows(path, layout.separators[table], layout.fields[table])
    columns = (("userId", "movieId", "rating", "timestamp"), ("movieId", "title", "genres"))[table]
    return _csv_rows(path, columns)


def _separated_rows(path: Path, separator: str, count: int) -> Iterator[Row]:
    # The line is decoded, stripped and split as in tensorflow_datasets/structured/movielens_parsing.py.
    with path.open(encoding="iso-8859-1", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            fields = line.strip().split(separator)
            if len(fields) != count:
                raise _fault(path, number, f"{len(fields)} fields separated by {separator!r} instead of {count}")
            yield number, fields


def _csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        for column in columns:
            if header.count(column) != 1:
                problem = "missing" if column not in header else "there more than once"
                raise _fault(path, 1, f"column {column} is {problem} in the header {','.join(header)!r}")
        positions = [header.index(column) for column in columns]
        for fields in reader:
            if fields and len(fields) != len(header):
                raise _fault(path, reader.line_num, f"{len(fields)} fields instead of {len(header)}")
            if fields:
                yield reader.line_num, [fields[position] for position in positions]


def _read_ids(path: Path, rows: Iterator[Row], kind: str) -> set[str]:
    ids: set[str] = set()
    for number, fields in rows:
        _check_id(path, number, fields[0], kind)
        if fields[0] in ids:
            raise _fault(path, number, f"{kind} id {fields[0]} is there more than once")
        ids.add(fields[0])
    if not ids:
        raise MovierankError(f"{path} has no rows")
    return ids


def _check_ratings(path: Path, rows: Iterator[Row], movies: set[str], users: set[str] | None, whole: bool) -> None:
    known_users: set[str] = users or set()
    good_stars: set[str] = set()
    number = 0
    for number, (user, movie, stars, timestamp) in rows:
        if user not in known_users:
            _check_id(path, number, user, "user")
            if users is not None:
                raise _fault(path, number, f"user id {user} is not in the users' file")
            known_users.add(user)
        if movie not in movies:
            _check_id(path, number, movie, "movie")
            raise _fault(path, number, f"movie id {movie} is not in the movies' file")
        if stars not in good_stars:
            _check_stars(path, number, stars, whole)
            good_stars.add(stars)
        if not _is_integer(timestamp.removeprefix("-")):
            raise _fault(path, number, f"timestamp {timestamp!r} is not a whole number")
    if number == 0 or not good_stars:
        raise MovierankError(f"{path} has no rows")


def _check_id(path: Path, number: int, text: str, kind: str) -> None:
    if not _is_integer(text) or not 1 <= int(text) <= LARGEST_ID:
        raise _fault(path, number, f"{kind} id {text!r} is not a whole number from 1 up")


def _check_stars(path: Path, number: int, text: str, whole: bool) -> None:
    try:
        stars = float(text)
    except ValueError:
        raise _fault(path, number, f"rating {text!r} is not a number") from None
    if whole and stars not in (1, 2, 3, 4, 5):
        raise _fault(path, number, f"rating {text} is not one of 1, 2, 3, 4, 5")
    if not 0.5 <= stars <= 5:
        raise _fault(path, number, f"rating {text} is outside 0.5 to 5")


def _is_integer(text: str) -> bool:
    return len(text) <= 20 and text.isascii() and text.isdigit()


def _fault(path: Path, number: int, problem: str) -> MovierankError:
    return MovierankError(f"{path}, line {number}: {problem}")
