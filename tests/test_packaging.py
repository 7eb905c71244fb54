from __future__ import annotations

import configparser
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
BACKEND_EXTRAS = {"jax", "torch", "tf"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints/tested.txt").read_text().splitlines()
    exact = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in exact}


def direct_requirements() -> list[Requirement]:
    """Return all requirements by name on the platform that the pins are for; GPU builds have none."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    texts = [*PROJECT["dependencies"], *tox["testenv:lint"]["deps"].split()]
    texts += [text for extra, listed in EXTRAS.items() if not extra.endswith("-gpu") for text in listed]
    linux = {"sys_platform": "linux", "platform_machine": "x86_64"}
    found = [requirement for text in texts if (requirement := Requirement(text)).name != PROJECT["name"]]
    return [each for each in found if each.marker is None or each.marker.evaluate(linux)]


def installed() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(PROJECT["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed here")


def test_the_console_script_starts() -> None:
    (script,) = installed().entry_points.select(group="console_scripts")
    assert {script.name: script.value} == PROJECT["scripts"]
    program = Path(sys.executable).parent / script.name
    if not program.exists():
        pytest.skip("the checkout is on the path without being installed")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "compare" in done.stdout


def test_the_installed_version_is_the_checkout_s() -> None:
    assert installed().version == PROJECT["version"]


def test_the_newest_changelog_entry_is_this_version() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == PROJECT["version"]


def test_every_extra_that_a_message_names_exists() -> None:
    texts = [path.read_text() for package in ("bench", "movierank") for path in (ROOT / package).rglob("*.py")]
    named = {extra for text in texts for extra in re.findall(r"install_hint\([\"'](\w+)[\"']\)", text)}
    assert {"all", "data", "page"} <= named
    assert named | BACKEND_EXTRAS <= EXTRAS.keys()
    assert not [text for text in texts if re.search(r"pip install[^\n]*movierank-bench\[", text)], (
        "install_hint says it"
    )


def test_every_direct_dependency_has_a_pin_that_its_range_allows() -> None:
    pinned = pins()
    wrong = [
        str(each)
        for each in direct_requirements()
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]
    assert wrong == []


def test_pins_are_public_releases() -> None:
    pinned = pins()
    assert len(pinned) > 50
    assert [name for name, version in pinned.items() if not re.fullmatch(r"[0-9][0-9a-z.]*", version)] == []


def test_every_file_that_the_readme_links_to_is_there_and_nothing_is_left_to_fill_in() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert "@@" not in text
