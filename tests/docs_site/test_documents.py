from __future__ import annotations

from pathlib import Path

import pytest

from docs_site import links
from docs_site.blocks import BLOCK, filled
from docs_site.figures import MAKERS, ROOT, documents

pytestmark = pytest.mark.backend_free

READ_ON_GITHUB = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "results/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))),
]


@pytest.mark.parametrize("document", READ_ON_GITHUB)
def test_every_link_and_anchor_leads_somewhere_on_github(document: str) -> None:
    assert list(links.broken(ROOT, document)) == []


def test_there_are_figures_to_check() -> None:
    shown = {found["name"] for path in documents() for found in BLOCK.finditer(path.read_text())}
    assert shown == MAKERS.keys()


def test_a_block_is_made_anew_and_the_rest_is_left() -> None:
    text = "a\n\n<!-- figures: x -->\n\nold\n\n<!-- /figures -->\n\nb\n"
    made = filled(text, {"x": lambda root: f"new in {root}"}, Path("here"))
    assert made == "a\n\n<!-- figures: x -->\n\nnew in here\n\n<!-- /figures -->\n\nb\n"
    assert filled(made, {"x": lambda root: f"new in {root}"}, Path("here")) == made
    with pytest.raises(KeyError):
        filled(text, {}, Path("here"))


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/b.md").write_text("# A `b` and c\n\n## Twice\n\n## Twice\n\n    # no heading\n")
    (tmp_path / "README.md").write_text(
        "[a](docs/a.md) [b](docs/b.md#a-b-and-c) [c](docs/b.md#twice-1) [d](docs/b.md#no-heading) `[e](e.md)`\n"
        "[f](https://example.com/f)\n\n```\n[g](g.md)\n```\n[h](#nowhere)\n"
    )
    assert list(links.broken(tmp_path, "README.md")) == [
        "docs/a.md: no such file",
        "docs/b.md#no-heading: no such heading",
        "#nowhere: no such heading",
    ]


def test_on_the_site_a_link_leads_to_the_same_thing(tmp_path: Path) -> None:
    for name in (
        "docs/parity.md",
        "docs/mutants.md",
        "results/x/report.html",
        "results/x.json",
        "README.md",
        "LICENSE",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    def moved(document: str, target: str) -> str:
        return links.for_the_site(tmp_path, document, f"[x]({target})")[4:-1]

    assert moved("docs/mutants.md", "parity.md#stages") == "parity.md#stages"
    assert moved("docs/mutants.md", "../results/x.json") == "repository/results/x.json"
    assert moved("docs/mutants.md", "../results/x/") == "repository/results/x/report.html"
    assert moved("docs/mutants.md", "../README.md#data") == "index.md#data"
    assert moved("CONTRIBUTING.md", "docs/parity.md") == "parity.md"
    assert moved("CONTRIBUTING.md", "LICENSE") == "repository/LICENSE"
    assert moved("CONTRIBUTING.md", "gone.md") == "gone.md"  # MkDocs says that it is not there
    assert moved("CONTRIBUTING.md", "https://example.com/a.md") == "https://example.com/a.md"
