"""Command-line errors in two lines."""

from __future__ import annotations

import argparse
from typing import NoReturn


class ShortParser(argparse.ArgumentParser):
    """Says what is wrong and where to read on; the usage of a command with many options would hide it."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help\n")
