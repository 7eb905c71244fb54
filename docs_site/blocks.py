"""Blocks of a document that are generated, between two comments that name them.

    <!-- figures: NAME -->

    generated text

    <!-- /figures -->

GitHub and MkDocs do not show the comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

Maker = Callable[[Path], str]

BLOCK = re.compile(r"<!-- figures: (?P<name>[a-z0-9-]+) -->\n(?P<text>.*?)<!-- /figures -->", re.DOTALL)


def filled(text: str, makers: Mapping[str, Maker], root: Path) -> str:
    """Return a document with every block generated again.

    Args:
        text: Markdown.
        makers: functions by the name of a block; each is called with `root`.
        root: root of the repository.

    Raises:
        KeyError: no function makes a block of this name.
    """
    return BLOCK.sub(
        lambda found: f"<!-- figures: {found['name']} -->\n\n{makers[found['name']](root)}\n\n<!-- /figures -->", text
    )
