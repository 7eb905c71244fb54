"""What could spoil a measurement is printed before its first worker starts, and never on stdout."""

from __future__ import annotations

import functools
import io
import json
import sys
from typing import Any

import pytest
from rich.console import Console

from bench.commands.cli import main
from bench.measure.matrix import parse_cells
from bench.measure.options import Options
from bench.measure.run import measure
from bench.measure.versus import measure_versus
from bench.system.environment import usable_cores

pytestmark = pytest.mark.backend_free

THREADS = usable_cores() + 1  # noise on every machine
TOO_MANY = f"Noise: {THREADS} threads share "
ASKED = {"cells": parse_cells("jax", "cpu", "fit"), "processes": 1, "seeds": 1, "rounds": 1, "threads": THREADS}


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_run_tells_it_before_its_first_worker_starts(fake: Any) -> None:
    console = Console(file=io.StringIO())
    measure(fake.options({}, **ASKED), console)
    lines = lines_of(console)
    (found,) = [place for place, line in enumerate(lines) if line.startswith(TOO_MANY)]
    assert found < lines.index("jax/cpu/fit process 0: starting")


def test_two_environments_that_are_measured_together_tell_it_once(fake: Any) -> None:
    console = Console(file=io.StringIO())
    measure_versus(fake.options({}, **ASKED), (sys.executable, sys.executable), console)
    lines = lines_of(console)
    (found,) = [place for place, line in enumerate(lines) if line.startswith(TOO_MANY)]
    assert found < min(place for place, line in enumerate(lines) if line.endswith("process 0: starting"))


def test_stdout_holds_the_answer_alone(
    fake: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake.options({}, **ASKED)
    fixed = {"worker_command": asked.worker_command, "watch_s": 0.0, "patience_s": 0.0}
    monkeypatch.setattr("bench.measure.options.Options", functools.partial(Options, **fixed))
    monkeypatch.setattr("bench.page.beside.write_page_beside", lambda output: None)  # takes seconds
    code = main(
        ["run", "--backends", "jax", "--dataset", "synthetic:40x30x2000", "--batch-size", "100", "--processes", "1",
         "--seeds", "1", "--rounds", "1", "--threads", str(THREADS), "--no-parity", "--json",
         "--output", str(asked.output)]
    )  # fmt: skip
    printed = capfd.readouterr()
    assert code == 0, printed.err
    assert json.loads(printed.out)["exit_code"] == 0
    assert [line for line in printed.err.splitlines() if line.startswith(TOO_MANY)]
