"""The figures of README.md and docs/*.md, generated from the measurements in results/.

    python -m docs_site.figures           # names the documents that differ from results/; exit code 1 if any does
    python -m docs_site.figures --write   # updates them

A document holds its figures in blocks (`docs_site.blocks`), so that GitHub shows the text as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.measure.option_table import as_markdown
from docs_site import loop_figures, proof_figures, sweep_figures
from docs_site.blocks import Maker, filled

ROOT = Path(__file__).parents[1]
MAKERS: dict[str, Maker] = {
    **loop_figures.MAKERS,
    **proof_figures.MAKERS,
    **sweep_figures.MAKERS,
    "options": lambda root: as_markdown(),
}


def documents(root: Path = ROOT) -> list[Path]:
    """Return all Markdown files that may hold figures."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def main(arguments: list[str]) -> int:
    """Print the documents that are out of date, or update them."""
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
