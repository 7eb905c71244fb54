from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from rich.console import Console

from bench.compare_reports import compare_reports
from bench.comparison import drift_words
from bench.drift import ASSUMED
from bench.errors import BenchError
from bench.joined_parity import JoinedParity
from bench.machine_state import StateWatch
from bench.matrix import parse_cells
from bench.options import Options
from bench.parity_records import ParityResult
from bench.report import Report, Together
from bench.report_file import load_report
from bench.two_environments import describe_other, measure_versus, python_of
from bench.versus_outcome import Versus

pytestmark = pytest.mark.backend_free

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
ROOT = Path(__file__).parents[2]
MakeReport = Callable[..., Report]
Measure = Callable[..., tuple[Report, Report]]


@pytest.fixture
def versus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measures this Python against itself with scripted workers into tmp_path/both."""
    monkeypatch.setattr("bench.measure.watch_of", lambda threads, patience: StateWatch(lambda: None, patience))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for seed in range(2):
        stages = ("forward", *(f"epoch {epoch}" for epoch in range(1, 6)))
        np.savez(tmp_path / f"seed{seed}.npz", **{stage: np.full(3, seed, np.float32) for stage in stages})

    def run(script: dict[str, object], **changes: object) -> tuple[Report, Report]:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        settings: dict[str, object] = {
            "cells": parse_cells("jax,torch", "cpu", "fit"),
            "output": tmp_path / "both",
            "dataset": "synthetic:40x30x2000",
            "batch_size": 100,
            "processes": 3,
            "seeds": 2,
            "rounds": 4,
            "parity": False,
            "watch_s": 0.0,
            "patience_s": 0.0,
            "worker_command": (sys.executable, str(FAKE_WORKER), str(path)),
        }
        options = Options(**{**settings, **changes})  # type: ignore[arg-type]
        return measure_versus(options, (sys.executable, sys.executable), Console(file=io.StringIO()))

    return run


def started(tmp_path: Path) -> int:
    path = tmp_path / "script.started"
    return len(path.read_text().splitlines()) if path.exists() else 0


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


def test_a_run_that_was_cut_off_goes_on_where_it_was(versus: Measure, tmp_path: Path) -> None:
    first = versus({"torch:1": {"at": "MeasureRound:2", "how": "kill"}})
    lost = [[run.process for run in report.runs if run.status == "killed"] for report in first]
    assert lost == [[1], [1]]
    before = started(tmp_path)
    base, new = versus({}, existing="resume")
    assert started(tmp_path) - before == 2
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


def test_a_side_alone_is_not_gone_on_with_as_a_run(versus: Measure, tmp_path: Path) -> None:
    versus({})
    code = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--resume", "--backends", "jax,torch", "--dataset",
         "synthetic:40x30x2000", "--batch-size", "100", "--seeds", "2", "--output", str(tmp_path / "both" / "base")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert code.returncode == 2
    assert code.stderr.startswith("bench: cannot resume: ")


def test_a_missing_backend_of_one_side_leaves_the_other_cells(versus: Measure) -> None:
    base, new = versus({"torch": {"at": "Job", "how": "unavailable"}})
    comparison = compare_reports(base, new)
    assert [row.cell for row in comparison.step_time] == ["jax/cpu/fit"]
    assert {run.status for run in base.runs if run.backend == "torch"} == {"skipped"}


def test_with_a_budget_both_sides_have_as_many_processes(versus: Measure) -> None:
    base, new = versus({"jax": {"step_time_ms": [1.0, 1.1]}}, precision=0.5, budget_s=30.0)
    assert [len(report.runs) for report in (base, new)] == [10, 10]


@pytest.mark.parametrize(
    ("pair", "code"),
    [(("new:jax/cpu/fit", "base:jax/cpu/fit"), 1), (("new:jax/cpu/fit", "oracle"), 0), (("new:a", "new:b"), 0)],
)
def test_only_what_lies_between_the_two_is_the_upgrades_doing(
    pair: tuple[str, str], code: int, make_report: MakeReport, tmp_path: Path
) -> None:
    a, b = pair
    result = ParityResult(a=a, b=b, stage="epoch 1", rms=1.0, max_abs=1.0, envelope=1e-5, verdict="outside")
    joined = JoinedParity(reports=[], results=[result], divergences=[], notes=[], failed=False)
    report = make_report()
    found = Versus(base=report, new=report, output=tmp_path, comparison=compare_reports(report, report), parity=joined)
    assert (found.exit_code, len(found.outside), found.as_json()["exit_code"]) == (code, code, code)


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


def test_ctrl_c_leaves_two_valid_reports_and_no_worker(tmp_path: Path, versus: Measure) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"jax": {"round_s": 0.2}}))
    program = (
        "import sys, io; from pathlib import Path; from rich.console import Console\n"
        "from bench.interrupts import interrupts_once\n"
        "from bench.matrix import parse_cells; from bench.options import Options\n"
        "from bench.two_environments import measure_versus\n"
        f"o = Options(cells=parse_cells('jax', 'cpu', 'fit'), output=Path({str(tmp_path / 'both')!r}),"
        " dataset='synthetic:40x30x2000', batch_size=100, processes=3, seeds=2, rounds=50, parity=False, watch_s=0.0,"
        " patience_s=0.0,"
        f" worker_command=(sys.executable, {str(FAKE_WORKER)!r}, {str(script)!r}))\n"
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
    pids = {int(line.rpartition(":")[2]) for line in script.with_suffix(".started").read_text().splitlines()}
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    base, new = (load_report(tmp_path / "both" / side) for side in ("base", "new"))
    rounds = [sum(len(run.step_time_ms) for run in report.runs) for report in (base, new)]
    assert sum(rounds) >= 4
    assert abs(rounds[0] - rounds[1]) <= 1
