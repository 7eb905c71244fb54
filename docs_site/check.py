"""Check a built site: every link leads somewhere on it, and nothing is loaded from elsewhere.

    python -m docs_site.check site

The program prints the problems and ends with 1 if there are any. With `--external` it also prints the external links,
which it does not follow.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin

from docs_site.links import is_external

SITE = "https://site.invalid/"  # a base that no link names, to resolve relative ones
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_LOADED = {"canonical", "alternate", "next", "prev"}
LOADED_BY_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^)'\"\s]+)")


@dataclass
class Found(HTMLParser):
    """The links of a page, the files it loads, and the anchors in it."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Set up the parser."""
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record links, sources and ids."""
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        name = LOADED.get(tag)
        if name in values and values.get("rel") not in NOT_LOADED:
            self.loaded.append(values[name])


def read(page: Path) -> Found:
    """Return the links and anchors of a page."""
    found = Found()
    found.feed(page.read_text(errors="replace"))
    return found


def wrong(site: Path, pages: dict[str, Found]) -> Iterator[str]:
    """Yield the problems of a site, page by page.

    Args:
        site: folder of the site.
        pages: pages by path below it.
    """
    for path, found in pages.items():
        for target in [*found.links, *found.loaded]:
            if is_external(target) or target.startswith("//"):
                if target in found.loaded and not target.startswith("data:"):
                    yield f"{path} loads {target}"
                continue
            there, _, anchor = urljoin(SITE + path, target).removeprefix(SITE).partition("#")
            file = unquote(there.partition("?")[0])
            file = f"{file}index.html" if file == "" or file.endswith("/") else file
            if not (site / file).is_file():
                yield f"{path} links to {target}, which is not there"
            elif anchor and file in pages and unquote(anchor) not in pages[file].anchors:
                yield f"{path} links to {target}, where nothing has that name"
    for style in site.rglob("*.css"):
        yield from (f"{style.relative_to(site)} loads {each}" for each in LOADED_BY_STYLE.findall(style.read_text()))


def main(arguments: list[str]) -> int:
    """Check the site in the named folder."""
    site = Path(next(each for each in arguments if not each.startswith("-")))
    # Reports are pages of their own, checked by their own tests.
    files = [file for file in sorted(site.rglob("*.html")) if "repository" not in file.relative_to(site).parts]
    pages = {file.relative_to(site).as_posix(): read(file) for file in files}
    problems = list(wrong(site, pages))
    for problem in problems:
        print(problem)
    external = {target for found in pages.values() for target in found.links if is_external(target)}
    print(f"{len(pages)} pages, {len(problems)} problems, {len(external)} external links, not followed")
    if "--external" in arguments:
        print("\n".join(sorted(external)))
    return int(bool(problems) or not pages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
