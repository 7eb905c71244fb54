"""`run --envelope backend` with real workers of the current backend, on a workload of a few seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.commands.cli import main
from bench.report.file import load_report
from bench.report.predictions import load_arrays
from bench.schema.report import Report

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
CELL = f"{BACKEND}/cpu/fit"
SEEDS = 2 if BACKEND == "jax" else 1  # under JAX all is tried; elsewhere, that a seed is judged by its copies


def bench_run(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    small = (
        "--dataset",
        "synthetic:40x30x2000",
        "--batch-size",
        "200",
        "--epochs",
        "2",
        "--rounds",
        "1",
        "--threads",
        "1",
    )
    short = ("--processes", str(SEEDS), "--seeds", str(SEEDS), "--round-seconds", "0.02")
    judged = ("--envelope", "backend", "--copies", "3")
    command = [sys.executable, "-m", "bench", "run", "--backends", BACKEND, "--output", str(output)]
    return subprocess.run(
        [*command, *small, *short, *judged, *options], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report, str]:
    output = tmp_path_factory.mktemp("own") / "report"
    done = bench_run(output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output, load_report(output), done.stdout


def test_both_envelopes_are_stored_and_the_verdicts_say_by_which_they_are(measured):
    output, report, printed = measured
    assert report.settings.envelope == "backend"
    assert [(own.cell, own.seed, own.copies) for own in report.own_envelopes] == [
        (CELL, seed, 3) for seed in range(SEEDS)
    ]
    for own, oracle in zip(report.own_envelopes, report.envelopes, strict=True):
        assert {at.stage for at in own.stages} == {at.stage for at in oracle.stages}
        assert all(len(at.rms) == at.trainings == 3 for at in own.stages)
        assert all(at.trainings == 7 for at in oracle.stages)
    assert {(r.judged_by, r.verdict if r.known is None else "known") for r in report.parity} <= {
        ("backend", "within"),
        ("backend", "known"),
    }
    assert "distances between 3 copies of each cell's own" in " ".join(printed.split())
    assert "Parity is judged by each cell's own rounding." in printed
    assert {key.split("/")[0] for key in load_arrays(output / "predictions.npz")} <= {
        BACKEND,
        "oracle",
        "tensorflow-indexed-slices",
    }


def test_a_report_is_judged_again_by_the_same_envelopes(measured, capsys):
    output, report, _ = measured
    assert main(["parity", str(output), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["results"]
    assert [r["judged_by"] for r in again] == ["backend"] * len(report.parity)
    for result, before in zip(again, report.parity, strict=True):
        assert result["envelope"] == pytest.approx(before.envelope, rel=1e-9)


@pytest.mark.one_backend
def test_resuming_trains_only_the_copies_that_are_missing(measured):
    output, report, _ = measured
    path = output / "report.json"
    stored = json.loads(path.read_text())
    stored["own_envelopes"].pop()
    path.write_text(json.dumps(stored))
    done = bench_run(output, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line for line in " ".join(done.stderr.split()).split("Training ") if "permuted" in line]
    assert found == [f"3 permuted copies of {CELL}, seed {SEEDS - 1} (1 of 1) "]
    resumed = load_report(output)
    assert resumed.own_envelopes[:-1] == report.own_envelopes[:-1]
    assert [(own.cell, own.seed) for own in resumed.own_envelopes] == [(CELL, seed) for seed in range(SEEDS)]
    assert resumed.runs == report.runs
