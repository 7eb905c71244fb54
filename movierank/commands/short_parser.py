"""Command-line errors in two lines, and help with examples."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn


class _KeepsLines(argparse.HelpFormatter):
    """A formatter that fills a paragraph, and keeps text of several lines, such as examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class ShortParser(argparse.ArgumentParser):
    """A parser whose errors say what is wrong and where to read on; the usage of many options would hide that."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": _KeepsLines, **options})

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help\n")
