from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.comparison.drift import Drift
from bench.comparison.limits import Allowances
from bench.comparison.markdown import as_markdown
from bench.comparison.reports import compare_reports
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.schema.run import Run

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = (1.0, 1.01, 0.99, 1.0)
STILL = Allowances(drift=Drift(sd=0.0, origin="given"))
GITHUB = MarkdownIt("commonmark").enable("table")


def strange_runs(name: str, medians: Sequence[float]) -> list[Run]:
    return [
        Run(backend=name, device="cpu", loop="fit", process=number, seed=0, status="ok", step_time_ms=[median])
        for number, median in enumerate(medians)
    ]


def text_of(token: Token) -> str:
    return "".join(child.content for child in token.children or [] if child.type != "html_inline").replace("\u200b", "")


def table_cells(markdown: str) -> list[str]:
    tokens = GITHUB.parse(markdown)
    stop = next(place for place, token in enumerate(tokens) if token.type == "table_close")
    start = next(place for place, token in enumerate(tokens) if token.type == "tbody_open")
    return [text_of(token) for token in tokens[start:stop] if token.type == "inline"]


def test_the_verdict_comes_first_and_the_table_of_step_times_is_not_folded(make_report: MakeReport) -> None:
    base = make_report({"jax": BASE, "torch": BASE})
    new = make_report({"jax": [1.2 * value for value in BASE], "torch": BASE}, rmse={"torch": 0.27})
    markdown = as_markdown(compare_reports(base, new, allowances=STILL))
    first, _ = markdown.split("\n\n", 1)
    assert first.startswith("**movierank-bench:** regression: ")
    assert "jax/cpu/fit</code> takes 1.20 [1.1" in first
    assert "RMSE of <code>torch/cpu/fit</code> is worse by +0.0123" in first
    table, folded = markdown.split("<details>", 1)
    assert table_cells(table)[4::5] == ["same", "slower, regression"]
    assert "simultaneous 95 % intervals (each 97.5 %)" in table
    assert "Test RMSE" in folded
    assert "Nothing is shown" in as_markdown(compare_reports(base, base))


def test_what_is_undecided_says_what_would_decide(make_report: MakeReport) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": [0.97, 1.13, 1.02, 1.10]})
    comparison = compare_reports(base, new, allowances=STILL)
    markdown = as_markdown(comparison)
    assert "1 of 1 undecided" in markdown.split("\n", 1)[0]
    assert f"some {comparison.step_time[0].processes_needed} processes on each side would decide" in markdown


def test_parity_other_cells_and_changes_are_told(make_report: MakeReport) -> None:
    fault = ParityResult(a="jax/cpu/fit", b="oracle", stage="rmse", rms=1.0, max_abs=1.0, envelope=1e-6,
                         verdict="outside")  # fmt: skip
    base = make_report({"jax": BASE, "torch": BASE}, packages={"keras": "3.15.1"})
    new = make_report({"jax": BASE}, packages={"keras": "3.16.0"}, parity=[fault], cpu_model="Other")
    markdown = as_markdown(compare_reports(base, new))
    assert "newly out of parity: <code>jax/cpu/fit and oracle at stage rmse" in markdown.split("\n", 1)[0]
    for words in ("at stage rmse", "Only in base: torch/cpu/fit", "keras 3.15.1", "cpu&#95;model"):
        assert words in markdown


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_no_name_can_break_the_table_or_become_markup(make_report: MakeReport, name: str) -> None:
    base = make_report({}, extra_runs=strange_runs(name, BASE))
    markdown = as_markdown(compare_reports(base, base))
    cells = table_cells(markdown)
    assert len(cells) == 5
    printable = "".join(char if char.isprintable() else " " for char in f"{name}/cpu/fit").replace("\u200b", "")
    assert re.sub(r"\s+", " ", cells[0]).strip() == re.sub(r"\s+", " ", printable).strip()


def test_no_name_notifies_a_person_or_links_an_issue(make_report: MakeReport) -> None:
    base = make_report({}, extra_runs=strange_runs("@someone fixes #12 <img src=x> | [a](b)", BASE))
    html = GITHUB.render(as_markdown(compare_reports(base, base)))
    assert "@someone" not in html
    assert "#12" not in html
    assert "<img" not in html
    assert "<a " not in html
    assert "<table>" in html
