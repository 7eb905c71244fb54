"""GitHub-flavoured Markdown in which nothing that a report says is read as syntax."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

# As character references these are never syntax: not of a table, a link, emphasis or HTML.
SPECIAL = {ord(sign): f"&#{ord(sign)};" for sign in string.punctuation if sign not in "/-.,;:()+=%"}
# GitHub looks for mentions and issue numbers in the finished text; a space of no width breaks them.
SPECIAL |= {ord(sign): f"&#{ord(sign)};&#8203;" for sign in "@#"}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first and last columns are words, and all between them numbers; cells are Markdown."""
    rule = [":--", *["--:"] * (len(header) - 2), ":--"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def folded(title: str, lines: Iterable[str]) -> list[str]:
    """Return paragraphs of Markdown that open on a click, as one part of a page; no part where there are none."""
    # GitHub reads Markdown inside HTML only after an empty line.
    body = "\n\n".join(lines)
    return [f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"] if body else []


def code(text: str) -> str:
    """Return a name in the type of code, shown as it is."""
    return f"<code>{plain(text)}</code>"


def plain(text: str) -> str:
    """Return text that shows as it is: nothing of it is syntax, and nobody is notified."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable.translate(SPECIAL)
