from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from bench.commands.cli import main
from bench.report.file import load_report, save_report
from bench.report.view import View
from bench.text.headline import headline
from bench.text.numbers import with_interval

pytestmark = pytest.mark.backend_free

GITHUB = MarkdownIt("commonmark").enable("table")


def export(capsys: pytest.CaptureFixture[str], form: str, *reports: Path) -> str:
    assert main(["export", *map(str, reports), "--to", form]) == 0
    return capsys.readouterr().out


def test_csv_has_every_round_of_every_run(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(export(capsys, "csv", real))))
    runs = load_report(real).runs
    assert [float(row["step_time_ms"]) for row in rows] == [value for run in runs for value in run.step_time_ms]
    assert [int(row["turn"]) for row in rows] == [turn for run in runs for turn in run.turns]
    assert {row["report"] for row in rows} == {"loops-2cores"}


def test_csv_leaves_out_what_was_not_measured(broken: Path, real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(export(capsys, "csv", broken, real))))
    cells = {(row["backend"], row["device"]) for row in rows if row["report"] == "broken"}
    assert cells == {("jax", "cpu"), ("torch", "cpu")}
    assert len(rows) == 4 * 5 + sum(len(run.step_time_ms) for run in load_report(real).runs)


def test_markdown_gives_the_answer_the_table_and_the_parity_before_what_is_folded(
    real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    markdown = export(capsys, "markdown", real)
    shown, folded = markdown.split("<details>", 1)
    html = GITHUB.render(shown)
    assert html.count("<tr>") == 1 + 9
    assert headline(View(load_report(real))).split(";")[0] in html
    fastest = load_report(real).step_time[0]
    assert with_interval(fastest.median_ms, fastest.ci95_ms) in html
    assert "2655 comparisons of 45 pairs: 2601 within rounding, 54 known, 0 outside" in shown
    assert "AMD EPYC" in folded
    assert "keras 3.15.1" in folded


def test_markdown_names_what_failed_and_no_text_of_a_report_is_markup(
    broken: Path, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    markdown = export(capsys, "markdown", broken, real)
    html = GITHUB.render(markdown)
    assert html.count("<table>") == 2
    assert "<memory>" not in html
    assert "out of &lt;memory&gt;" in html
    assert "1 outside" in markdown
    assert re.search(r"jax/gpu/fit</code>: skipped: jax sees no GPU", html)
    row = next(line for line in markdown.splitlines() if line.startswith("| <code>torch"))
    assert row.count("|") == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "tensorboard"], "give -o FOLDER"),
        (["--to", "mlflow", "-o", "x"], "not to -o"),
        (["--to", "csv", "--tracking-uri", "x"], "for --to mlflow"),
        (["--to", "csv", "-o", "REPORT/report.json/x.csv"], "cannot write"),
    ],
)
def test_what_cannot_be_is_a_line_that_says_what_to_do(
    arguments: list[str], words: str, real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("REPORT", str(real)) for argument in arguments]
    assert main(["export", str(real), *given]) == 2
    assert words in capsys.readouterr().err


def test_every_format_of_the_help_can_be_asked_for(broken: Path, tmp_path: Path) -> None:
    from bench.export import FORMATS
    from bench.export.writing import FOLDERS, TEXTS

    assert FORMATS.keys() == TEXTS.keys() | FOLDERS.keys() | {"mlflow", "tensorboard"}
    for name in TEXTS:
        assert main(["export", str(broken), "--to", name, "-o", str(tmp_path / f"{name}.txt")]) == 0
        assert (tmp_path / f"{name}.txt").stat().st_size > 500


def test_a_custom_workload_is_reported_by_its_metric(
    broken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = load_report(broken)
    workload = msgspec.structs.replace(
        report.workload,
        workload="my_digits:mlp",
        dataset="digits",
        metric="accuracy",
        better="higher",
        optimizer="Adam",
    )
    runs = [
        msgspec.structs.replace(run, train_rmse=[], test_rmse=None, train_metric=[0.5, 0.9], test_metric=0.91)
        if run.train_rmse
        else run
        for run in report.runs
    ]
    (tmp_path / "own").mkdir()
    save_report(msgspec.structs.replace(report, workload=workload, runs=runs), tmp_path / "own")
    assert "| test accuracy |" in export(capsys, "markdown", tmp_path / "own")
    assert "test accuracy 0.91000" in export(capsys, "junit", tmp_path / "own")
    events = [
        json.loads(line.removeprefix(":::MLLOG ")) for line in export(capsys, "mllog", tmp_path / "own").splitlines()
    ]
    found = {event["key"]: event for event in events if event["namespace"] == "jax/cpu/fit/0"}
    assert found["eval_accuracy"]["value"] == 0.91
    assert found["eval_accuracy"]["metadata"] == {"epoch_num": 2, "metric": "accuracy", "better": "higher"}
    assert found["opt_name"]["value"] == "adam"
