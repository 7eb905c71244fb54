"""The command that a user is advised to type, for each origin of this package."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from movierank import install_hint as module
from movierank.install_hint import install_hint

pytestmark = pytest.mark.backend_free

CLONE = Path(module.__file__).parents[1]


class Installed:
    """A distribution with pip's record of its origin."""

    def __init__(self, origin: object) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.origin is None else json.dumps(self.origin)


@pytest.fixture
def hint(monkeypatch: pytest.MonkeyPatch):
    """Return the hint for `jax` where pip wrote `origin`, of a package in site-packages unless `beside` is given."""

    def build(origin: object, *, beside: Path = Path("/nowhere/site-packages")) -> str:
        monkeypatch.setattr(module, "__file__", str(beside / "movierank" / "install_hint.py"))
        monkeypatch.setattr(module, "distribution", lambda name: Installed(origin))
        return install_hint("jax")

    return build


def test_in_the_clone_it_is_a_dot(hint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CLONE)
    editable = {"url": CLONE.as_uri(), "dir_info": {"editable": True}}
    assert hint(None, beside=CLONE) == "pip install '.[jax]'"
    assert hint({"url": CLONE.as_uri(), "dir_info": {}}) == "pip install '.[jax]'"
    assert hint(editable, beside=CLONE) == hint(editable) == "pip install -e '.[jax]'"


def test_elsewhere_the_clone_is_named_so_that_a_shell_finds_it(
    hint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    monkeypatch.chdir(tmp_path)
    advice = hint({"url": clone.as_uri(), "dir_info": {}})
    assert shlex.split(advice) == ["pip", "install", f"{clone}[jax]"]


def test_a_clone_that_is_gone_is_not_named(hint, tmp_path: Path) -> None:
    assert hint({"url": (tmp_path / "gone").as_uri(), "dir_info": {}}) == "pip install 'movierank-bench[jax]'"


def test_what_pip_was_given_is_named_and_an_index_needs_no_name(hint) -> None:
    commit = {"vcs": "git", "commit_id": "0123abc"}
    assert hint({"url": "https://example.org/bench.git", "vcs_info": commit}) == (
        "pip install 'movierank-bench[jax] @ git+https://example.org/bench.git'"
    )
    wheel = "file:///tmp/movierank_bench-0.1.0-py3-none-any.whl"
    assert hint({"url": wheel, "archive_info": {}}) == f"pip install 'movierank-bench[jax] @ {wheel}'"
    assert hint(None) == "pip install 'movierank-bench[jax]'"


def test_a_package_that_is_not_installed_but_lies_in_a_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Installed:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", missing)
    monkeypatch.chdir(CLONE)
    assert install_hint("data") == "pip install '.[data]'"
