"""Hooks that MkDocs calls: they add pages from outside docs/, adapt links, and insert generated parts."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_site import links  # not its functions: MkDocs takes every name that begins with on_ for an event
from docs_site.command_page import commands
from docs_site.schema_page import schema

ROOT = Path(__file__).parents[1]
GENERATED = {"<!-- generated: schema -->": schema, "<!-- generated: commands -->": commands}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/, and every file of the repository that a page links to."""
    outside = {source: page for source, page in links.PAGES.items() if page != "index.md"}
    for source, page in outside.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    documents = [f"docs/{file.src_uri}" for file in files.documentation_pages() if file.src_uri not in outside.values()]
    wanted = {
        path
        for document in [*documents, *outside]
        for target in links.linked((ROOT / document).read_text())
        if (path := links.in_repository(ROOT, document, target))
        and links.on_the_site(path).startswith(f"{links.COPIED}/")
    }
    for path in sorted(wanted):
        files.append(File.generated(config, links.on_the_site(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the Markdown of a page of the site for a document of the repository."""
    pages = {page: source for source, page in links.PAGES.items() if page != "index.md"}
    document = pages.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    text = links.for_the_site(ROOT, document, markdown)
    for mark, make in GENERATED.items():
        if mark in text:
            text = text.replace(mark, make())
    return text
