"""`python -m bench completion`: a script that makes a shell complete the program's commands, options and names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.schema.outcome import FINE
from movierank.backends import BACKENDS

PROGRAM = "movierank-bench"  # the installed script: no shell completes the arguments of a module
SHELLS = ("bash", "zsh", "fish")
DATASETS = ("100k", "latest-small", "1m", "20m", "25m")

EXAMPLES = """examples:
  movierank-bench completion bash \\
      > ~/.local/share/bash-completion/completions/movierank-bench
  movierank-bench completion zsh > ~/.zfunc/_movierank-bench
  movierank-bench completion fish \\
      > ~/.config/fish/completions/movierank-bench.fish

For zsh, fpath+=~/.zfunc must come before compinit in ~/.zshrc. A new shell then
completes movierank-bench, which is the same program as python -m bench.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    completion = commands.add_parser(
        "completion",
        help="print what makes your shell complete this program",
        description="Prints a script that makes a shell complete the program's commands, options and names.",
        epilog=EXAMPLES,
    )
    completion.add_argument("shell", choices=SHELLS, help="which one")
    completion.set_defaults(command=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    from bench.commands.cli import _parser

    parser = _parser()
    parser.prog = PROGRAM
    names = _names()
    for action in _actions(parser):
        if isinstance(action.metavar, str):
            action.metavar = action.metavar.replace(":", " ")  # a colon ends it in zsh
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
        elif action.dest in names and action.choices is None:
            action.choices = names[action.dest]
    print(shtab.complete(parser, arguments.shell))
    return FINE


def _names() -> dict[str, Sequence[str]]:
    """Return the names that an option with a list of values takes, by the option; argparse knows no choices for it."""
    from movierank.loops import LOOPS

    return {"backends": BACKENDS, "devices": ("cpu", "gpu"), "loops": LOOPS, "dataset": DATASETS}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # argparse has no public way to ask for them
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
