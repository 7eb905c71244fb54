"""`run --profile` with real workers of the current backend."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report.file import load_report
from bench.schema.profile import GROUPS
from bench.schema.report import Report
from bench.worker.profiler.trace import ROUND, read_trace

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
LOOPS = ("fit", "native")
ROOT = Path(__file__).parents[3]
NO_PAGE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "no_page"), str(ROOT)])}
SMALL = ("--dataset", "synthetic:60x50x6000", "--batch-size", "500", "--epochs", "1", "--no-parity")
SHORT = ("--processes", "1", "--seeds", "1", "--rounds", "1", "--round-seconds", "0.02", "--threads", "1")


@pytest.fixture(scope="module")
def profiled(tmp_path_factory) -> tuple[Path, Report, str]:
    output = tmp_path_factory.mktemp("profiled") / "report"
    command = [sys.executable, "-m", "bench", "run", "--backends", BACKEND, "--loops", ",".join(LOOPS), "--profile"]
    done = subprocess.run(
        [*command, *SMALL, *SHORT, "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=NO_PAGE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return output, load_report(output), done.stdout


def test_each_cell_is_traced_and_measured(profiled):
    output, report, printed = profiled
    assert [(profile.backend, profile.loop, profile.process) for profile in report.profiles] == [
        (BACKEND, loop, 0) for loop in LOOPS
    ]
    assert [profile.error for profile in report.profiles] == [None, None]
    files = {run.loop: run.profile for run in report.runs}
    assert files == {loop: f"profiles/{BACKEND}-cpu-{loop}.json.gz" for loop in LOOPS}
    assert all(run.status == "ok" and len(run.step_time_ms) == 1 for run in report.runs)
    assert {f"profiles/{path.name}" for path in (output / "profiles").iterdir()} == set(files.values())
    assert "Where a step goes" in printed
    assert "ui.perfetto.dev" in printed


@pytest.mark.parametrize("loop", LOOPS)
def test_a_trace_is_what_perfetto_reads(profiled, loop):
    output, _, _ = profiled
    path = output / "profiles" / f"{BACKEND}-cpu-{loop}.json.gz"
    assert path.stat().st_size < 4 * 2**20
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    work = [event for event in events if event["ph"] == "X"]
    assert len(work) > 50
    assert all(isinstance(event["ts"], int | float) and event["ts"] >= 0 and event["dur"] >= 0 for event in work)
    assert all(isinstance(event["pid"], int) and isinstance(event["tid"], int) for event in work)
    named = {event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    assert {event["tid"] for event in work} <= named
    assert {event["cat"] for event in work} <= {*GROUPS, "annotation"}
    assert [event["name"] for event in work].count(ROUND) == 1


@pytest.mark.parametrize("place", range(len(LOOPS)))
def test_the_summary_tells_where_a_step_goes(profiled, place):
    output, report, _ = profiled
    profile = report.profiles[place]
    shares = {share.group: share.share for share in profile.shares}
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0 < share <= 1 for share in shares.values())
    assert {"matrix products", "optimizer update", "embeddings"} <= shares.keys()
    assert profile.steps == report.workload.num_train // 500
    assert profile.step_ms > 0
    assert profile.operations_per_step >= 20
    assert 3 <= len(profile.operations) <= 10
    taken = [operation.share for operation in profile.operations]
    assert taken == sorted(taken, reverse=True)
    assert sum(taken) <= 1
    products = [span for span in read_trace(output / profile.file).spans if span.group == "matrix products"]
    assert len(products) >= 6 * profile.steps  # two large layers: forwards, and backwards for weights and for inputs
