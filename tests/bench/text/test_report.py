from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.report.floors import floors
from bench.report.summary import summarise
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.console import LastingConsole
from bench.text.report import print_report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]


def printed(report: Report, width: int = 80, directory: Path = Path("results/local/mine")) -> str:
    summary = summarise(report.runs)
    report = msgspec.structs.replace(
        report,
        step_time=summary.step_time,
        ratios=summary.ratios,
        rmse=summary.scores,
        floors=floors(report.runs, summary.step_time, report.workload),
    )
    console = LastingConsole(file=io.StringIO(), width=width)
    print_report(report, directory, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def broken(report: Report, backend: str, device: str, status: str, error: str, log: str | None = None) -> Run:
    return msgspec.structs.replace(
        report.runs[0],
        backend=backend,
        device=device,
        status=status,  # type: ignore[arg-type]
        error=error,
        step_time_ms=[],
        test_rmse=None,
        log=log,
    )


def test_every_cell_is_shown_with_its_step_time_and_rmse(make_report: MakeReport) -> None:
    text = printed(make_report())
    for backend, median in (("jax", "0.82"), ("tensorflow", "1.72"), ("torch", "3.11")):
        assert any(backend in line and median in line and "0.257" in line for line in text.splitlines()), text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_the_step_time_over_its_floor_is_shown_within_80_columns(make_report: MakeReport) -> None:
    report = make_report({"jax": (0.85, 0.86, 0.87), "tensorflow": (4.1, 4.2, 4.3), "torch": (6.1, 6.2, 6.4)})
    fast = {"matrix_gflop_s": 400.0, "memory_gb_s": 60.0, "touched_rows": 900.0}
    runs = [msgspec.structs.replace(run, **fast) for run in report.runs if run.backend != "torch"]
    runs += [run for run in report.runs if run.backend == "torch"]
    text = printed(msgspec.structs.replace(report, runs=runs))
    table = text.partition("On this CPU")[0].splitlines()
    rows = {line.split()[0]: line for line in table if line.strip()}
    assert rows["torch"].count("]") == 2  # no interval takes a second line
    assert " 1.75 " in rows["jax"]
    assert " 8.53 " in rows["tensorflow"]
    assert " – " in rows["torch"]
    assert all(len(line) <= 80 for line in text.splitlines())


def test_cells_of_one_backend_have_distinct_names(make_report: MakeReport) -> None:
    text = printed(make_report({("torch", "cpu"): (3.0, 3.1, 3.2), ("torch", "gpu"): (1.4, 1.5, 1.6)}), width=120)
    rows = [line for line in text.splitlines() if "0.2578" in line or "0.2577" in line]
    assert any("torch/gpu" in line and "1.5" in line for line in rows), text
    assert any("torch/cpu" in line and "3.1" in line for line in rows), text


def test_what_was_not_measured_is_named_with_its_reason(make_report: MakeReport) -> None:
    base = make_report({"jax": (0.8, 0.82, 0.84)})
    report = make_report(
        {"jax": (0.8, 0.82, 0.84)},
        extra_runs=[
            broken(base, "torch", "cpu", "failed", "exit code 1: [bold]libfoo.so.1[/] is missing", "logs/torch.log"),
            broken(base, "tensorflow", "gpu", "skipped", "TensorFlow 2.21.0 sees no gpu"),
        ],
    )
    lines = printed(report, width=200).splitlines()
    (failed,) = [line for line in lines if line.startswith("torch/cpu/fit")]
    assert "failed: exit code 1: [bold]libfoo.so.1[/] is missing" in failed
    assert "logs/torch.log" in failed
    (skipped,) = [line for line in lines if line.startswith("tensorflow/gpu/fit")]
    assert skipped.endswith("skipped: TensorFlow 2.21.0 sees no gpu")


@pytest.mark.parametrize("status", ["failed", "killed", "timeout", "interrupted", "skipped"])
def test_a_report_without_a_single_step_time_is_printed(make_report: MakeReport, status: str) -> None:
    base = make_report({"jax": (0.8,)})
    report = msgspec.structs.replace(base, runs=[broken(base, "jax", "cpu", status, "a reason")], parity=[])
    text = printed(report)
    assert "No step time was measured" in text
    assert "a reason" in text


def test_the_report_s_path_can_be_copied_in_one_piece(make_report: MakeReport) -> None:
    directory = Path("results/[local]") / ("very-long-name-" * 8)
    assert f"Report: {directory}" in printed(make_report(), directory=directory)
