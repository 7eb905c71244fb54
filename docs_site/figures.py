"""The figures of README.md and docs/*.md, from the files in results/ that they were measured into.

    python -m docs_site.figures           # which documents say something else than results/; exit code 1 then
    python -m docs_site.figures --write   # make them say what results/ says

A document that shows a figure has it in a block (`docs_site.blocks`), so that it is read as it stands on GitHub.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docs_site import loop_figures, proof_figures, sweep_figures
from docs_site.blocks import Maker, filled

ROOT = Path(__file__).parents[1]
MAKERS: dict[str, Maker] = {**loop_figures.MAKERS, **proof_figures.MAKERS, **sweep_figures.MAKERS}


def documents(root: Path = ROOT) -> list[Path]:
    """Return all Markdown that may hold figures."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def main(arguments: list[str]) -> int:
    """Return which documents are stale, or write them."""
    stale = 0
    for path in documents():
        text = path.read_text()
        made = filled(text, MAKERS, ROOT)
        if made != text:
            stale += 1
            print(f"{path.relative_to(ROOT)}: {'written' if '--write' in arguments else 'not what results/ says'}")
            if "--write" in arguments:
                path.write_text(made)
    return 0 if "--write" in arguments else int(stale > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
