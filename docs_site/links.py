"""Links of Markdown as GitHub reads them, and their targets on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

# Files of the repository outside docs/ that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results.md",
}
COPIED = "repository"  # folder of the site for all else that documents link to
SHOWN_OF_A_FOLDER = ("README.md", "report.html", "sweep.svg")

CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4}[^\n]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s]+)(?=\))")
HEADING = re.compile(r"^#{1,6} +(?P<title>.+?) *$", re.MULTILINE)
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:")


def linked(text: str) -> list[str]:
    """Return the targets of all links and images of a document, except those in code."""
    return [found["target"] for found in LINK.finditer(CODE.sub("", text))]


def is_external(target: str) -> bool:
    """Return whether a target has a scheme, such as `https:`."""
    return EXTERNAL.match(target) is not None


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    seen: dict[str, int] = {}
    found = set()
    for heading in HEADING.finditer(CODE.sub(_blank_blocks, text)):
        title = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading["title"])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def _blank_blocks(code: re.Match[str]) -> str:
    # Code within a heading is part of its anchor.
    return "" if "\n" in code[0] or code[0].startswith("    ") else code[0]


def broken(root: Path, document: str) -> Iterator[str]:
    """Yield the links of a document that lead nowhere on GitHub, each with the reason.

    Args:
        root: root of the repository.
        document: path of the Markdown below it.
    """
    for target in linked((root / document).read_text()):
        if is_external(target):
            continue
        path, _, anchor = target.partition("#")
        there = (
            root / posixpath.normpath(posixpath.join(posixpath.dirname(document), path)) if path else root / document
        )
        if not there.exists():
            yield f"{target}: no such file"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()):
            yield f"{target}: no such heading"


def in_repository(root: Path, document: str, target: str) -> str | None:
    """Return the path below `root` of a link's target; for a folder, that of its page.

    Returns:
        None where the link leads out of the repository, to another place of the document, or nowhere.
    """
    if is_external(target) or target.startswith("#"):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(document), target.partition("#")[0]))
    if path.startswith(".."):
        return None
    if (root / path).is_dir():
        return next((f"{path}/{name}" for name in SHOWN_OF_A_FOLDER if (root / path / name).is_file()), None)
    return path if (root / path).is_file() else None


def on_the_site(path: str) -> str:
    """Return the path of a repository's file below the site's source."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{COPIED}/{path}"


def for_the_site(root: Path, document: str, text: str) -> str:
    """Return a document whose relative links lead to the same targets on the site.

    Args:
        root: root of the repository.
        document: path of the Markdown below it.
        text: text of the document.
    """
    here = posixpath.dirname(on_the_site(document))

    def moved(link: re.Match[str]) -> str:
        target = link["target"]
        path = in_repository(root, document, target)
        if path is None:
            return target
        anchor = target.partition("#")[2]
        return posixpath.relpath(on_the_site(path), here or ".") + (f"#{anchor}" if anchor else "")

    return LINK.sub(moved, text)
