"""`load_dataset`: names and sources, the cache and its faults."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from movierank.data.datasets import load_dataset
from movierank.errors import MovierankError

pytestmark = pytest.mark.backend_free

SMALL = "synthetic:50x40x600"
FILES = ["user_id.npy", "movie_id.npy", "label.npy", "titles.json"]


@pytest.fixture
def prepared(empty_cache: Path) -> Path:
    load_dataset(SMALL)
    return empty_cache / SMALL.replace(":", "-") / "synthetic"


@pytest.mark.parametrize(
    ("name", "source", "path", "problem"),
    [
        ("100K-ratings", "auto", None, "choose 100k, latest-small, 1m, 20m, 25m or for example synthetic:"),
        ("100k", "web", None, "choose auto, tfds, wheel, local, synthetic"),
        ("100k", "local", None, "go together"),
        ("100k", "wheel", Path("ml-100k"), "go together"),
        ("1m", "wheel", None, "The wheel holds only 100k"),
        ("100k", "synthetic", None, "chosen by name"),
        (SMALL, "tfds", None, "does not come from tfds"),
        ("synthetic:0x1x1", "auto", None, "must be at least 1"),
    ],
)
def test_bad_names_and_sources_are_refused(
    empty_cache: Path, name: str, source: str, path: Path | None, problem: str
) -> None:
    with pytest.raises(MovierankError, match=problem):
        load_dataset(name, source=source, path=path)
    assert not empty_cache.exists()


def test_a_dataset_is_prepared_once_and_then_mapped(empty_cache: Path) -> None:
    said: list[str] = []
    first = load_dataset("synthetic:50X40X600", progress=said.append)
    again = load_dataset(SMALL, source="synthetic", progress=said.append)
    assert said == [f"Preparing {SMALL} from synthetic."]
    assert (again.name, again.source, again.num_users, again.num_movies) == (SMALL, "synthetic", 50, 40)
    assert again.sha256 == first.sha256
    assert again.tutorial_order is None
    assert again.titles[40] == "Movie 40"
    assert isinstance(again.ratings.label.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        again.ratings.user_id[0] = 1


@pytest.mark.parametrize("file", [*FILES, "manifest.json"])
def test_a_missing_file_is_named_with_the_way_out(prepared: Path, file: str) -> None:
    (prepared / file).unlink()
    assert_refused(prepared / file, "is missing")


@pytest.mark.parametrize("file", FILES)
def test_a_truncated_file_is_named(prepared: Path, file: str) -> None:
    content = (prepared / file).read_bytes()
    (prepared / file).write_bytes(content[:-7])
    assert_refused(prepared / file, f"is damaged: {len(content) - 7} bytes instead of {len(content)}")


@pytest.mark.parametrize("file", FILES)
def test_a_flipped_bit_is_noticed(prepared: Path, file: str) -> None:
    content = bytearray((prepared / file).read_bytes())
    content[-5] ^= 1
    (prepared / file).write_bytes(content)
    assert_refused(prepared / file, "is damaged: its checksum differs")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_an_unreadable_manifest_is_named(prepared: Path, content: bytes) -> None:
    (prepared / "manifest.json").write_bytes(content)
    assert_refused(prepared / "manifest.json", "is not readable")


def test_a_manifest_of_another_version_is_refused(prepared: Path) -> None:
    manifest = msgspec.json.decode((prepared / "manifest.json").read_bytes())
    (prepared / "manifest.json").write_bytes(msgspec.json.encode(manifest | {"format": 2}))
    assert_refused(prepared / "manifest.json", "has format 2; this version reads format 1")


def assert_refused(file: Path, problem: str) -> None:
    with pytest.raises(MovierankError) as caught:
        load_dataset(SMALL)
    assert f"{file} {problem}" in str(caught.value)
    assert f"python -m movierank prepare --dataset {SMALL} --refresh" in str(caught.value)
    assert load_dataset(SMALL, refresh=True).num_users == 50
    assert load_dataset(SMALL).num_users == 50


def test_local_files_are_checked_before_tfds_sees_them(empty_cache: Path, folder_100k: Path) -> None:
    (folder_100k / "u.data").write_text("1\t1\t5\t881250949\n1\t2\t9\t881250949\n")
    with pytest.raises(MovierankError, match=r"u\.data, line 2: rating 9"):
        load_dataset("100k", source="local", path=folder_100k)


def test_without_network_each_reason_is_given_and_nothing_is_made_up(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(MovierankError) as caught:
        load_dataset("100k")
    lines = str(caught.value).splitlines()
    assert lines[0] == "Could not prepare 100k:"
    assert lines[1].startswith("  tfds: files.grouplens.org cannot be reached")
    assert lines[2].startswith("  wheel: pip download recbole==1.2.1 failed")
    assert "--data-source local --data-path" in lines[3]
    assert [path.name for path in empty_cache.rglob("*")] == ["100k", ".lock"]
