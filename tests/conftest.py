from __future__ import annotations

import os
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from bench.system.compile_cache import with_cache
from bench.system.environment import THREAD_VARIABLES
from movierank.data.datasets import load_dataset
from movierank.data.ratings import Dataset

# Before a framework is loaded: PyTorch's threads wait for each other at every step, some twenty times as long where a
# core is busy. A worker knows its own number.
for _name in THREAD_VARIABLES:
    os.environ.setdefault(_name, "1")

# What a test compiles with JAX, others find, also those of pytest-xdist's other processes. A worker never sees it.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _compiled = tempfile.TemporaryDirectory(prefix="movierank-tests-")
    for _name, _value in with_cache({}, Path(_compiled.name)).items():
        if _name.startswith("JAX_"):
            os.environ[_name] = _value

# Examples of a property: so few that CI is short, and those of `tox run -e thorough`. No test has a deadline.
settings.register_profile("short", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile("short")

FRAMEWORKS = ("keras", "jax", "torch", "tensorflow")


class Refused:
    """A finder that finds frameworks, since a library may look for them in passing, and refuses to load them.

    The error is one that no test takes for a reason to skip.
    """

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name.partition(".")[0] in FRAMEWORKS else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        raise RuntimeError(f"this test is marked backend_free and imports {module.__name__}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what starts real workers or trains first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("backend_free") is not None)


@pytest.fixture(autouse=True)
def _hidden_backends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the backend from a test that is marked as free of one, since tox runs it only under jax."""
    if request.node.get_closest_marker("backend_free") is not None:
        for name in FRAMEWORKS:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "meta_path", [Refused(), *sys.meta_path])
        monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Let SIGINT interrupt this process and its children, even where `nohup` or a script's `&` has it ignored.

    A child inherits an ignored signal, and the product leaves it ignored.
    """
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.fixture(scope="session")
def movielens() -> Dataset:
    """Return MovieLens 100K from the user's own cache, and prepare it there first if it is missing."""
    return load_dataset("100k")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache directory of this test, which its processes use too."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOVIERANK_CACHE", str(folder))
    return folder


@pytest.fixture
def folder_100k(tmp_path: Path) -> Path:
    """Three movies, two users and four ratings in the layout of ml-100k."""
    flags = "|".join("0" * 18)
    files = {
        "u.data": "1\t1\t5\t881250949\n2\t1\t3\t881250950\n2\t3\t1\t881250951\n1\t2\t4\t881250952\n",
        "u.item": "".join(
            f"{movie}|{title}|01-Jan-1995|||1|{flags}\n"
            for movie, title in [(1, "Toy Story (1995)"), (2, "Misérables, Les (1995)"), (3, "unknown")]
        ),
        "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    }
    return _write(tmp_path / "ml-100k", files, "iso-8859-1")


@pytest.fixture
def folder_latest_small(tmp_path: Path) -> Path:
    """Three movies with gaps in their ids, two users and three ratings in the layout of ml-latest-small."""
    files = {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,70,0.5,964981247\n2,70,3.5,964982224\n",
        "movies.csv": 'movieId,title,genres\n1,Toy Story (1995),Adventure|Children\n70,"Amélie, l\'été (2001)",Comedy\n'
        "193609,Andrew Dice Clay: Dice Rules (1991),(no genres listed)\n",
    }
    return _write(tmp_path / "ml-latest-small", files, "utf-8")


@pytest.fixture
def zip_1m(tmp_path: Path) -> Path:
    """Two movies, one user and two ratings in the layout of ml-1m.zip, with a member that wants to leave the folder."""
    path = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.dat", "x")
        archive.writestr("ml-1m/README", "x")
        archive.writestr("ml-1m/ratings.dat", "1::2::5::978300760\n1::1::2::978302109\n")
        archive.writestr(
            "ml-1m/movies.dat", "1::Toy Story (1995)::Animation|Children's\n2::Jumanji (1995)::Adventure\n"
        )
        archive.writestr("ml-1m/users.dat", "1::F::1::10::48067\n")
    return path


def _write(folder: Path, files: dict[str, str], encoding: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, encoding=encoding)
    return folder
