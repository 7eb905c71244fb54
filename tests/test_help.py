"""`--help` of every command: the files and options that it names exist, and its examples can be typed."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

import pytest

import bench.commands.cli
import movierank.cli

pytestmark = pytest.mark.backend_free

PROGRAMS = {"python -m bench": bench.commands.cli._parser(), "python -m movierank": movierank.cli._parser()}
SCRIPT = "movierank-bench"  # the same as python -m bench
SHELL = ("|", ">")  # what comes after is not the command's


def parsers(program: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield program, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from parsers(f"{program} {name}", command)


EVERY = [(program, name, each) for program, whole in PROGRAMS.items() for name, each in parsers(program, whole)]


def examples(epilog: str) -> list[list[str]]:
    """Return the commands of a help text as a shell splits them, without explanations and pipes."""
    _, _, text = epilog.partition("examples:\n")
    block, _, _ = re.sub(r"\\\n\s+", "", text).partition("\n\n")
    commands = [re.split(r" {2,}", line.strip())[0] for line in block.splitlines()]
    return [list(takewhile(lambda word: word not in SHELL, shlex.split(command))) for command in commands]


def _parsed(parser: argparse.ArgumentParser, words: list[str]) -> int:
    try:
        parser.parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(("program", "name", "parser"), EVERY, ids=[name for _, name, _ in EVERY])
def test_every_help_has_examples_that_the_program_takes(
    program: str, name: str, parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parser.epilog is not None
    found = examples(parser.epilog)
    assert found, f"{name} --help has no examples"
    for example in found:
        start = SCRIPT if example[0] == SCRIPT else program
        called = shlex.join(example)
        assert f"{called} ".startswith(f"{name.replace(program, start)} "), called
        code = _parsed(PROGRAMS[program], example[len(start.split()) :])
        assert code == 0, f"{called}: {capsys.readouterr().err}"


@pytest.mark.parametrize(("program", "name", "parser"), EVERY, ids=[name for _, name, _ in EVERY])
def test_every_command_says_what_it_does_and_keeps_the_lines_of_its_examples(
    program: str, name: str, parser: argparse.ArgumentParser
) -> None:
    assert parser.description
    text = parser.format_help()
    assert text.partition("examples:\n")[2].strip() == (parser.epilog or "").partition("examples:\n")[2].strip()
