"""Pages of large reports stay small enough to be opened and sent, and say what they do not draw."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.page.thinning import MOST_DOTS, MOST_EPOCHS, drawn_curves, drawn_dots, drawn_parity
from bench.page.write import write_page
from bench.report.file import load_report
from bench.schema.parity import ORACLE, breaks_parity, group_of, share_of_envelope, worst_by_group
from bench.schema.report import Report

pytest.importorskip("altair")
pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

LOOPS = Path(__file__).parents[3] / "results" / "loops-2cores"
MIB = 2**20


@pytest.fixture(scope="module")
def loops() -> Report:
    return load_report(LOOPS)


def figures_in(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    figures: dict[str, Any] = json.loads(found[1])["figures"]
    return figures


def test_four_large_reports_fit_on_a_page_that_says_what_it_left_out(loops: Report, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    said = write_page([(f"results/{name}", loops) for name in ("one", "two", "three", "four")], output)
    html = unescape(output.read_text())
    assert output.stat().st_size < 3 * MIB
    assert "comparisons of two cells that agree within rounding, all but the furthest out of each stage" in said
    assert said in html
    assert html.index(said) < html.index('class="filters"')
    figures = figures_in(output.read_text())
    assert all(f"r{place}-{key}" in figures for place in range(4) for key in ("step-time", "parity", "profiles"))


def test_one_report_is_drawn_whole_and_nothing_is_said(loops: Report, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    assert write_page([("loops", loops)], output) == ""
    assert "not all are drawn" not in output.read_text()


def test_thinned_parity_keeps_what_is_outside_the_oracle_s_and_the_furthest_pair_of_each_stage(loops: Report) -> None:
    worst = worst_by_group(loops.parity)
    assert drawn_parity(loops, thin=False) == worst
    drawn = drawn_parity(loops, thin=True)
    assert len(drawn) < len(worst) / 3
    for result in worst:
        if result.b == ORACLE or result.verdict == "outside":
            assert result in drawn
    agreeing = [result for result in worst if result.b != ORACLE and result.verdict == "within"]
    for stage in {group_of(result.stage) for result in agreeing}:
        pairs = [result for result in agreeing if group_of(result.stage) == stage]
        (kept,) = [result for result in drawn if result in pairs]
        assert share_of_envelope(kept) == max(map(share_of_envelope, pairs))
    assert list(filter(breaks_parity, drawn)) == list(filter(breaks_parity, worst))


def test_thinned_trainings_begin_and_end_where_they_do_one_a_seed(make_report: MakeReport) -> None:
    report = make_report({"jax": [1.0] * 7})
    long = [msgspec.structs.replace(run, train_rmse=[1 / n for n in range(1, 108)]) for run in report.runs]
    report = msgspec.structs.replace(report, runs=long)
    curves = drawn_curves(report, thin=True)
    assert [(run.process, run.seed) for run, _ in curves] == [(0, 0), (1, 1), (2, 2)]
    for _, scores in curves:
        assert len(scores) <= MOST_EPOCHS
        assert (min(scores), max(scores)) == (1, 107)
        assert all(score == 1 / epoch for epoch, score in scores.items())
    assert [len(scores) for _, scores in drawn_curves(report, thin=False)] == [107] * 7


def test_thinned_dots_keep_both_ends() -> None:
    dots = [(float(value % 97), f"process {value}") for value in range(300)]
    some = drawn_dots(dots, thin=True)
    assert len(some) == MOST_DOTS
    assert set(some) <= set(dots)
    assert (some[0][0], some[-1][0]) == (0.0, 96.0)
    assert drawn_dots(dots, thin=False) == dots
    assert drawn_dots(dots[:5], thin=True) == dots[:5]


def test_reports_that_do_not_fit_leave_their_answers(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = make_report({"jax": (1.0, 1.1)})
    output = tmp_path / "page.html"
    write_page([("first", report)], output)
    one = output.stat().st_size
    monkeypatch.setattr("bench.page.assembly.MOST_BYTES", one + 30_000)
    said = write_page([(name, report) for name in ("first", "second", "third", "last one")], output)
    assert output.stat().st_size <= one + 30_000
    html = output.read_text()
    assert "last one" in said
    assert "first" not in said
    assert "python -m bench page &#x27;last one&#x27; -o FILE.html" in html
    assert html.count('class="lead"') >= 4
    keys = {key.partition("-")[0] for key in figures_in(html)}
    assert "r0" in keys
    assert "r3" not in keys


def test_a_page_that_cannot_be_made_small_says_so(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.page.assembly.MOST_BYTES", 1000)
    output = tmp_path / "page.html"
    said = write_page([("only", make_report({"jax": (1.0,)}))], output)
    assert said.startswith(f"This page is {output.stat().st_size / MIB:.1f} MiB large")
    assert said in unescape(output.read_text())
    assert "r0-step-time" in figures_in(output.read_text())
