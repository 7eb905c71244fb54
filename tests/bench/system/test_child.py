from __future__ import annotations

import subprocess
import sys

import pytest


def said(code: str) -> list[str]:
    """Run code in a process in which `colorsys` and `scipy` are hidden, and return the lines that it prints."""
    setup = "import importlib.util, sys; from bench.system.child import hide; hide(('colorsys', 'scipy')); "
    done = subprocess.run([sys.executable, "-c", setup + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["colorsys", "scipy", "scipy.stats"])
def test_a_hidden_package_is_as_if_it_were_not_installed(name: str) -> None:
    code = f"""
try:
    import {name}
except ModuleNotFoundError as error:
    print(error)
print(importlib.util.find_spec('{name.partition(".")[0]}'), '{name}' in sys.modules)
"""
    assert said(code) == [f"No module named '{name.partition('.')[0]}'", "None False"]


def test_all_else_is_found_as_before() -> None:
    assert said("import numpy, importlib.metadata as m; print(m.version('numpy') == numpy.__version__)") == ["True"]


def test_scipy_can_be_imported_where_a_framework_is_hidden() -> None:
    code = "from bench.system.child import hide; hide(['torch', 'jax', 'tensorflow']); import scipy.stats, scipy.linalg"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
