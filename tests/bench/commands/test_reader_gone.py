"""Readers of the output that go away, such as `head` after its first line, do not change the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.report.file import save_report
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
MakeReport = Callable[..., Report]
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def reports(make_report: MakeReport, tmp_path: Path) -> Path:
    """A folder with the reports `before`, and `after`, in which steps take twice as long."""
    for name, factor in (("before", 1), ("after", 2)):
        (tmp_path / name).mkdir()
        save_report(make_report({"jax": [factor * ms for ms in (0.8, 0.81, 0.8, 0.79, 0.8)]}), tmp_path / name)
    return tmp_path


def unread(*arguments: str, cwd: Path, errors_too: bool = False, **variables: str) -> Done:
    """Run a command that writes to a pipe which nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
            stdout=writing,
            stderr=writing if errors_too else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "table"])
def test_a_reader_that_goes_away_is_no_error(reports: Path, form: list[str]) -> None:
    done = unread("compare", "before", "before", *form, cwd=reports)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("form", "variables"),
    [(["--json"], {}), (["--json"], {"PYTHONUNBUFFERED": "1"}), ([], {})],
    ids=["json", "json unbuffered", "table"],
)
def test_a_gate_that_fails_fails_unread_and_does_the_rest(
    reports: Path, form: list[str], variables: dict[str, str]
) -> None:
    done = unread("compare", "before", "after", *form, "--junit", "verdicts.xml", cwd=reports, **variables)
    assert (done.returncode, done.stderr) == (1, "")
    assert 'failures="1"' in (reports / "verdicts.xml").read_text()


def test_an_error_that_nobody_reads_has_its_exit_code(reports: Path) -> None:
    assert unread("compare", "before", "none", cwd=reports, errors_too=True).returncode == 2
    assert unread("compare", "before", "after", cwd=reports, errors_too=True).returncode == 1


def test_help_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    done = unread("run", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_output_that_is_closed_from_the_start_leaves_the_exit_code(reports: Path, closed: str) -> None:
    command = f'"{sys.executable}" -m bench compare before after --json {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], cwd=reports, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
