"""Tests marked `backend_free` run under jax alone in tox, so they must be the same under every backend."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MARK = "pytestmark = pytest.mark.backend_free\n"
COLLECT = """
import sys, pytest
from importlib.machinery import ModuleSpec
class Refused:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in ("keras", "jax", "torch", "tensorflow") else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise RuntimeError(f"a module marked backend_free imports {module.__name__}")
sys.meta_path.insert(0, Refused())
sys.exit(pytest.main(["--collect-only", "-q", *sys.argv[1:]]))
"""


def marked() -> list[Path]:
    found = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if MARK in path.read_text()]
    assert len(found) > 5
    return found


@pytest.mark.one_backend
def test_what_is_marked_can_be_imported_where_no_backend_is() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    command = [sys.executable, "-c", COLLECT, *map(str, marked())]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "SKIPPED" not in done.stdout, done.stdout


def test_what_is_marked_does_not_ask_for_the_backend() -> None:
    asks = re.compile(r"environ(\.get\(|\[)\"KERAS_BACKEND")
    assert [path for path in marked() if asks.search(path.read_text())] == []


@pytest.mark.backend_free
def test_what_is_marked_has_no_backend_while_it_runs() -> None:
    assert "KERAS_BACKEND" not in os.environ
    for name in ("keras", "jax", "torch", "tensorflow"):
        with pytest.raises(RuntimeError, match=f"this test is marked backend_free and imports {name}"):
            __import__(name)


def test_tox_runs_all_under_jax_and_elsewhere_all_but_what_is_marked() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    commands = tox["testenv:{jax,torch,tf}"]["commands"].splitlines()
    assert [line for line in commands if "pytest" in line and "bench/suite" not in line] == [
        "jax: pytest {[xdist]options} {posargs}",
        'torch,tf: pytest {[xdist]options} {posargs:-m "not backend_free and not one_backend"}',
    ]
    assert "-m " not in tox["xdist"]["options"]
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert (options["testpaths"], "-m " in options["addopts"]) == (["tests"], False)
