from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bench.commands.cli import main
from bench.comparison.history import Group, as_json, collect
from bench.comparison.history_table import render
from bench.errors import BenchError
from bench.page.pictures import write_history
from bench.report.file import save_report
from bench.schema.report import Report
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]
Write = Callable[..., Path]

SCATTER = (0.99, 1.0, 1.01)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def write(make_report: MakeReport, results: Path) -> Write:
    """Writes a report of a given day with a given step time of jax."""

    def one(name: str, day: int, ms: float = 1.0, created: str | None = None, **options: object) -> Path:
        folder = results / name
        folder.mkdir(parents=True)
        medians = [ms * factor * (1 + 0.002 * (day % 3)) for factor in SCATTER]
        report = make_report({"jax": medians}, **options)
        save_report(msgspec.structs.replace(report, created=created or f"2025-11-{day:02}T12:00:00Z"), folder)
        return folder

    return one


def names(groups: Sequence[Group]) -> list[list[str]]:
    return [[Path(point.report).name for point in group.series[0].points] for group in groups]


def shown(groups: Sequence[Group]) -> str:
    console = LastingConsole(file=io.StringIO(), width=160)
    console.print(render(groups))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_reports_are_put_in_order_of_time_wherever_they_lie(write: Write, results: Path) -> None:
    """Also where their clocks write other time zones, or none."""
    write("z", 1)
    write("deep/er/a", 3)
    write("m", 2)
    write("y", 9, created="2025-11-02T23:30:00-10:00")
    write("x", 9, created="2025-11-03T08:00:00")
    assert names(collect([results])) == [["z", "m", "x", "y", "a"]]


def test_reports_of_equal_last_names_have_distinct_names(write: Write, results: Path, tmp_path: Path) -> None:
    """As `versus` leaves them: two in each folder, of equal names in all."""
    for month in range(6):
        for side in ("base", "new"):
            write(f"{month}/upgrade/{side}", 2 * month + (side == "new") + 1, ms=1.0 if month < 3 else 1.5)
    write("mine", 20, ms=1.5)
    groups = collect([results])
    expected = [f"{month}/upgrade/{side}" for month in range(6) for side in ("base", "new")] + ["mine"]
    assert [point.name for point in groups[0].series[0].points] == expected
    text = shown(groups)
    assert "From 3/upgrade/base on a step takes 1.5" in text
    assert all(f" {name} " in text for name in expected)
    write_history(groups, tmp_path / "h.html")
    assert all(f'"{name}"' in (tmp_path / "h.html").read_text() for name in expected)  # what a mark tells


def test_a_side_of_versus_keeps_its_folder_where_nothing_else_is_called_so(write: Write, results: Path) -> None:
    write("upgrade/base", 1)
    write("upgrade/new", 2)
    assert [point.name for point in collect([results])[0].series[0].points] == ["upgrade/base", "upgrade/new"]


def test_a_report_counts_once_however_often_it_is_named(write: Write, results: Path) -> None:
    one = write("one", 1)
    assert names(collect([results, one, one / "report.json"])) == [["one"]]


def test_hidden_and_too_deep_folders_are_left_alone(write: Write, results: Path) -> None:
    write("seen/b/c/d", 1)
    write(".hidden/one", 2)
    write("a/b/c/d/deep", 3)
    assert names(collect([results])) == [["d"]]


def test_a_broken_report_is_skipped_with_a_line(write: Write, results: Path) -> None:
    write("good", 1)
    broken = write("broken", 2)
    (broken / "report.json").write_text('{"schema": "movierank-bench/1"')
    write("no-day", 3, created="yesterday")
    write("impossible", 4, ms=-1.0)
    lines: list[str] = []
    assert names(collect([results], broken=lines.append)) == [["good"]]
    assert len(lines) == 3
    for name, line in zip(("broken", "impossible", "no-day"), lines, strict=True):
        assert line.startswith("skipped: ")
        assert name in line


@pytest.mark.parametrize("change", [{"cpu_model": "Other"}, {"threads": 1}, {"epochs": 7}, {"gpus": ["NVIDIA H100"]}])
def test_what_does_not_compare_is_never_mixed(write: Write, results: Path, change: dict[str, object]) -> None:
    write("a", 1)
    write("b", 2, **change)
    write("c", 3)
    groups = collect([results])
    assert sorted(names(groups)) == [["a", "c"], ["b"]]
    title = next(group.title for group in groups if len(group.series[0].points) == 1)
    value = next(iter(change.values()))
    assert str(value[0] if isinstance(value, list) else value) in title


def test_the_same_ratings_from_another_source_are_one_group(write: Write, results: Path) -> None:
    write("a", 1, source="tfds")
    write("b", 2, source="wheel")
    assert names(collect([results])) == [["a", "b"]]


def test_a_change_is_marked_with_the_versions_that_came_with_it(write: Write, results: Path) -> None:
    for day in range(1, 13):
        slow = day >= 7
        write(f"r{day:02}", day, ms=1.15 if slow else 1.0, packages={"jax": "0.11.0" if slow else "0.10.2"})
    groups = collect([results])
    points = groups[0].series[0].points
    assert [index for index, point in enumerate(points) if point.change is not None] == [6]
    assert points[6].change == pytest.approx(1.15, rel=1e-2)
    assert [point.changes for point in points] == [[]] * 6 + [["jax 0.10.2 -> 0.11.0"]] + [[]] * 5
    assert points[0].level_ms == pytest.approx(1.0, rel=1e-2)
    text = shown(groups)
    assert "From r07 on a step takes 1.1" in text
    assert "with it changed: jax 0.10.2 -> 0.11.0." in text
    assert text.count("× 1.1") == 1
    data = json.loads(json.dumps(as_json(groups)))
    assert data["groups"][0]["series"][0]["points"][6]["step_time"]["median_ms"] == pytest.approx(1.15, rel=1e-2)


def test_a_flag_that_came_with_a_change_is_named(write: Write, results: Path) -> None:
    for day in range(1, 13):
        flags = {"XLA_FLAGS": "--xla_cpu_use_thunk_runtime=false"} if day >= 7 else {}
        write(f"r{day:02}", day, ms=1.15 if day >= 7 else 1.0, environment=flags)
    groups = collect([results])
    named = "XLA_FLAGS unset -> --xla_cpu_use_thunk_runtime=false"
    assert [point.changes for point in groups[0].series[0].points] == [[]] * 6 + [[named]] + [[]] * 5
    assert f"with it changed: {named}." in shown(groups)


def test_a_steady_cell_and_a_short_one_say_so(write: Write, results: Path) -> None:
    for day in range(1, 4):
        write(f"r{day}", day)
    assert "With fewer than 4 reports no change can be detected." in shown(collect([results]))
    write("r4", 4)
    assert "No change is seen in 4 reports." in shown(collect([results]))


def test_only_the_cell_asked_for_is_listed(results: Path, make_report: MakeReport) -> None:
    save_report(make_report({"jax": SCATTER, "torch": SCATTER}), results)
    assert [series.cell for series in collect([results])[0].series] == ["jax/cpu/fit", "torch/cpu/fit"]
    assert [series.cell for series in collect([results], cell="torch/cpu/fit")[0].series] == ["torch/cpu/fit"]
    with pytest.raises(BenchError, match="no report has a step time of tpu/cpu/fit"):
        collect([results], cell="tpu/cpu/fit")


def test_nothing_to_list_is_a_clear_word(results: Path) -> None:
    with pytest.raises(BenchError, match="no report to be used below"):
        collect([results])
    with pytest.raises(BenchError, match="there is no"):
        collect([results / "none"])


def test_the_page_stands_alone_and_reads_no_markup(write: Write, results: Path, tmp_path: Path) -> None:
    for day in range(1, 9):
        write(f"r{day} <b>&", day, ms=1.0 if day < 5 else 1.5, cpu_model="<script>x</script>")
    output = tmp_path / "history.html"
    write_history(collect([results]), output)
    page = output.read_text()
    assert page.count("<script") == 3
    assert "<b>" not in page
    assert "× 1.5" in page
    write_history(collect([results]), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_the_picture_is_what_its_name_says(write: Write, results: Path, tmp_path: Path) -> None:
    write("one", 1)
    write("two", 2)
    svg, png = tmp_path / "h.svg", tmp_path / "h.png"
    groups = collect([results])
    write_history(groups, svg)
    write_history(groups, png)
    assert ElementTree.fromstring(svg.read_bytes()).get("aria-label", "").startswith("Step time of jax/cpu/fit in 2")
    assert png.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BenchError, match="end its name with"):
        write_history(groups, tmp_path / "h.gif")


def test_the_command_prints_writes_and_tells_of_broken_reports(
    write: Write, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("one", 1)
    (write("bad", 2) / "report.json").write_text("[]")
    output = tmp_path / "h.svg"
    assert main(["history", str(results), "--json", "-o", str(output)]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["groups"][0]["series"][0]["cell"] == "jax/cpu/fit"
    assert captured.err.count("\n") == 2
    assert "skipped:" in captured.err
    assert output.exists()
    assert main(["history", str(tmp_path / "none")]) == 2
    assert "there is no" in capsys.readouterr().err
