from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from movierank.data.layouts import LAYOUTS
from movierank.data.local_source import content_digest, extract
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free

LAYOUT = LAYOUTS["100k"]


def zip_folder(folder: Path, prefix: str = "ml-100k/") -> Path:
    path = folder.parent / "ml-100k.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, prefix + file.name)
    return path


@pytest.mark.parametrize("prefix", ["ml-100k/", "", "downloads/ml-100k/"])
def test_a_zip_gives_the_files_that_the_folder_has(folder_100k: Path, tmp_path: Path, prefix: str) -> None:
    folder = extract(zip_folder(folder_100k, prefix), LAYOUT, tmp_path / "extracted")
    for name in LAYOUT.files:
        assert (folder / name).read_bytes() == (folder_100k / name).read_bytes()


def test_a_folder_is_found_from_its_parent_too(folder_100k: Path, tmp_path: Path) -> None:
    folder = extract(folder_100k.parent, LAYOUT, tmp_path / "extracted")
    assert (folder / "u.data").read_bytes() == (folder_100k / "u.data").read_bytes()


def test_no_member_of_a_zip_is_written_outside_its_folder(zip_1m: Path, tmp_path: Path) -> None:
    extract(zip_1m, LAYOUTS["1m"], tmp_path / "deep" / "extracted")
    written = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert written == {f"deep/extracted/ml-1m/{name}" for name in ("ratings.dat", "movies.dat", "users.dat")}
    assert not list(tmp_path.rglob("escaped.dat"))


def test_a_missing_file_is_named(folder_100k: Path, tmp_path: Path) -> None:
    (folder_100k / "u.user").unlink()
    with pytest.raises(MovierankError, match=r"has no u\.user; ml-100k needs u\.data, u\.item, u\.user"):
        extract(folder_100k, LAYOUT, tmp_path / "extracted")


def test_a_path_that_is_not_there_or_no_zip_is_refused(folder_100k: Path, tmp_path: Path) -> None:
    with pytest.raises(MovierankError, match="does not exist"):
        content_digest(tmp_path / "nowhere", LAYOUT)
    with pytest.raises(MovierankError, match="neither a folder nor a zip file"):
        content_digest(folder_100k / "u.data", LAYOUT)


def test_a_zip_without_movielens_in_it_is_refused(folder_100k: Path, tmp_path: Path) -> None:
    with pytest.raises(MovierankError, match=r"has no folder with ratings\.dat"):
        extract(zip_folder(folder_100k), LAYOUTS["1m"], tmp_path / "extracted")


def test_a_damaged_zip_is_refused(folder_100k: Path, tmp_path: Path) -> None:
    path = zip_folder(folder_100k)
    content = bytearray(path.read_bytes())
    start = content.index(b"u.data") + len(b"u.data")
    content[start : start + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(MovierankError, match="cannot be unpacked"):
        extract(path, LAYOUT, tmp_path / "extracted")


def test_the_digest_changes_with_the_content_and_nothing_else(folder_100k: Path) -> None:
    before = content_digest(folder_100k, LAYOUT)
    (folder_100k / "README").write_text("not read by TFDS")
    assert content_digest(folder_100k, LAYOUT) == before
    ratings = folder_100k / "u.data"
    ratings.write_text(ratings.read_text().replace("1\t1\t5", "1\t1\t4"))
    assert content_digest(folder_100k, LAYOUT) != before
