"""The figures of each report are derived once, however many plots, tables and lines show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.comparison.reports import compare_reports
from bench.export.markdown import as_markdown
from bench.export.rounds_csv import as_csv
from bench.page.write import write_page
from bench.report import rounds, summary
from bench.report.view import View
from bench.schema.report import Report

pytest.importorskip("altair")
pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]
TWO = {"jax": (1.0, 1.1), "torch": (3.0, 3.1)}


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count derivations: `rounds` once a cell of a report, `step time` and `score` likewise."""
    counts: Counter[str] = Counter()

    def count(module: object, function: str, name: str) -> None:
        before = getattr(module, function)

        def counted(*arguments: Any) -> Any:
            counts[name] += 1
            return before(*arguments)

        monkeypatch.setattr(module, function, counted)

    count(rounds, "_counted", "rounds")
    count(summary, "_step_time", "step time")
    count(summary, "_mean_score", "score")
    return counts


@pytest.mark.parametrize("name", ["page.html", "picture.svg"])
@pytest.mark.parametrize("reports", [1, 2])
def test_a_page_derives_the_figures_of_each_report_once(
    name: str, reports: int, make_report: MakeReport, tmp_path: Path, derived: Counter[str]
) -> None:
    write_page([(f"report {number}", make_report(TWO)) for number in range(reports)], tmp_path / name)
    assert derived == dict.fromkeys(("rounds", "step time", "score"), len(TWO) * reports)


def test_exports_share_what_was_derived(make_report: MakeReport, derived: Counter[str]) -> None:
    views = [View(make_report(TWO), "one"), View(make_report(TWO), "two")]
    for export in (as_csv, as_markdown, as_csv):
        export(views)
    assert derived == dict.fromkeys(("rounds", "step time", "score"), 2 * len(TWO))


def test_a_comparison_derives_the_rounds_of_each_report_once(make_report: MakeReport, derived: Counter[str]) -> None:
    compare_reports(make_report(TWO), make_report(TWO))
    assert derived == dict.fromkeys(("rounds", "step time", "score"), 2 * len(TWO))
