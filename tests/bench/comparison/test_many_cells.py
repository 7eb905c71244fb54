"""Several cells of two reports are judged together, so that few are called slower by chance."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.schema.report import Report
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = (1.0, 1.01, 0.99, 1.0)


def shown(comparison: Comparison) -> str:
    out = io.StringIO()
    LastingConsole(file=out, width=200).print(render(comparison))
    return out.getvalue()


def test_several_cells_are_judged_together(make_report: MakeReport) -> None:
    """One cell's interval widens with every cell beside it, and RMSE is a family of its own."""
    slow = [1.03, 1.05, 1.02, 1.06]
    alone = compare_reports(make_report({"jax": BASE}), make_report({"jax": slow}))
    cells = ("jax", "torch", "tensorflow")
    base = make_report(dict.fromkeys(cells, BASE))
    together = compare_reports(base, make_report(dict.fromkeys(cells, slow)))
    assert (alone.step_confidence, together.step_confidence) == pytest.approx((0.95, 1 - 0.05 / 3))
    assert together.rmse_confidence == pytest.approx(1 - 0.05 / 3)
    assert alone.step_time[0].ci95 is not None
    for row in together.step_time:
        assert row.ci95 is not None
        assert row.ci95[0] < alone.step_time[0].ci95[0]
        assert row.ci95[1] > alone.step_time[0].ci95[1]
    assert "simultaneous 95 % intervals (each 98.33 %)" in shown(together)
    assert "simultaneous" not in shown(alone)


def test_a_cell_without_an_interval_widens_no_other(make_report: MakeReport) -> None:
    comparison = compare_reports(make_report({"jax": BASE, "torch": (3.0,)}), make_report({"jax": BASE, "torch": BASE}))
    assert comparison.step_confidence == 0.95


def test_few_of_many_equal_comparisons_call_any_cell_slower_or_faster(make_report: MakeReport) -> None:
    generator = np.random.default_rng(2)
    cells = ("jax", "torch", "tensorflow")
    wrong = 0
    for _ in range(200):
        base, new = (
            make_report({cell: np.exp(generator.normal(0, 0.05, 4)).tolist() for cell in cells}, parity=[])
            for _ in range(2)
        )
        rows = compare_reports(base, new).step_time
        wrong += any(row.verdict in ("faster", "slower") for row in rows)
    assert wrong <= 16  # of 200 at 5 % each more are seen in 2 of 100 tries
