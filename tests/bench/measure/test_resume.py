"""A folder that holds a report already: refused, overwritten, or gone on with."""

from __future__ import annotations

import errno

import pytest
from msgspec.structs import replace

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.report.file import save_report
from bench.schema.machine import Gpu
from bench.schema.outcome import exit_code
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free


def by_backend(report: Report, backend: str) -> list:
    return [run for run in report.runs if run.backend == backend]


def test_resume_traces_a_cell_that_has_no_profile(fake):
    script = {"jax": {"at": "TakeProfile", "how": "nan"}}
    cells = parse_cells("jax", "cpu", "fit")
    fake(script, cells=cells, processes=2, profile=True)
    report = fake(script, cells=cells, processes=3, profile=True, existing="resume")
    assert [profile.process for profile in report.profiles] == [2]
    assert fake(script, cells=cells, processes=3, existing="resume").profiles == []


def test_resume_measures_only_what_is_missing(fake, tmp_path):
    before = fake({"jax:1": {"at": "MeasureRound:1", "how": "kill"}})
    (tmp_path / "script.started").unlink()
    after = fake({"jax": {"step_time_ms": [9]}}, existing="resume")
    assert fake.started() == ["jax:1"]
    assert [run for run in after.runs if (run.backend, run.process) != ("jax", 1)] == [
        run for run in before.runs if (run.backend, run.process) != ("jax", 1)
    ]
    assert by_backend(after, "jax")[1].step_time_ms == [9] * 4
    assert exit_code(after) == 0
    turns = [turn for run in after.runs for turn in run.turns]
    assert len(turns) == len(set(turns))


def test_resume_measures_a_lost_process_beyond_those_that_a_precision_begins_with(fake, tmp_path):
    """Its rounds before it was lost have made the interval narrow enough."""
    times = {f"jax:{process}": {"step_time_ms": [ms]} for process, ms in enumerate([*[1.0] * 9, 1.1, 1.02])}
    asked = {"cells": parse_cells("jax", "cpu", "fit"), "precision": 0.0205, "budget_s": 60.0}
    lost = {"jax:10": {**times["jax:10"], "at": "MeasureRound:1", "how": "kill"}}
    before = fake({**times, **lost}, **asked)
    assert [run.status for run in before.runs] == ["ok"] * 10 + ["killed"]
    (tmp_path / "script.started").unlink()
    after = fake(times, **asked, existing="resume")
    assert fake.started() == ["jax:10"]
    assert [run.status for run in after.runs] == ["ok"] * 11
    assert exit_code(after) == 0


@pytest.mark.parametrize(("change", "word"), [({"batch_size": 50}, "workload"), ({"threads": 77}, "threads")])
def test_resume_refuses_a_report_of_something_else(fake, change, word):
    fake({})
    with pytest.raises(BenchError, match=f"cannot resume: the {word} differs"):
        fake({}, existing="resume", **change)


@pytest.mark.parametrize(
    ("part", "change", "word"),
    [
        ("software", {"python": "3.10.2 CPython"}, "Python version"),
        ("machine", {"gpus": [Gpu(name="NVIDIA L4", memory_mib=23034.0, driver="550.54")]}, "GPU or its driver"),
    ],
)
def test_resume_refuses_a_report_of_another_python_or_gpu(fake, tmp_path, part, change, word):
    cells = parse_cells("jax", "cpu", "fit")
    report = fake({}, cells=cells, processes=1, seeds=1)
    save_report(replace(report, **{part: replace(getattr(report, part), **change)}), tmp_path / "report")
    with pytest.raises(BenchError, match=f"cannot resume: the {word} differs"):
        fake({}, cells=cells, processes=2, seeds=1, existing="resume")


def test_a_folder_that_holds_a_report_is_left_alone_unless_it_is_to_be_overwritten(fake, tmp_path):
    fake({"jax": {"step_time_ms": [1]}})
    stored = (tmp_path / "report" / "report.json").read_bytes()
    with pytest.raises(BenchError, match="already holds a report"):
        fake({})
    assert (tmp_path / "report" / "report.json").read_bytes() == stored
    (tmp_path / "report" / "notes.txt").write_text("mine")
    assert by_backend(fake({"jax": {"step_time_ms": [2]}}, existing="overwrite"), "jax")[0].step_time_ms == [2] * 4
    assert (tmp_path / "report" / "notes.txt").read_text() == "mine"


def test_a_report_that_cannot_be_replaced_is_left_whole(fake, tmp_path, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    fake({"jax": {"step_time_ms": [1]}})
    report = tmp_path / "report"
    before = {path: path.read_bytes() for path in report.rglob("*") if path.is_file() and path.name != ".lock"}
    assert {"report.json", "predictions.npz"} <= {path.name for path in before}
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(BenchError, match="cannot write"):
        fake({}, existing="overwrite")
    assert {path: path.read_bytes() for path in before} == before
