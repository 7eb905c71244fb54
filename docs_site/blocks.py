"""Pieces of a document that are made from something else, between two comments that name them.

    <!-- figures: NAME -->

    made text

    <!-- /figures -->

GitHub and MkDocs both leave the comments out of what they show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

Maker = Callable[[Path], str]

BLOCK = re.compile(r"<!-- figures: (?P<name>[a-z0-9-]+) -->\n(?P<text>.*?)<!-- /figures -->", re.DOTALL)


def filled(text: str, makers: Mapping[str, Maker], root: Path) -> str:
    """Return a document with every block made anew.

    Args:
        text: Markdown.
        makers: by the name of a block; each is given `root`.
        root: of the repository.

    Raises:
        KeyError: a block has a name that nothing makes.
    """
    return BLOCK.sub(
        lambda found: f"<!-- figures: {found['name']} -->\n\n{makers[found['name']](root)}\n\n<!-- /figures -->", text
    )
