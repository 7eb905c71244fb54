from __future__ import annotations

import io
import json
import os
import venv
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.comparison.drift import ASSUMED
from bench.comparison.limits import Limits
from bench.comparison.markdown import as_markdown
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.comparison.versus import outcome_of
from bench.comparison.words import drift_words
from bench.errors import BenchError
from bench.export.junit import comparison_as_junit
from bench.measure.versus import describe_other, python_of
from bench.parity.join import JoinedParity, JoinedReport
from bench.schema.parity import ParityResult
from bench.schema.report import Report, Together
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
MakeReport = Callable[..., Report]


def moved(report: Report, factors: list[float], side: str, mark: str = "a") -> Report:
    """The report's processes, each slowed down by a factor, with turns as if the other side's rounds lay between."""
    runs = [
        msgspec.structs.replace(
            run,
            step_time_ms=[factors[run.process] * value for value in run.step_time_ms],
            turns=[2 * (run.process * 5 + place) + (side == "new") for place in range(5)],
        )
        for run in report.runs
    ]
    return msgspec.structs.replace(report, runs=runs, together=Together(id=mark, side=side))  # type: ignore[arg-type]


def test_what_the_machine_did_to_both_cancels(make_report: MakeReport) -> None:
    """A difference of 10 % where drift moved processes by more, and would hide it between two reports."""
    drift = [1.0, 1.3, 0.8, 1.1, 0.9]
    report = make_report({"jax": [1.0, 1.001, 0.999, 1.0, 1.0]})
    base = moved(report, drift, "base")
    new = moved(report, [1.1 * factor for factor in drift], "new")
    comparison = compare_reports(base, new)
    (row,) = comparison.step_time
    assert (row.verdict, row.regression, comparison.exit_code) == ("slower", True, 1)
    assert row.ratio == pytest.approx(1.1)
    assert drift_words(comparison) == (
        "Measured together, round by round: the ratio is of pairs of processes, and drift of the machine cancels."
    )
    apart = compare_reports(base, msgspec.structs.replace(new, together=Together(id="b", side="new")))
    assert (apart.together, apart.drift, apart.step_time[0].verdict) == (False, ASSUMED, "undecided")


def test_processes_that_were_not_measured_side_by_side_are_left_out(make_report: MakeReport) -> None:
    """As where a measurement was cut off and one side of a generation came later."""
    report = make_report({"jax": [1.0, 1.001, 0.999, 1.0, 1.0]})
    base, new = moved(report, [1.0] * 5, "base"), moved(report, [1.0] * 4 + [9.0], "new")
    last = msgspec.structs.replace(new.runs[-1], turns=[100 + turn for turn in range(5)])
    new = msgspec.structs.replace(new, runs=[*new.runs[:-1], last])
    assert compare_reports(base, new).step_time[0].ratio == pytest.approx(1.0)
    alone = msgspec.structs.replace(
        new, runs=[msgspec.structs.replace(r, turns=[t + 100 for t in r.turns]) for r in new.runs]
    )
    assert compare_reports(base, alone).drift == ASSUMED


def test_a_row_counts_the_processes_that_were_paired(make_report: MakeReport) -> None:
    """Two processes a side, of which one was killed on either side and tried again by --resume, one after the other."""
    report = make_report({"jax": [1.0, 1.2]})
    base, new = moved(report, [1.0] * 2, "base"), moved(report, [1.0] * 2, "new")
    again = msgspec.structs.replace(new.runs[1], turns=[100 + turn for turn in range(5)])
    (row,) = compare_reports(base, msgspec.structs.replace(new, runs=[new.runs[0], again])).step_time
    for side in (row.base, row.new):
        assert (side.processes, side.rounds, side.ci95_ms) == (1, 5, None)
        assert side.median_ms == pytest.approx(1.0)
    assert row.why_undecided == "one process (base and new) gives no interval, so it settles nothing; measure more"


def outside(a: str, b: str) -> ParityResult:
    return ParityResult(a=a, b=b, stage="epoch 1", rms=1.0, max_abs=1.0, envelope=1e-5, verdict="outside")


def joined(cells: dict[str, list[str]], results: list[ParityResult]) -> JoinedParity:
    reports = [
        JoinedReport(name=side, created="", machine="", keras=None, backends={}, seeds=[0],
                     cells={name.rpartition("new:")[2].rpartition("base:")[2]: name for name in names})
        for side, names in cells.items()
    ]  # fmt: skip
    return JoinedParity(reports=reports, results=results, divergences=[], notes=[], failed=False)


BOTH = {"base": ["base:jax/cpu/fit", "torch/cpu/fit"], "new": ["new:jax/cpu/fit"]}


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (("new:jax/cpu/fit", "base:jax/cpu/fit"), 1),
        (("new:jax/cpu/fit", "torch/cpu/fit"), 1),
        (("new:jax/cpu/fit", "oracle"), 0),
        (("torch/cpu/fit", "base:jax/cpu/fit"), 0),
    ],
)
def test_only_what_lies_between_the_two_is_the_upgrades_doing(
    pair: tuple[str, str], code: int, make_report: MakeReport, tmp_path: Path
) -> None:
    report = make_report()
    found = outcome_of(report, report, tmp_path, Limits(), joined(BOTH, [outside(*pair)]))
    assert (found.exit_code, len(found.outside), found.as_json()["exit_code"]) == (code, code, code)


def test_an_upgrade_that_mends_the_model_fails_the_gate_and_every_form_says_why(
    make_report: MakeReport, tmp_path: Path
) -> None:
    medians = {"jax": (1.0, 1.01, 0.99)}
    base = make_report(medians, parity=[outside("jax/cpu/fit", "oracle")])
    new = make_report(medians, parity=[msgspec.structs.replace(base.parity[0], verdict="within")])
    between = joined(BOTH, [outside("base:jax/cpu/fit", "oracle"), outside("base:jax/cpu/fit", "new:jax/cpu/fit")])
    found = outcome_of(base, new, tmp_path, Limits(), between)
    assert found.exit_code == 1
    console = LastingConsole(file=io.StringIO(), width=200)
    console.print(render(found.comparison))
    answer = "Base and new are not the same model: base was out of parity, and new is not."
    for text in (console.file.getvalue(), as_markdown(found.comparison), comparison_as_junit(found.comparison, "x")):  # type: ignore[attr-defined]
        assert answer in text
        assert "base:jax/cpu/fit and new:jax/cpu/fit" in text.replace("&#58;", ":")
        assert "Nothing is shown" not in text
    assert "<failure" in comparison_as_junit(found.comparison, "x")
    assert json.loads(json.dumps(found.as_json()))["parity_between"][0]["stage"] == "epoch 1"
    assert outcome_of(base, new, tmp_path, Limits(), None).as_json()["parity_between"] is None


def test_a_virtual_environment_is_its_python_links_kept(tmp_path: Path) -> None:
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    python = tmp_path / "other" / "bin" / "python"
    assert python_of(str(tmp_path / "other")) == python_of(str(python)) == str(python)
    with pytest.raises(BenchError, match="neither a Python nor a virtual environment"):
        python_of(str(tmp_path))
    with pytest.raises(BenchError, match="neither a Python nor a virtual environment"):
        python_of(str(tmp_path / "none" / "python"))
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with pytest.raises(
        BenchError, match=r"cannot run a worker: ModuleNotFoundError: No module named 'msgspec'\n.* -m pip"
    ):
        describe_other(str(python), variables)
