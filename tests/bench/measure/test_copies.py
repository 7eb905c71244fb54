"""`run --envelope backend` with scripted workers: what copies say, what becomes of lost ones, who judges."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.measure.options import Options
from bench.measure.run import measure
from bench.parity.distances import TestPart, Training
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Task, envelope_between, trained_copy
from bench.parity.numpy_oracle import measure as measure_reference
from bench.parity.rules import NumpyRules
from bench.parity.thresholds import BACKEND_AT_MOST, Limit, thresholds
from bench.parity.trainings import Reference, Side, Trajectory
from bench.report.file import load_report
from bench.schema.cell import Cell
from bench.schema.parity import ORACLE, CellEnvelope, SeedEnvelope, StageEnvelope
from bench.schema.report import Report
from bench.text.cell_rounding import cell_rounding, cell_rounding_lines
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.weights import initial_weights

pytestmark = pytest.mark.backend_free

FAKE_WORKER = Path(__file__).parents[1] / "fake_worker.py"
DATASET = load_dataset("synthetic:40x30x2000")
SPLIT = split_ratings(DATASET, "0.8:42")
PART = TestPart.of(SPLIT.test.user_id, SPLIT.test.label)
RULES = NumpyRules(test=PART, epochs=2)
TASK = Task(initial_weights(40, 30, seed=0), SPLIT.train, SPLIT.test, 200, 2, 0.1)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Measures with scripted workers that hand out a float32 oracle's predictions, into tmp_path/report."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    values = trained_copy(replace(TASK, early=False), np.random.SeedSequence(7))
    stages = {stage: array.astype(np.float32) for stage, array in values.items() if stage != "training rmse"}
    np.savez(tmp_path / "seed0.npz", **stages)

    def run(script: dict, **changes) -> Report:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        settings = {
            "cells": parse_cells("jax,torch", "cpu", "fit"),
            "output": tmp_path / "report",
            "dataset": DATASET.name,
            "split": SPLIT.name,
            "batch_size": 200,
            "epochs": 2,
            "processes": 1,
            "seeds": 1,
            "rounds": 1,
            "envelope": "backend",
            "copies": 3,
            "watch_s": 0.0,
            "timeout_s": 20.0,
            "worker_command": (sys.executable, str(FAKE_WORKER), str(path)),
        }
        return measure(Options(**{**settings, **changes}), Console(file=io.StringIO()))

    return run


@pytest.mark.parametrize("how", ["exit", "kill", "garbage"])
def test_a_cell_whose_copies_are_lost_is_judged_by_the_oracles(fake, how):
    report = fake({"torch": {"at": "Copy:1", "how": how}})
    assert [own.cell for own in report.own_envelopes] == ["jax/cpu/fit"]
    judges = {(r.a, r.b): r.judged_by for r in report.parity}
    assert judges == {
        ("jax/cpu/fit", "oracle"): "backend",
        ("torch/cpu/fit", "oracle"): "oracle",
        ("jax/cpu/fit", "torch/cpu/fit"): "oracle",
    }
    assert {run.status for run in report.runs} == {"ok"}
    (line,) = cell_rounding_lines(report, {"jax/cpu/fit": "jax", "torch/cpu/fit": "torch"})[:1]
    assert "copies of torch were lost" in line


def test_ctrl_c_among_the_copies_keeps_those_that_are_finished(fake, tmp_path):
    events = tmp_path / "script.events"

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (events.exists() and '"Copy:1"' in events.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    signaller = threading.Thread(target=interrupt)
    fake({}, cells=parse_cells("jax", "cpu", "fit"))  # copies of jax are stored
    events.unlink()
    signaller.start()
    with pytest.raises(KeyboardInterrupt):
        fake({"torch": {"at": "Copy:1", "how": "hang"}}, existing="resume")
    signaller.join()
    cut = load_report(tmp_path / "report")
    assert [own.cell for own in cut.own_envelopes] == ["jax/cpu/fit"]
    assert {run.status for run in cut.runs} == {"ok"}
    resumed = fake({}, existing="resume")
    assert [own.cell for own in resumed.own_envelopes] == ["jax/cpu/fit", "torch/cpu/fit"]
    assert resumed.own_envelopes[0] == cut.own_envelopes[0]


def test_copies_of_another_number_are_trained_anew(fake, tmp_path):
    first = fake({})
    again = fake({}, existing="resume", copies=4)
    assert [own.copies for own in first.own_envelopes] == [3, 3]
    assert [own.copies for own in again.own_envelopes] == [4, 4]
    by_oracle = fake({}, existing="resume", envelope="oracle")
    assert {r.judged_by for r in by_oracle.parity} == {"oracle"}
    assert by_oracle.own_envelopes == again.own_envelopes
    assert load_report(tmp_path / "report") == by_oracle


def reference() -> Reference:
    return measure_reference(TASK, seed=0, threads=1)


def own_envelope(task: Task, copies: int = 4) -> list[StageEnvelope]:
    streams = np.random.SeedSequence([1, 2]).spawn(copies)
    return envelope_between([Training.of(trained_copy(task, s), PART, task.epochs) for s in streams], task.weights)


def test_a_fault_that_all_copies_share_is_outside_of_their_envelope():
    task = replace(TASK, learning_rate=0.1001)
    values = trained_copy(task, np.random.SeedSequence(5))
    cell = Cell(backend="torch", device="cpu", loop="fit")
    trajectory = Trajectory(cell, 0, 0, values, envelope=own_envelope(task))
    results = judge(RULES.sides([trajectory], {(None, 0): reference()}), RULES)
    outside = [r for r in results if r.verdict == "outside"]
    assert outside[0].stage.startswith("probe/")
    assert all(r.judged_by == "backend" for r in results)


def stage(scale: float, trainings: int, name: str = "forward") -> StageEnvelope:
    pairs = trainings * (trainings - 1) // 2
    return StageEnvelope(stage=name, trainings=trainings, rms=[scale] * pairs, resolution=1e-12, values=100)


def test_a_pair_is_judged_by_the_wider_envelope_and_by_none_that_is_absurd():
    of_oracle = [stage(1e-8, 7), stage(1e-7, 7, "epoch 1")]
    by_oracle = Reference(of_oracle, 0.0, {})
    limit_of = RULES.limits(100)

    def limit(at: str, envelopes: dict[str, list[StageEnvelope]]) -> Limit | None:
        names = {ORACLE: [], **envelopes}
        sides = [Side(name, 3, Training.of({}), by_oracle, envelope=own) for name, own in names.items()]
        return limit_of(sides[-1], sides[-2], at)

    narrow, wide, absurd = ([stage(scale, 6)] for scale in (5e-9, 3e-8, 1e-3))
    mine, theirs = (thresholds(envelope, 100)["forward"] for envelope in (narrow, wide))
    oracle = thresholds(of_oracle, 100)
    assert limit("forward", {"a": narrow}).rms == mine
    assert limit("forward", {"a": narrow, "b": wide}).rms == theirs > oracle["forward"]
    assert limit("forward", {"c": absurd}).rms == BACKEND_AT_MOST * oracle["forward"]
    for own, at in (({"a": narrow, "d": []}, "forward"), ({"a": narrow}, "epoch 1")):
        found = limit(at, own)
        assert (found.rms, found.judged_by) == (oracle[at], "oracle")


def test_a_cells_rounding_is_given_in_times_of_the_oracles_copies(make_report):
    oracle = [stage(1e-8, 7), stage(2e-8, 7, "weights 1/bias1"), stage(2e-8, 7, "weights 1/bias2")]
    oracle[0] = msgspec.structs.replace(oracle[0], rms=[9.0] * 6 + [1e-8] * 15)  # those with the oracle are left out
    own = [stage(3e-8, 6), stage(4e-8, 6, "weights 1/bias1"), stage(16e-8, 6, "weights 1/bias2")]
    report = msgspec.structs.replace(
        make_report(),
        envelopes=[SeedEnvelope(seed=0, bias_step=0.0, stages=oracle)],
        own_envelopes=[CellEnvelope(cell="jax/cpu/fit", seed=0, stages=own)],
    )
    assert cell_rounding(report) == {"jax/cpu/fit": pytest.approx({"forward": 3, "step 1": 4})}


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"copies": 2}, "--copies"), ({"init": "backend"}, "--init backend"), ({"parity": False}, "--no-parity")],
)
def test_what_contradicts_an_envelope_of_ones_own_is_refused(tmp_path, changes, word):
    with pytest.raises(BenchError, match=word):
        Options(cells=parse_cells("jax", "cpu", "fit"), output=tmp_path, envelope="backend", **changes)
