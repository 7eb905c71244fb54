"""Two sides measured as one, by scripted workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.measure.versus import measure_versus
from bench.report.file import load_report
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
Measure = Callable[..., tuple[Report, Report]]


@pytest.fixture
def versus(fake: Any, tmp_path: Path) -> Measure:
    """Measures this Python against itself with scripted workers into tmp_path/both."""

    def run(script: dict[str, object], **changes: object) -> tuple[Report, Report]:
        settings = {"cells": parse_cells("jax,torch", "cpu", "fit"), "output": tmp_path / "both"}
        options = fake.options(script, **{**settings, **changes})
        return measure_versus(options, (sys.executable, sys.executable), Console(quiet=True))

    return run


def test_rounds_of_both_sides_are_interleaved_in_one_count_of_turns(versus: Measure, tmp_path: Path) -> None:
    base, new = versus({"jax": {"step_time_ms": [1, 2, 3, 4]}})
    assert load_report(tmp_path / "both" / "base") == base
    assert load_report(tmp_path / "both" / "new") == new
    turns = {
        turn: (side, run.backend) for side, r in (("base", base), ("new", new)) for run in r.runs for turn in run.turns
    }
    assert sorted(turns) == list(range(2 * 2 * 3 * 4))
    sweeps = [tuple(turns[turn] for turn in range(start, start + 4)) for start in range(0, len(turns), 4)]
    assert all(len(set(sweep)) == 4 for sweep in sweeps)
    assert len(set(sweeps)) > 1
    assert all(
        run.step_time_ms == [1, 2, 3, 4] for report in (base, new) for run in report.runs if run.backend == "jax"
    )
    assert (base.together is None, new.together is None) == (False, False)
    assert compare_reports(base, new).together


def test_a_run_that_was_cut_off_goes_on_where_it_was(versus: Measure, fake: Any) -> None:
    first = versus({"torch:1": {"at": "MeasureRound:2", "how": "kill"}})
    lost = [[run.process for run in report.runs if run.status == "killed"] for report in first]
    assert lost == [[1], [1]]
    before = len(fake.started())
    base, new = versus({}, existing="resume")
    assert len(fake.started()) - before == 2
    assert {run.status for report in (base, new) for run in report.runs} == {"ok"}
    assert (base.together, new.together) == (first[0].together, first[1].together)


def test_only_two_that_belong_together_are_resumed(versus: Measure, tmp_path: Path) -> None:
    versus({})
    with pytest.raises(BenchError, match="already holds a report"):
        versus({})
    text = (tmp_path / "both" / "new" / "report.json").read_text()
    base = load_report(tmp_path / "both" / "base")
    assert base.together is not None
    (tmp_path / "both" / "new" / "report.json").write_text(text.replace(base.together.id, "another"))
    with pytest.raises(BenchError, match="does not hold two reports measured together"):
        versus({}, existing="resume")


def test_two_pythons_that_were_swapped_are_not_gone_on_with(tmp_path: Path, fake: Any) -> None:
    """They may be of one version, with the same packages, and be built in different ways."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    pythons = (sys.executable, str(other))
    asked = {"cells": parse_cells("jax", "cpu", "fit"), "output": tmp_path / "both", "processes": 1, "seeds": 1}
    measure_versus(fake.options({}, **asked), pythons, Console(quiet=True))
    again = fake.options({}, **{**asked, "processes": 2}, existing="resume")
    with pytest.raises(BenchError, match="cannot resume: the interpreter differs"):
        measure_versus(again, pythons[::-1], Console(quiet=True))
    base, new = measure_versus(again, pythons, Console(quiet=True))
    assert [len(report.runs) for report in (base, new)] == [2, 2]


def test_a_side_alone_is_not_gone_on_with_as_a_run(versus: Measure, tmp_path: Path) -> None:
    versus({})
    code = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--resume", "--backends", "jax,torch", "--dataset",
         "synthetic:40x30x2000", "--batch-size", "100", "--seeds", "2", "--output", str(tmp_path / "both" / "base")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert code.returncode == 2
    assert code.stderr.startswith("bench: cannot resume: ")


def test_another_python_finds_the_harness_that_measures(versus: Measure, tmp_path: Path) -> None:
    """Without PYTHONPATH it would import the harness that is installed there, or none."""
    versus({}, cells=parse_cells("jax", "cpu", "fit"))
    linked = tmp_path / "both" / ".harness"
    found = subprocess.run(
        [sys.executable, "-c", "import bench.worker, movierank; print(bench.__file__, movierank.__file__)"],
        env={**os.environ, "PYTHONPATH": str(linked)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == [str(linked / name / "__init__.py") for name in ("bench", "movierank")]


def test_a_missing_backend_of_one_side_leaves_the_other_cells(versus: Measure) -> None:
    base, new = versus({"torch": {"at": "Job", "how": "unavailable"}})
    comparison = compare_reports(base, new)
    assert [row.cell for row in comparison.step_time] == ["jax/cpu/fit"]
    assert {run.status for run in base.runs if run.backend == "torch"} == {"skipped"}


def test_with_a_budget_both_sides_have_as_many_processes(versus: Measure) -> None:
    base, new = versus({"jax": {"step_time_ms": [1.0, 1.1]}}, precision=0.5, budget_s=600.0)
    assert [len(report.runs) for report in (base, new)] == [20, 20]


def test_a_side_is_not_measured_on_alone_once_the_other_is_given_up(versus: Measure) -> None:
    wide = {f"new:jax:{process}": {"step_time_ms": [1.0 + process]} for process in range(8)}
    lost = {f"new:jax:{process}": {"at": "Job", "how": "kill"} for process in (5, 7, 8)}
    base, new = versus({**wide, **lost}, cells=parse_cells("jax", "cpu", "fit"), precision=0.02, budget_s=600.0)
    assert [run.status for run in new.runs] == ["ok"] * 5 + ["killed", "ok", "killed", "killed"]
    assert [run.status for run in base.runs] == ["ok"] * 9


def test_ctrl_c_leaves_two_valid_reports_and_no_worker(tmp_path: Path, fake: Any) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"jax": {"round_s": 0.2}}))
    program = (
        "import sys, io; from pathlib import Path; from rich.console import Console\n"
        "from bench.system.interrupts import interrupts_once\n"
        "from bench.measure.matrix import parse_cells; from bench.measure.options import Options\n"
        "from bench.measure.versus import measure_versus\n"
        f"o = Options(cells=parse_cells('jax', 'cpu', 'fit'), output=Path({str(tmp_path / 'both')!r}),"
        " dataset='synthetic:40x30x2000', batch_size=100, processes=3, seeds=2, rounds=50, parity=False, watch_s=0.0,"
        " patience_s=0.0,"
        f" worker_command=(sys.executable, {str(fake.worker)!r}, {str(script)!r}))\n"
        "with interrupts_once():\n"
        "    measure_versus(o, (sys.executable, sys.executable), Console(file=io.StringIO()))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    events = script.with_suffix(".events")
    while process.poll() is None and (
        not events.exists()
        or events.read_text().count('"answered", "what": "MeasureRound"') < 5  # the last one may not be recorded yet
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert len(fake.started()) == 2
    assert fake.no_worker_is_left()
    base, new = (load_report(tmp_path / "both" / side) for side in ("base", "new"))
    rounds = [sum(len(run.step_time_ms) for run in report.runs) for report in (base, new)]
    assert sum(rounds) >= 4
    assert abs(rounds[0] - rounds[1]) <= 1
