from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.schema.report import Report
from bench.schema.run import Run
from docs_site import check
from docs_site.command_page import command_names
from docs_site.schema_page import attributes, schema

pytestmark = pytest.mark.backend_free


def test_every_key_of_a_run_is_in_the_schema_s_table_with_its_words() -> None:
    section = schema().split("### Run\n")[1].split("\n### ")[0]
    rows = {line.split("|")[1].strip(" `"): line for line in section.splitlines() if line.startswith("| `")}
    assert list(rows) == [field.encode_name for field in msgspec.structs.fields(Run)]
    assert "| list of number | yes | step time of each steady round, in ms. |" in rows["step_time_ms"]
    assert "`ok` or `failed`" in rows["status"]


def test_every_record_that_a_report_holds_has_a_section() -> None:
    text = schema()
    names = msgspec.json.schema(Report)["$defs"]
    assert len(names) > 10
    assert [name for name in names if f"### {name}\n" not in text] == []


def test_attributes_of_several_names_and_lines() -> None:
    docstring = "What it is.\n\nAttributes:\n    a, b: the cell, `x|y`,\n        told twice.\n    c: alone.\n\nMore."
    both = "the cell, `x&#124;y`, told twice."
    assert attributes(docstring) == {"a": both, "b": both, "c": "alone."}


def test_the_commands_are_read_from_the_help() -> None:
    assert {"run", "compare", "versus", "schema"} <= set(command_names("bench"))
    assert "rank" in command_names("movierank")


def test_a_site_with_a_broken_link_or_a_foreign_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#here">b</a><a href="c.html">c</a><a href="#top">t</a>'
        '<a href="https://example.com/">e</a><script src="https://example.com/x.js"></script>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">B</h1><img src="data:image/png;base64,AA=="><a href=".">d</a>')
    (tmp_path / "x.css").write_text("@font-face { src: url('https://example.com/f.woff2') }")
    pages = {name: check.read(tmp_path / name) for name in ("a.html", "b.html")}
    assert list(check.wrong(tmp_path, pages)) == [
        "a.html links to b.html#here, where nothing has that name",
        "a.html links to c.html, which is not there",
        "a.html loads https://example.com/x.js",
        "b.html links to ., which is not there",
        "x.css loads https://example.com/f.woff2",
    ]
    assert check.main([str(tmp_path)]) == 1
