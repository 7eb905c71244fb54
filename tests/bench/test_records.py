from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas
import polars
import pytest

from bench import records
from bench.comparison.reports import compare_reports
from bench.report.file import load_report
from bench.schema.report import Report
from bench.schema.run import Run

pytestmark = pytest.mark.backend_free
MakeReport = Callable[..., Report]

ROOT = Path(__file__).parents[2]
KINDS = (records.rounds, records.runs, records.cells, records.ratios, records.epochs, records.parity)


@pytest.fixture(scope="module")
def measured() -> Report:
    """A report that was really measured: nine cells, five processes of each."""
    return load_report(ROOT / "results/loops-2cores")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["loops-2cores", "cpu-2cores"])
def test_pandas_and_polars_take_the_rows_of_a_real_report(kind: Callable[[Report], list], name: str) -> None:
    rows = kind(load_report(ROOT / "results" / name))
    assert rows
    of_pandas, of_polars = pandas.DataFrame(rows), polars.DataFrame(rows)
    assert list(of_pandas.columns) == of_polars.columns == list(rows[0])
    assert of_pandas.shape == of_polars.shape == (len(rows), len(rows[0]))
    for column in of_polars.columns:  # both hold every value as it was
        assert all(
            a == b == c or (a != a and b != b and c != c)
            for a, b, c in zip((row[column] for row in rows), of_pandas[column], of_polars[column], strict=True)
        ), column


def test_a_key_has_one_type_whatever_was_not_measured(make_report: MakeReport) -> None:
    lost = Run(backend="torch", device="gpu", loop="fit", process=0, seed=0, status="skipped", error="no gpu")
    report = make_report(extra_runs=[lost])
    for kind in KINDS:
        for rows in (kind(report), kind(msgspec.structs.replace(report, runs=report.runs[::-1]))):
            types = [{type(row[key]) for row in rows} for key in (rows[0] if rows else ())]
            assert all(len(each) == 1 for each in types)
    (row,) = (row for row in records.runs(report) if row["status"] == "skipped")
    assert (row["error"], row["rounds"], row["compile_mode"]) == ("no gpu", 0, "")
    assert math.isnan(row["test_rmse"])
    assert math.isnan(row["step_time_ms"])


def test_rows_hold_what_the_report_does(measured: Report) -> None:
    rounds = pandas.DataFrame(records.rounds(measured))
    assert len(rounds) == sum(len(run.step_time_ms) for run in measured.runs)
    assert sorted(rounds["turn"]) == list(range(len(rounds)))
    medians = rounds[rounds["counts"]].groupby(["cell", "process"])["step_time_ms"].median().groupby("cell").median()
    cells = records.cells(measured)
    assert cells[0]["cell"] == "jax/cpu/native"
    for row in cells:
        assert medians[row["cell"]] == pytest.approx(row["step_time_ms"])
        assert row["step_time_ms_low"] < row["step_time_ms"] < row["step_time_ms_high"]
        assert row["times_fastest"] >= 1
    ratios = {(row["a"], row["b"]): row["ratio"] for row in records.ratios(measured)}
    assert cells[-1]["times_fastest"] == ratios[cells[-1]["cell"], cells[0]["cell"]]
    epochs = records.epochs(measured)
    assert [row["epoch"] for row in epochs[:5]] == [1, 2, 3, 4, 5]
    last = [row["test_rmse"] for row in epochs if row["epoch"] == 5]
    assert statistics.fmean(last) == pytest.approx(0.2603, abs=0.005)
    assert all(math.isnan(row["test_rmse"]) for row in epochs if row["epoch"] < 5)
    parity = records.parity(measured)
    assert {row["known"] for row in parity if row["verdict"] == "outside"} == {"tensorflow-indexed-slices"}
    assert not any(row["broken"] for row in parity)


def test_a_comparison_is_a_row_a_cell(measured: Report) -> None:
    found = compare_reports(measured, measured, cells=("torch/cpu/fit", "jax/cpu/fit"))
    (row,) = records.comparison(found)
    assert (row["cell"], row["verdict"], row["rmse_verdict"]) == ("torch/cpu/fit -> jax/cpu/fit", "faster", "same")
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"] < 1
    assert polars.DataFrame(records.comparison(compare_reports(measured, measured))).shape[0] == 9
