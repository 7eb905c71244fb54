"""A page derives the figures of each report once, however many of its plots and tables show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.page.write import write_page
from bench.report import view
from bench.schema.report import Report

pytest.importorskip("altair")

MakeReport = Callable[..., Report]

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("name", ["page.html", "picture.svg"])
def test_the_figures_of_each_report_are_derived_once(
    name: str, make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = [("first", make_report()), ("second", make_report({"jax": (1.0, 1.1)}))]
    derived: Counter[tuple[str, int]] = Counter()

    def counting(function: str) -> None:
        before: Callable[..., object] = getattr(view, function)

        def derive(runs: object, *others: object) -> object:
            derived[function, id(runs)] += 1
            return before(runs, *others)

        monkeypatch.setattr(f"bench.report.view.{function}", derive)

    counting("counted_rounds")
    counting("summarise")
    write_page(reports, tmp_path / name)
    functions = "counted_rounds", "summarise"
    assert derived == {(function, id(report.runs)): 1 for function in functions for _, report in reports}
