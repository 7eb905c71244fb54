"""What verdicts rest on, in the same words wherever they are shown."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from bench.commands.cli import main
from bench.comparison.markdown import as_markdown
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.comparison.words import as_json
from bench.export.junit import comparison_as_junit
from bench.report.file import save_report
from bench.report.summary import summarise
from bench.schema.machine import Conditions
from bench.schema.report import Report, Together
from bench.text.caveats import caveats
from bench.text.console import LastingConsole
from bench.text.report import print_report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

STEADY = (1.0, 1.01, 0.99, 1.0, 1.0)
TWO_GROUPS = (0.85, 0.86, 0.85, 1.25, 1.26)
STEAL = "the hypervisor took 4.0 % of the CPU time during the run; expect wide intervals"
GROUPS = "jax/cpu/fit: its processes fall into two groups, near 0.850 and 1.25 ms/step."
UNSTEADY = "jax/cpu/fit: 2 of 5 processes were still getting faster when timed."


def doubtful(report: Report, unsteady: Sequence[int] = (), noise: Sequence[str] = ()) -> Report:
    """A report of which some processes of jax never got steady."""
    runs = [
        msgspec.structs.replace(run, steady=not (run.backend == "jax" and run.process in unsteady))
        for run in report.runs
    ]
    summary = summarise(runs)
    return msgspec.structs.replace(
        report, runs=runs, step_time=summary.step_time, conditions=Conditions(warnings=list(noise))
    )


def shown(printing: Callable[[LastingConsole], None]) -> str:
    console = LastingConsole(file=io.StringIO(), width=200)
    printing(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_run_and_compare_say_the_same_of_a_report(make_report: MakeReport, tmp_path: Path) -> None:
    new = doubtful(make_report({"jax": TWO_GROUPS}), unsteady=(0, 3), noise=[STEAL])
    lines = [GROUPS, UNSTEADY, f"Noise: {STEAL}"]
    assert caveats(new) == lines
    printed = shown(lambda console: print_report(new, tmp_path, console)).splitlines()
    assert [line for line in printed if line in lines] == lines
    base = doubtful(make_report({"jax": STEADY}))
    assert compare_reports(base, new).notes == [f"new: {line}" for line in lines]
    assert compare_reports(new, base).notes == [f"base: {line}" for line in lines]
    assert compare_reports(base, base).notes == []


def test_every_form_of_a_comparison_has_them_in_sight(make_report: MakeReport) -> None:
    base = doubtful(make_report({"jax": STEADY}), noise=[STEAL])
    found = compare_reports(base, doubtful(make_report({"jax": TWO_GROUPS}), unsteady=(0, 3), noise=[STEAL]))
    notes = [f"base and new: Noise: {STEAL}", f"new: {GROUPS}", f"new: {UNSTEADY}"]
    assert sorted(found.notes) == sorted(notes)
    assert json.loads(json.dumps(as_json(found)))["notes"] == found.notes
    text = shown(lambda console: console.print(render(found)))
    sight = as_markdown(found).partition("<details>")[0]
    junit = comparison_as_junit(found, "x")
    for note in notes:
        assert note in text
        assert f"- {note}" in sight
        assert note in junit


def test_of_cells_that_are_not_compared_nothing_is_said(make_report: MakeReport) -> None:
    report = doubtful(make_report({"jax": STEADY, "torch": STEADY, "tensorflow": STEADY}), unsteady=(0, 3))
    assert compare_reports(report, report, cells=("torch/cpu/fit", "tensorflow/cpu/fit")).notes == []
    assert compare_reports(report, report, cells=("torch/cpu/fit", "jax/cpu/fit")).notes == [f"new: {UNSTEADY}"]
    other = doubtful(make_report({"torch": STEADY}), noise=[STEAL])
    assert compare_reports(other, doubtful(make_report({"jax": STEADY}), unsteady=(0, 3))).notes == []


def test_a_budget_that_ended_it_is_reported_for_what_was_to_be_precise(make_report: MakeReport, tmp_path: Path) -> None:
    """Of a run each cell's time, of two environments their ratio, which drift of the machine leaves alone."""
    drift = (1.0, 1.3, 0.8, 1.1, 0.9)

    def measured(factors: Sequence[float], side: str | None) -> Report:
        report = make_report({"jax": [a * b for a, b in zip(drift, factors, strict=True)]})
        together = None if side is None else Together(id="a", side=side)  # type: ignore[arg-type]
        settings = msgspec.structs.replace(report.settings, precision=0.02, budget_s=600.0)
        return msgspec.structs.replace(doubtful(report), settings=settings, together=together)

    alone = measured(STEADY, None)
    (line,) = caveats(alone)
    assert line.startswith("The widest interval is \u00b1")
    assert line.endswith(" %, not \u00b12 %: --budget ended it.")
    assert line in shown(lambda console: print_report(alone, tmp_path, console))
    assert compare_reports(alone, alone).notes == [f"base and new: {line}"]

    base = measured(STEADY, "base")
    assert compare_reports(base, measured(STEADY, "new")).notes == []
    (note,) = compare_reports(base, measured((1.0, 1.1, 0.9, 1.0, 1.0), "new")).notes
    assert note.startswith("The widest interval of a ratio is \u00b1")
    assert note.endswith(" %, not \u00b12 %: --budget ended it.")


def test_a_report_as_markdown_has_them_among_its_noise(
    make_report: MakeReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_report(doubtful(make_report({"jax": TWO_GROUPS}), unsteady=(0, 3), noise=[STEAL]), tmp_path)
    assert main(["export", str(tmp_path), "--to", "markdown"]) == 0
    folded = capsys.readouterr().out.partition("<summary>Noise</summary>")[2]
    assert all(line in folded for line in (STEAL, GROUPS, UNSTEADY))
