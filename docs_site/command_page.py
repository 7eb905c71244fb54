"""The output of `--help`, for every command."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PROGRAMS = ("bench", "movierank")


def commands() -> str:
    """Return a section for each command with its help, 100 columns wide."""
    return "\n\n".join(_program(program) for program in PROGRAMS)


def _program(program: str) -> str:
    names = command_names(program)
    with ThreadPoolExecutor(2) as at_once:
        helps = list(at_once.map(lambda name: _help(program, name), names))
    sections = [
        f"### python -m {program} {name}\n\n```text\n{text}\n```" for name, text in zip(names, helps, strict=True)
    ]
    return "\n\n".join([f"## python -m {program}\n\n```text\n{_help(program)}\n```", *sections])


def command_names(program: str) -> list[str]:
    """Return the names of a program's commands, in the order in which its help lists them."""
    listing = _help(program).partition("COMMAND\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listing.splitlines() if line.startswith("    ") and line[4] != " "]


def _help(program: str, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", program, *command, "--help"],
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip()
