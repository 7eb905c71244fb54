"""A console for programs that go on when nobody reads what they print."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console

from movierank.commands.lasting_output import send_nowhere


class LastingConsole(Console):
    """A console that falls silent when the reader of its output has gone; Rich's own would end the program."""

    def __init__(self, **options: Any) -> None:
        if os.environ.get("COLUMNS") == "0":  # as the shells of some editors have it; Rich would print nothing
            del os.environ["COLUMNS"]
        super().__init__(**options)

    def on_broken_pipe(self) -> None:
        """Sends what is left nowhere."""
        self.quiet = True
        send_nowhere(self.file)
