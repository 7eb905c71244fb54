"""Tables in narrow terminals: nothing that they answer is cut off."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.commands.cli import main
from bench.commands.doctor import print_findings
from bench.measure.doctor import Findings, Probed
from bench.measure.live_table import live_table
from bench.parity.join import JoinedParity, JoinedReport
from bench.report.file import load_report
from bench.report.summary import summarise
from bench.schema.report import Report
from bench.studies.mutants.records import Mutants
from bench.studies.mutants.table import print_mutants
from bench.studies.score.records import ScoreReport
from bench.studies.score.table import print_scoring
from bench.studies.validate.run import Validation
from bench.studies.validate.table import print_validation
from bench.text.console import LastingConsole
from bench.text.parity_table import render as render_parity
from bench.text.profile import print_profiles
from bench.text.report import print_report
from bench.text.table import FittingTable

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results"
GOLDEN = Path(__file__).parents[1] / "golden" / "report-1.json"
NARROW = (40, 60)


def printed(width: int, *parts: RenderableType) -> str:
    console = LastingConsole(file=io.StringIO(), width=width)
    console.print(*parts)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def characters(text: str) -> Counter[str]:
    return Counter("".join(re.sub("[─-]", "", text).split()))  # lines, and what hyphenates a heading


def whole(narrow: str, wide: str) -> None:
    """Checks that a narrow terminal shows each character that a wide one shows."""
    assert characters(wide) <= characters(narrow), narrow
    assert narrow.count("…") == wide.count("…"), "nothing is cut off"


def small(kind: type[Table]) -> Table:
    table = kind(title="steps", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell", no_wrap=True)
    table.add_column("ms/\nstep", justify="right", no_wrap=True)
    table.add_column("pro-\ncesses", justify="right")
    table.add_row("jax/cpu/fit", Text("0.822 [0.790, 0.851]", style="green"), "5")
    table.add_row(Text("tensorflow/cpu/fit"), "1.72 [1.65, 1.75]", "")
    return table


def test_a_table_that_fits_is_rich_s_own() -> None:
    for width in (200, 80, 60):
        assert printed(width, small(FittingTable)) == printed(width, small(Table))
    assert "…" in printed(40, small(Table))


def test_one_that_does_not_is_a_block_a_row() -> None:
    assert [line.rstrip() for line in printed(40, small(FittingTable)).splitlines()] == [
        "steps",
        "cell jax/cpu/fit",
        "  ms/ step   0.822 [0.790, 0.851]",
        "  processes  5",
        "cell tensorflow/cpu/fit",
        "  ms/ step   1.72 [1.65, 1.75]",
    ]


def test_a_row_without_a_name_has_that_of_the_row_above() -> None:
    table = FittingTable()
    table.named_by = 2
    for column in ("size", "", "figures"):
        table.add_column(column, no_wrap=True)
    table.add_row("1,000", "jax", "0.123456789012345")
    table.add_row("", "torch", "1.123456789012345")
    lines = [line.rstrip() for line in printed(24, table).splitlines()]
    assert lines == ["size 1,000, jax", "  figures  0.12345678901", "           2345", *lines[3:]]
    assert lines[3] == "size 1,000, torch"


def test_markup_in_a_name_stays_what_it_is() -> None:
    table = FittingTable()
    table.add_column("report", overflow="fold")
    table.add_column("ms/step", no_wrap=True)
    table.add_row(Text("[bold]mine[/]"), "0.822 [0.790, 0.851]")
    assert "report [bold]mine[/]" in printed(25, table)


@pytest.mark.parametrize("width", NARROW)
@pytest.mark.parametrize(
    "command",
    [
        ["compare", GOLDEN, GOLDEN],
        ["compare", RESULTS / "loops-2cores", RESULTS / "loops-2cores"],
        ["history", RESULTS / "loops-2cores"],
    ],
    ids=lambda command: "-".join(str(word).replace(str(ROOT), "") for word in command[:2]),
)
def test_commands_that_read_results(
    command: list[str | Path], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for columns in (400, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*map(str, command)]) == 0
        texts.append(capsys.readouterr().out)
    whole(texts[1], texts[0])


def both(show: Callable[[LastingConsole], None], width: int) -> tuple[str, str]:
    texts = []
    for columns in (width, 400):
        console = LastingConsole(file=io.StringIO(), width=columns)
        show(console)
        assert isinstance(console.file, io.StringIO)
        texts.append(console.file.getvalue())
    return texts[0], texts[1]


@pytest.mark.parametrize("width", NARROW)
def test_results_of_all_kinds(width: int) -> None:
    report = load_report(RESULTS / "loops-2cores")
    whole(*both(lambda console: print_report(report, Path("here"), console), width))
    names = {str(profile.cell): str(profile.cell) for profile in report.profiles}
    whole(*both(lambda console: print_profiles(report.profiles, names, console), width))
    scoring = msgspec.json.decode((RESULTS / "scoring/943x1682.json").read_bytes(), type=ScoreReport)
    whole(*both(lambda console: print_scoring(scoring, console), width))
    mutants = msgspec.json.decode((RESULTS / "mutants/jax.json").read_bytes(), type=Mutants)
    whole(*both(lambda console: print_mutants(mutants, console), width))
    validation = msgspec.json.decode((RESULTS / "validation/jax.json").read_bytes(), type=Validation)
    whole(*both(lambda console: print_validation(validation, console), width))
    where = "a folder with a long name " + "/".join(["nested"] * 12)
    probed = [Probed(backend="tensorflow", device="gpu", works=False, detail=where)]
    findings = Findings(backends=probed, data="none", noise=[], cores="steady")
    whole(*both(lambda console: print_findings(findings, console), width))


def test_in_80_columns_results_are_tables() -> None:
    report = load_report(RESULTS / "loops-2cores")
    validation = msgspec.json.decode((RESULTS / "validation/jax.json").read_bytes(), type=Validation)
    reported, _ = both(lambda console: print_report(report, Path("here"), console), 80)
    judged, _ = both(lambda console: print_validation(validation, console), 80)
    assert "\n  ms/step" not in reported
    assert "\n  undecided" not in judged
    assert "undecided" in judged


@pytest.mark.parametrize("width", NARROW)
def test_a_sweep(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    shutil.copy(RESULTS / "sweep/table-rows/sweep.json", sweep)
    monkeypatch.setattr("bench.page.write.can_draw", lambda: False)
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["sweep", "--show", str(sweep)]) == 0
    shown = capsys.readouterr().out
    for one in json.loads((sweep / "sweep.json").read_text())["measured"]:
        if one["examples_per_s"] is not None:
            assert f"{one['examples_per_s']:,.0f}" in shown
    assert "…" not in shown


@pytest.mark.parametrize("width", NARROW)
def test_parity_of_many_pairs(width: int) -> None:
    report = load_report(RESULTS / "loops-2cores")
    cells = {str(run.cell): str(run.cell) for run in report.runs}
    mine = JoinedReport(
        name="mine", created=report.created, machine="here", keras="3.15.1", backends={}, cells=cells, seeds=[0]
    )
    joined = JoinedParity(reports=[mine], results=report.parity, divergences=[], notes=[], failed=False)
    narrow = printed(width, render_parity(joined, width))
    assert "…" not in narrow
    assert max(map(len, narrow.splitlines())) <= width
    wide = printed(400, render_parity(joined))
    assert Counter(wide.split())["known"] == Counter(narrow.split())["known"]
    assert all(word in narrow.split() for word in wide.split() if word[0].isdigit())


def test_the_live_table_keeps_its_step_times(make_report: Callable[..., Report]) -> None:
    report = make_report()
    measured = SimpleNamespace(
        runs=report.runs, report=msgspec.structs.replace(report, step_time=summarise(report.runs).step_time)
    )
    cells = list(dict.fromkeys(run.cell for run in report.runs))
    seats = {str(cell): (measured, cell) for cell in cells}
    doing = {str(cells[0]): "waiting for the machine to be as before"}
    shown = printed(40, live_table("process 1 of 3", seats, doing, report.settings))  # type: ignore[arg-type]
    assert all(cell.backend in shown for cell in cells)
    assert "3/3" in shown
    assert "waiting for the machi…" in shown
    assert "0.820 [" in shown
