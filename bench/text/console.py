"""A console and a JSON printer for programs that continue when nobody reads what they print."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from rich.console import Console

from movierank.commands.lasting_output import send_nowhere


class LastingConsole(Console):
    """A console that prints text as it is and falls silent when the reader of its output has gone.

    Rich's own would read `[…]` in a name as markup, colour numbers, and end the program.
    """

    def __init__(self, **options: Any) -> None:
        if os.environ.get("COLUMNS") == "0":  # as the shells of some editors have it; Rich would print nothing
            del os.environ["COLUMNS"]
        super().__init__(**{"markup": False, "highlight": False, "emoji": False} | options)

    def on_broken_pipe(self) -> None:
        """Send the rest of the output nowhere."""
        self.quiet = True
        send_nowhere(self.file)


def print_json(value: Any) -> None:
    """Print records, dictionaries, lists and numbers as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
