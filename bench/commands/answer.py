"""The answer of a study: a table for people, or JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Result = TypeVar("Result")


def print_answer(
    result: Result, draw: Callable[[Result, Console], None], arguments: argparse.Namespace, output: Path | None = None
) -> None:
    """Print a result as JSON with `--json`, else as `draw` does, and the path that holds it if there is one."""
    from bench.text.console import LastingConsole, print_json

    if arguments.json:
        print_json(result)
    else:
        draw(result, LastingConsole())
    if output is not None:
        print(f"Result: {output}", file=sys.stderr if arguments.json else sys.stdout)
