"""Sweeps with scripted workers."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.commands.cli import main
from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.measure.options import Options
from bench.page.pictures import write_plot
from bench.report.file import load_report
from bench.schema.cell import Cell
from bench.studies.sweep.axes import Point, default_values, parse_values, points_of
from bench.studies.sweep.memory import Need, estimated_need, groups_that_fit, memory_mib, shortage
from bench.studies.sweep.records import load_sweep
from bench.studies.sweep.run import SweepOptions, sweep
from bench.studies.sweep.table import print_sweep
from bench.system.environment import usable_cores
from bench.system.watch import StateWatch
from movierank.data.synthetic import parse_size

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
FAKE_WORKER = Path(__file__).parents[1] / "fake_worker.py"
VALUES = [20, 100, 500]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Sweeps over the batch size with scripted workers into tmp_path/sweep."""
    monkeypatch.setattr("bench.measure.run.watch_of", lambda threads, patience: StateWatch(lambda: None, patience))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(script: dict, over="batch-size", values=VALUES, ratings=2000, console=None, **changes):
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        settings = {
            "cells": parse_cells("jax,torch", "cpu", "fit"),
            "output": tmp_path / "sweep",
            "processes": 2,
            "rounds": 2,
            "threads": 1,
            "watch_s": 0.0,
            "patience_s": 0.0,
            "worker_command": (sys.executable, str(FAKE_WORKER), str(path)),
        }
        base = Options(**{**settings, **changes})
        point = Point(0, "", batch_size=100, embedding_dimension=base.embedding_dimension, threads=base.threads)
        options = SweepOptions(over, points_of(over, values, point, None, ratings), base)
        return sweep(options, console or Console(file=io.StringIO()))

    return run


def started(tmp_path: Path) -> list[str]:
    return [line.rpartition(":")[0] for line in (tmp_path / "script.started").read_text().splitlines()]


def test_a_sweep_finds_what_a_step_costs_and_can_be_read_again(fake, tmp_path):
    result = fake({"jax": {"cost": [2.0, 0.01]}, "torch": {"cost": [5.0, 0.03]}})
    assert load_sweep(tmp_path / "sweep") == result
    assert [(one.value, one.cell.backend, one.processes) for one in result.measured] == [
        (value, backend, 2) for value in VALUES for backend in ("jax", "torch")
    ]
    jax, torch = result.settings.cells
    assert (result.model_of(jax).fixed.value, result.model_of(jax).slope.value) == pytest.approx((2, 0.01))
    assert (result.model_of(torch).fixed.value, result.model_of(torch).slope.value) == pytest.approx((5, 0.03))
    first = result.curve(jax)[0]
    assert first.step_time_ms == pytest.approx(2.2)
    assert first.examples_per_s == pytest.approx(20 / 0.0022)
    assert first.peak_rss_mib == 100
    printed = io.StringIO()
    print_sweep(result, Console(file=printed, width=200))
    assert "jax: step = 2.00" in printed.getvalue()
    assert "the fixed cost rules below batch-size 200" in printed.getvalue()


def test_points_time_steps_alone_and_every_generation_goes_through_all_of_them(fake, tmp_path):
    fake({})
    report = load_report(tmp_path / "sweep" / "points" / "100")
    assert not report.settings.trains
    assert {(run.status, tuple(run.train_rmse), run.test_rmse) for run in report.runs} == {("ok", (), None)}
    assert not (tmp_path / "sweep" / "points" / "100" / "predictions.npz").exists()
    generations = [name.rpartition(":")[2] for name in started(tmp_path)]
    assert generations == ["0"] * 6 + ["1"] * 6


def test_a_lost_cell_is_not_started_again_at_its_point_and_the_rest_goes_on(fake, tmp_path):
    result = fake({"torch:0": {"at": "WarmUp", "how": "kill"}})
    torch = [one for one in result.measured if one.cell.backend == "torch"]
    assert {one.error_status for one in torch} == {"killed"}
    assert all(one.processes == 2 for one in result.measured if one.cell.backend == "jax")
    assert started(tmp_path).count("torch:0") == len(VALUES)
    assert "torch:1" not in started(tmp_path)
    assert result.finished is not None


def test_what_could_spoil_a_sweep_is_told_once_and_before_its_first_point(fake):
    console, threads = Console(file=io.StringIO()), usable_cores() + 1
    fake({}, threads=threads, console=console)
    lines = console.file.getvalue().splitlines()
    (found,) = [place for place, line in enumerate(lines) if line.startswith(f"Noise: {threads} threads share ")]
    assert found < min(place for place, line in enumerate(lines) if "process 0 (1 of 6)" in line)


def test_a_missing_backend_is_tried_once_and_named_at_every_point(fake, tmp_path):
    result = fake({"torch": {"at": "Job", "how": "unavailable"}})
    assert [name for name in started(tmp_path) if name.startswith("torch")] == ["torch:0"]
    torch = [one for one in result.measured if one.cell.backend == "torch"]
    assert {one.error_status for one in torch} == {"skipped"}
    assert all("no such device here" in one.error for one in torch)


def test_what_would_not_fit_in_memory_is_not_started(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.studies.sweep.run.memory_mib", lambda device: 2500.0)  # a machine that we cannot have
    result = fake({}, over="table-rows", values=[20, 400, 10_000_000], ratings=2000)
    small, large = result.measured[0], result.measured[-1]
    assert small.processes == 2
    assert large.error_status == "skipped"
    assert "would not fit in memory: some" in large.error
    assert "2,500 are left" in large.error
    assert not (tmp_path / "sweep" / "points" / "10000000").exists()


def test_workers_live_apart_where_they_do_not_fit_side_by_side(fake, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.studies.sweep.run.memory_mib", lambda device: 1500.0)
    result = fake({}, values=[20, 100, 500])
    assert all(one.processes == 2 for one in result.measured)
    events = [json.loads(line) for line in (tmp_path / "script.events").read_text().splitlines()]
    asked = [(event["pid"], event["what"]) for event in events if event["event"] == "answered"]
    living: set[int] = set()
    for pid, what in asked:
        living = living - {pid} if what == "Stop" else living | {pid}
        assert len(living) <= 1


def test_what_lies_on_a_gpu_is_held_against_the_gpu_s_memory(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034, 550.54'\necho 'NVIDIA T4, 15360, 550.54'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert memory_mib("gpu") == pytest.approx(0.9 * 23_034)
    smi.write_text("#!/bin/sh\nexit 9\n")
    assert memory_mib("gpu:1") is None
    assert memory_mib("cpu") > 0


def test_cells_share_the_memory_of_their_device_alone():
    cpu, gpu, other = (Cell(backend=name, device=device, loop="fit") for name, device in
                       (("jax", "cpu"), ("jax", "gpu"), ("torch", "gpu")))  # fmt: skip
    needs = {cpu: Need(1_000), gpu: Need(100, 5_000), other: Need(200, 6_000)}
    assert groups_that_fit(needs, {"cpu": 1_300.0, "gpu": 11_000.0}) == [[cpu, gpu, other]]
    assert groups_that_fit(needs, {"cpu": None, "gpu": 11_000.0}) == [[cpu, gpu, other]]
    assert groups_that_fit(needs, {"cpu": 1_300.0, "gpu": 10_000.0}) == [[cpu], [gpu], [other]]
    assert groups_that_fit(needs, {"cpu": 1_200.0, "gpu": 11_000.0}) == [[cpu], [gpu], [other]]
    assert groups_that_fit(needs, {"cpu": 900.0, "gpu": 5_500.0}) == [[gpu]]


def test_the_ratings_of_a_worker_on_a_gpu_are_held_against_the_host():
    (gpu,) = parse_cells("jax", "gpu", "fused")
    needs = {gpu: estimated_need(gpu, rows=1_000, width=32, ratings=100_000_000)}
    assert shortage(needs, {"cpu": 16_000.0, "gpu": 2_000.0}) is None
    assert "and 4,000 are left" in shortage(needs, {"cpu": 4_000.0, "gpu": 80_000.0})


def test_the_tables_of_a_worker_on_a_gpu_are_held_against_the_host_only_where_the_gpu_s_size_is_unknown():
    (gpu,) = parse_cells("torch", "gpu", "fit")
    needs = {gpu: estimated_need(gpu, rows=10_000_000, width=32, ratings=0)}  # 1,221 MiB of tables, six times over
    assert shortage(needs, {"cpu": 4_000.0, "gpu": 9_000.0}) is None
    assert "are needed on gpu and its memory has 7,000" in shortage(needs, {"cpu": 4_000.0, "gpu": 7_000.0})
    assert groups_that_fit(needs, {"cpu": 4_000.0, "gpu": None}) == []
    assert groups_that_fit(needs, {"cpu": 16_000.0, "gpu": None}) == [[gpu]]


def test_rows_alone_need_less_memory_than_whole_tables():
    fit, rows = (parse_cells("jax", "cpu", loop)[0] for loop in ("fit", "fused-rows"))
    sizes = {"rows": 1_000_000, "width": 32, "ratings": 0}
    tables = 1_000_000 * 32 * 4 / 2**20
    assert estimated_need(fit, **sizes).host - estimated_need(rows, **sizes).host == pytest.approx(tables)


def test_tables_have_the_rows_asked_for_and_one_curve_has_one_dataset():
    base = Point(0, "", 1000, 32, 2)
    for point in points_of("table-rows", [10, 999, 1_000_000], base, None, None):
        size = parse_size(point.dataset)
        assert size.users + 1 + size.movies + 1 == point.value
        assert size.ratings >= 250_000
    (dataset,) = {point.dataset for point in points_of("batch-size", [64, 65_536], base, None, None)}
    assert parse_size(dataset).ratings * 0.8 >= 20 * 65_536
    assert {point.dataset for point in points_of("threads", [1, 2], base, None, None)} == {"100k"}


def test_values_are_read_as_people_write_them():
    assert parse_values("1M, 64,10k,64") == [64, 10_000, 1_000_000]
    assert default_values("threads", quick=False)[0] == 1
    for text in ("0", "64,x", "-1", ",", "1.5"):
        with pytest.raises(BenchError, match=r"--values"):
            parse_values(text)


def test_a_folder_with_another_sweep_is_refused(fake, tmp_path):
    before = fake({}, processes=1)
    with pytest.raises(BenchError, match="already holds a sweep"):
        fake({})
    with pytest.raises(BenchError, match=r"cannot resume: values was \[20, 100, 500\]"):
        fake({}, values=[20, 100], existing="resume")
    assert load_sweep(tmp_path / "sweep") == before
    more = fake({}, processes=2, existing="resume")
    assert {one.processes for one in more.measured} == {2}
    anew = fake({}, values=[20, 100], processes=1, existing="overwrite")
    assert [point.name for point in sorted((tmp_path / "sweep" / "points").iterdir())] == ["100", "20"]
    assert {one.processes for one in anew.measured} == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--over batch-size --values 64,4000 --ratings 2000", "--batch-size 4000 is larger than the train part"),
        ("--over table-rows --dataset 100k", "--dataset does not go with --over table-rows"),
        ("--over table-rows --values 5", "tables have at least 10 rows; received 5"),
        ("--over threads --ratings 5", "--ratings is of made-up data"),
        ("--show nowhere", "no sweep at nowhere: it should hold a sweep.json"),
    ],
)
def test_bad_input_is_refused(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVIERANK_CACHE", str(tmp_path / "cache"))
    assert main(["sweep", "-o", "out", *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_picture_holds_every_cell_and_its_axes(fake, tmp_path):
    pytest.importorskip("altair")
    result = fake({"jax": {"cost": [2.0, 0.01]}, "torch": {"at": "WarmUp", "how": "kill"}})
    write_plot(result, tmp_path / "sweep.svg")
    root = ElementTree.parse(tmp_path / "sweep.svg").getroot()
    words = "".join(root.itertext())
    assert all(word in words for word in ("jax", "torch", "batch-size", "20", "100", "500", "peak memory, MiB"))
    assert "over batch-size" in root.attrib["aria-label"]
    write_plot(result, tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
