from __future__ import annotations

from pathlib import Path

import pytest

from movierank.data.layouts import LAYOUTS, check_folder
from movierank.data.local_source import extract
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("file", "line", "content", "problem"),
    [
        ("u.data", 2, "0\t1\t3\t881250950", "user id '0' is not a whole number from 1 up"),
        ("u.data", 2, "-2\t1\t3\t881250950", "user id '-2' is not a whole number from 1 up"),
        ("u.data", 2, "2.5\t1\t3\t881250950", "user id '2.5' is not a whole number from 1 up"),
        ("u.data", 2, "2\t0\t3\t881250950", "movie id '0' is not a whole number from 1 up"),
        ("u.data", 2, "2\t1.0\t3\t881250950", "movie id '1.0' is not a whole number from 1 up"),
        ("u.data", 2, "2\t99999999999\t3\t881250950", "movie id '99999999999' is not a whole number from 1 up"),
        ("u.data", 3, "2\t9\t1\t881250951", "movie id 9 is not in the movies' file"),
        ("u.data", 3, "7\t3\t1\t881250951", "user id 7 is not in the users' file"),
        ("u.data", 4, "1\t2\t6\t881250952", "rating 6 is not one of 1, 2, 3, 4, 5"),
        ("u.data", 4, "1\t2\t3.5\t881250952", "rating 3.5 is not one of 1, 2, 3, 4, 5"),
        ("u.data", 4, "1\t2\tnan\t881250952", "rating nan is not one of 1, 2, 3, 4, 5"),
        ("u.data", 4, "1\t2\tgood\t881250952", "rating 'good' is not a number"),
        ("u.data", 4, "1\t2\t4\tyesterday", "timestamp 'yesterday' is not a whole number"),
        ("u.data", 1, "1\t1\t5", r"3 fields separated by '\\t' instead of 4"),
        ("u.data", 1, "1\t1\t5\t881250949\t0", r"5 fields separated by '\\t' instead of 4"),
        ("u.data", 3, "", r"1 fields separated by '\\t' instead of 4"),
        ("u.item", 3, "2|again|||||0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0", "movie id 2 is there more than once"),
        ("u.item", 1, "1|Toy Story (1995)", r"2 fields separated by '\|' instead of 24"),
        ("u.user", 1, "x|24|M|technician|85711", "user id 'x' is not a whole number from 1 up"),
    ],
)
def test_a_bad_line_of_100k_is_named(folder_100k: Path, file: str, line: int, content: str, problem: str) -> None:
    lines = (folder_100k / file).read_text("iso-8859-1").splitlines()
    lines[line - 1] = content
    (folder_100k / file).write_text("\n".join(lines) + "\n", "iso-8859-1")
    with pytest.raises(MovierankError, match=f"{file}, line {line}: {problem}"):
        check_folder(folder_100k, LAYOUTS["100k"])


@pytest.mark.parametrize(
    ("file", "line", "content", "problem"),
    [
        ("ratings.csv", 1, "userId,movieId,rating", "column timestamp is missing in the header"),
        ("ratings.csv", 1, "userId,movieId,rating,rating,timestamp", "column rating is there more than once"),
        ("movies.csv", 1, "movieId,genres", "column title is missing in the header"),
        ("ratings.csv", 3, "1,70,0.5", "3 fields instead of 4"),
        ("ratings.csv", 3, "1,70,0,964981247", "rating 0 is outside 0.5 to 5"),
        ("ratings.csv", 3, "1,70,inf,964981247", "rating inf is outside 0.5 to 5"),
        ("ratings.csv", 3, "1,2,0.5,964981247", "movie id 2 is not in the movies' file"),
        ("ratings.csv", 4, "two,70,3.5,964982224", "user id 'two' is not a whole number from 1 up"),
    ],
)
def test_a_bad_line_of_a_csv_layout_is_named(
    folder_latest_small: Path, file: str, line: int, content: str, problem: str
) -> None:
    lines = (folder_latest_small / file).read_text("utf-8").splitlines()
    lines[line - 1] = content
    (folder_latest_small / file).write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(MovierankError, match=f"{file}, line {line}: {problem}"):
        check_folder(folder_latest_small, LAYOUTS["latest-small"])


def test_files_without_rows_are_refused(folder_latest_small: Path, folder_100k: Path) -> None:
    (folder_latest_small / "ratings.csv").write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(MovierankError, match=r"ratings\.csv has no rows"):
        check_folder(folder_latest_small, LAYOUTS["latest-small"])
    (folder_100k / "u.item").write_text("")
    with pytest.raises(MovierankError, match=r"u\.item has no rows"):
        check_folder(folder_100k, LAYOUTS["100k"])


def test_a_file_that_is_no_text_is_refused(folder_latest_small: Path) -> None:
    (folder_latest_small / "movies.csv").write_bytes(b"movieId,title,genres\n1,\xff\xfe,x\n")
    with pytest.raises(MovierankError, match="not readable as MovieLens text"):
        check_folder(folder_latest_small, LAYOUTS["latest-small"])


def test_good_files_pass(folder_100k: Path, folder_latest_small: Path, zip_1m: Path, tmp_path: Path) -> None:
    check_folder(folder_100k, LAYOUTS["100k"])
    check_folder(folder_latest_small, LAYOUTS["latest-small"])
    check_folder(extract(zip_1m, LAYOUTS["1m"], tmp_path / "extracted"), LAYOUTS["1m"])
