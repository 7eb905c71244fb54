"""The last line of a comparison says no less than its exit code, and no more than what was compared."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

import msgspec
import pytest

from bench.comparison.drift import Drift
from bench.comparison.limits import Allowances, Limits
from bench.comparison.markdown import as_markdown
from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.export.junit import comparison_as_junit
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = (1.0, 1.01, 0.99, 1.0)
STILL = Allowances(drift=Drift(sd=0.0, origin="given"))
SLOWER = (
    "jax/cpu/fit is slower, but not surely by more than 5 %; "
    "nothing else is shown to be slower, worse or out of parity."
)


def shown(comparison: Comparison) -> list[str]:
    console = LastingConsole(file=io.StringIO(), width=250)
    console.print(render(comparison))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def answers(comparison: Comparison) -> tuple[str, str, str]:
    """Returns the answer as the table, the Markdown and the JUnit XML give it."""
    markdown = as_markdown(comparison).split("\n", 1)[0].removeprefix("**movierank-bench:** ")
    (found,) = ET.fromstring(comparison_as_junit(comparison, "x")).findall(".//property[@name='conclusion']")
    return shown(comparison)[-1], markdown, found.attrib["value"]


def fault(stage: str = "epoch 1", verdict: str = "outside", cell: str = "jax/cpu/fit") -> ParityResult:
    fields = {"a": cell, "b": "oracle", "stage": stage, "rms": 1e-3, "max_abs": 1e-2, "envelope": 1e-5}
    return ParityResult(**fields, verdict=verdict)  # type: ignore[arg-type]


def of_parity(
    make_report: MakeReport, base: Sequence[ParityResult] | None, new: Sequence[ParityResult] | None
) -> Comparison:
    older, newer = (make_report({"jax": BASE}, parity=None if side is None else [*side]) for side in (base, new))
    return compare_reports(older, newer, allowances=STILL)


def test_slower_by_less_than_the_margin_is_said_though_the_gate_lets_it_pass(make_report: MakeReport) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": [1.055 * value for value in BASE]})
    comparison = compare_reports(base, new, allowances=STILL)
    assert (comparison.step_time[0].verdict, comparison.exit_code) == ("slower", 0)
    assert answers(comparison) == (SLOWER, SLOWER, SLOWER)
    wider = compare_reports(base, new, limits=Limits(max_regression=0.052), allowances=STILL)
    assert "not surely by more than 5.2 %" in shown(wider)[-1]


def test_all_cells_that_are_slower_are_named_and_a_regression_says_the_rest(make_report: MakeReport) -> None:
    cells = ("jax", "torch", "tensorflow")
    base = make_report(dict.fromkeys(cells, BASE))
    factors = {"jax": 1.0, "torch": 1.055, "tensorflow": 1.055}
    new = make_report({cell: [factor * value for value in BASE] for cell, factor in factors.items()})
    told = shown(compare_reports(base, new, allowances=STILL))[-1]
    assert told.startswith("tensorflow/cpu/fit and torch/cpu/fit are slower, but not surely")
    worse = make_report({cell: [(1.3 if cell == "jax" else 1.055) * v for v in BASE] for cell in cells})
    comparison = compare_reports(base, worse, allowances=STILL)
    assert (shown(comparison)[-1], comparison.exit_code) == ("Something is slower, worse or out of parity.", 1)


def test_a_name_in_the_answer_is_no_markup(make_report: MakeReport) -> None:
    base = make_report({"jax": BASE})
    strange = [msgspec.structs.replace(run, backend="<b>@x") for run in base.runs]
    base = msgspec.structs.replace(base, runs=strange)
    slow = [msgspec.structs.replace(r, step_time_ms=[1.055 * v for v in r.step_time_ms]) for r in strange]
    first = as_markdown(compare_reports(base, msgspec.structs.replace(base, runs=slow), allowances=STILL)).split(
        "\n", 1
    )[0]
    assert "is slower" in first
    assert "<b>" not in first
    assert "@x" not in first


@pytest.mark.parametrize(
    ("base", "new", "told"),
    [
        (None, None, "Nothing is shown to be slower, worse or out of parity."),
        (None, [], "Nothing is shown to be slower or worse; parity of new was not judged."),
        ([], None, "Nothing is shown to be slower, worse or out of parity; parity of base was not judged."),
        ([], [], "Nothing is shown to be slower or worse; parity was not judged."),
    ],
)
def test_parity_that_was_not_judged_is_not_said_to_be_fine(
    make_report: MakeReport, base: list[ParityResult] | None, new: list[ParityResult] | None, told: str
) -> None:
    comparison = of_parity(make_report, base, new)
    assert comparison.exit_code == 0
    assert answers(comparison) == (told, told, told)


def test_faults_are_called_new_only_where_the_older_side_was_judged(make_report: MakeReport) -> None:
    known = of_parity(make_report, [fault(verdict="within")], [fault()])
    assert "Newly out of parity: jax/cpu/fit and oracle at stage epoch 1" in "\n".join(shown(known))
    blind = of_parity(make_report, [], [fault()])
    assert blind.exit_code == 1
    for text in ("\n".join(shown(blind)), as_markdown(blind)):
        assert "newly" not in text.lower()
        assert "ut of parity" in text
        assert "parity of base was not judged" in text


def test_what_was_out_of_parity_before_is_told_and_is_not_the_newer_sides_doing(make_report: MakeReport) -> None:
    both = [fault("epoch 1"), fault("epoch 2"), fault("rmse")]
    comparison = of_parity(make_report, both, both)
    assert comparison.exit_code == 0
    assert shown(comparison)[-1] == "Nothing is shown to be slower, worse or newly out of parity."
    kept = "Out of parity in base and in new: jax/cpu/fit and oracle at stage epoch 1, rms 0.001 beside 1e-05 from"
    assert next(line for line in shown(comparison) if "parity" in line) == (
        f"{kept} rounding alone; and at 2 more stages"
    )
    assert "Out of parity in base and in new" in as_markdown(comparison)
    assert "<failure" not in comparison_as_junit(comparison, "x")


@pytest.mark.parametrize("change", ["backend", "workload"])
def test_out_of_parity_fails_where_nothing_can_be_timed(make_report: MakeReport, change: str) -> None:
    """The two have no cell in common, or trained something else."""
    cell = "torch" if change == "backend" else "jax"
    base = make_report({"jax": BASE})
    new = make_report({cell: BASE}, parity=[fault(cell=f"{cell}/cpu/fit")], epochs=7 if change == "workload" else 5)
    comparison = compare_reports(base, new)
    assert all(row.ratio is None for row in comparison.step_time)
    assert (comparison.exit_code, comparison.nothing_compared) == (1, False)
    told, markdown, junit = answers(comparison)
    assert told == junit == "Something is out of parity."
    assert "out of parity: <code>" in markdown
    sound = compare_reports(
        base, msgspec.structs.replace(new, parity=[fault(verdict="within", cell=f"{cell}/cpu/fit")])
    )
    assert (sound.exit_code, shown(sound)[-1]) == (2, "The two have nothing that can be compared.")


@pytest.mark.parametrize("force", [True, False])
def test_a_fault_of_another_workload_is_not_the_same_fault(make_report: MakeReport, force: bool) -> None:
    base, new = (make_report({"jax": BASE}, parity=[fault()], epochs=epochs) for epochs in (5, 7))
    comparison = compare_reports(base, new, allowances=Allowances(force=force))
    assert (comparison.parity_kept, len(comparison.parity), comparison.exit_code) == ([], 1, 1)
    text = "\n".join(shown(comparison))
    assert "Out of parity: jax/cpu/fit and oracle at stage epoch 1" in text
    assert "ewly" not in text  # of an older model that was another one, nothing tells
    mended = compare_reports(
        base, msgspec.structs.replace(new, parity=[fault(verdict="within")]), allowances=Allowances(force=force)
    )
    assert mended.parity_mended == []


def test_what_is_mended_is_told(make_report: MakeReport) -> None:
    comparison = of_parity(make_report, [fault()], [fault(verdict="within")])
    assert comparison.exit_code == 0
    assert "No longer out of parity: jax/cpu/fit and oracle at stage epoch 1" in "\n".join(shown(comparison))
    unjudged = of_parity(make_report, [fault()], [])
    assert unjudged.parity_mended == []


def test_of_two_cells_those_alone_are_asked_for(make_report: MakeReport) -> None:
    medians = {"jax": BASE, "torch": BASE}
    report = make_report(medians, parity=[fault(cell="torch/cpu/fit"), fault(verdict="within")])
    comparison = compare_reports(report, report, cells=("torch/cpu/fit", "jax/cpu/fit"))
    assert [row.a for row in comparison.parity_mended] == ["torch/cpu/fit"]
    half = make_report(medians, parity=[fault(verdict="within")])
    found = compare_reports(half, half, cells=("torch/cpu/fit", "jax/cpu/fit"))
    assert found.parity_not_judged == ["base"]
