"""What becomes of the answers of workers, and of workers that give none."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.report.file import load_report
from bench.report.view import View
from bench.schema.outcome import exit_code
from bench.schema.report import Report
from bench.system.watch import StateWatch
from bench.text.headline import headline

pytestmark = pytest.mark.backend_free


def by_backend(report: Report, backend: str) -> list:
    return [run for run in report.runs if run.backend == backend]


def test_every_answer_of_every_worker_is_in_the_stored_report(fake, tmp_path):
    report = fake({"jax": {"step_time_ms": [1, 2, 3, 4]}, "torch": {"step_time_ms": [8]}})
    assert load_report(tmp_path / "report") == report
    assert [(run.backend, run.process, run.seed, run.status) for run in report.runs] == [
        (backend, process, process % 2, "ok") for backend in ("jax", "torch", "tensorflow") for process in range(3)
    ]
    assert all(run.step_time_ms == [1, 2, 3, 4] for run in by_backend(report, "jax"))
    assert all(run.fit_setup_ms == [30] * 4 and run.peak_rss_mib == 100 for run in report.runs)
    assert {(row.backend, row.median_ms) for row in report.step_time} == {("jax", 2.5), ("torch", 8), ("tensorflow", 1)}
    assert {row.seeds for row in report.rmse} == {2}
    assert report.finished is not None
    assert exit_code(report) == 0


def test_rounds_of_a_generation_are_interleaved_in_an_order_that_changes(fake):
    report = fake({}, rounds=6)
    turns = {turn: run.backend for run in report.runs for turn in run.turns}
    assert sorted(turns) == list(range(3 * 3 * 6))
    sweeps = [tuple(turns[turn] for turn in range(start, start + 3)) for start in range(0, len(turns), 3)]
    assert all(sorted(sweep) == ["jax", "tensorflow", "torch"] for sweep in sweeps)
    assert len(set(sweeps)) > 1


def test_a_few_processes_of_a_cell_say_what_the_device_can_do_and_the_others_spend_no_time_on_it(fake):
    limits = {"matrix_gflop_s": 400.0, "memory_gb_s": 60.0, "touched_rows": 900.0}
    lost = {"jax:1": {"limits": limits, "at": "Stop", "how": "kill"}}
    report = fake({"jax": {"limits": limits}, **lost}, cells=parse_cells("jax", "cpu", "fit"), processes=8)
    assert [run.matrix_gflop_s for run in report.runs] == [400, None, 400, 400, 400, 400, None, None]
    assert report.floors[0].floor_ms > 0


def test_the_order_follows_its_seed(fake, tmp_path):
    orders = [
        [run.turns for run in fake({}, order_seed=seed, output=tmp_path / name).runs]
        for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    ]
    assert orders[0] == orders[1] != orders[2]


def test_predictions_of_every_run_and_stage_are_stored(fake, tmp_path):
    fake({})
    with np.load(tmp_path / "report" / "predictions.npz") as stored:
        assert sorted(key for key in stored if key.startswith("torch")) == [
            f"torch/cpu/fit/p{process}/s{process % 2}/{stage}"
            for process in range(3)
            for stage in ("epoch 1", "epoch 2", "epoch 3", "epoch 4", "epoch 5", "forward")
        ]
        assert stored["torch/cpu/fit/p1/s1/epoch 2"].tolist() == [1, 1, 1]
    assert [path.name for path in (tmp_path / "report").iterdir() if path.name.startswith(".parts")] == []


def test_a_worker_is_told_its_precision_and_its_rounds_are_a_cell_of_their_own(fake, tmp_path):
    report = fake(
        {"jax:bfloat16": {"step_time_ms": [0.5]}, "jax:float32": {"step_time_ms": [2.0]}},
        cells=parse_cells("jax", "cpu", "fit", "float32,bfloat16"),
        processes=2,
        seeds=1,
        rounds=2,
    )
    assert load_report(tmp_path / "report") == report
    assert {(row.loop, row.median_ms) for row in report.step_time} == {("fit", 2.0), ("fit:bfloat16", 0.5)}
    assert all((tmp_path / "report" / str(run.log)).exists() and ":" not in str(run.log) for run in report.runs)
    assert "jax with bfloat16: 0.250 × as long a step as float32 [0.250, 0.250], RMSE 0.2500" in headline(View(report))


def test_a_worker_that_dies_on_import_is_named_and_the_others_are_measured(fake):
    report = fake({"torch": {"at": "Job", "how": "exit"}})
    first, *later = by_backend(report, "torch")
    assert (first.status, first.step_time_ms) == ("failed", [])
    assert "exit code 1" in first.error
    assert "libsomething.so.1" in first.error
    assert [run.status for run in later] == ["skipped", "skipped"]
    assert "process 0 never got to a steady round" in later[0].error
    assert Counter(run.status for run in report.runs) == {"ok": 6, "failed": 1, "skipped": 2}
    assert exit_code(report) == 3


def test_a_worker_killed_in_a_round_keeps_its_earlier_rounds_and_the_next_process_is_tried(fake):
    report = fake({"jax:0": {"at": "MeasureRound:2", "how": "kill", "step_time_ms": [5, 6, 7, 8]}})
    first, second, third = by_backend(report, "jax")
    assert (first.status, first.step_time_ms, first.test_rmse) == ("killed", [5, 6], 0.25)
    assert "SIGKILL" in first.error
    assert (second.status, third.status) == ("ok", "ok")
    assert exit_code(report) == 3


def test_a_cell_that_was_measured_is_given_up_after_two_losses_in_a_row(fake):
    dies = {"at": "WarmUp", "how": "kill"}
    report = fake(
        {f"jax:{process}": dies for process in (1, 3, 4)}, cells=parse_cells("jax", "cpu", "fit"), processes=6
    )
    assert [run.status for run in report.runs] == ["ok", "killed", "ok", "killed", "killed", "skipped"]
    assert report.runs[5].error == (
        "not started, since process 4 never got to a steady round (killed), nor did the one before it"
    )


def test_a_cell_that_is_given_up_keeps_no_other_going_until_the_budget_is_spent(fake):
    wide = {f"torch:{process}": {"step_time_ms": [1.0 + process]} for process in range(5)}
    lost = {f"torch:{process}": {"at": "WarmUp", "how": "kill"} for process in range(5, 99)}
    report = fake(wide | lost, cells=parse_cells("jax,torch", "cpu", "fit"), precision=0.02, budget_s=600.0)
    assert [run.status for run in by_backend(report, "torch")] == ["ok"] * 5 + ["killed"] * 2
    assert [run.status for run in by_backend(report, "jax")] == ["ok"] * 10


def test_a_precision_is_met_by_ten_processes_that_were_measured_however_many_were_lost(fake):
    lost = {f"jax:{process}": {"at": "WarmUp", "how": "kill"} for process in (1, 4, 7)}
    report = fake(lost, cells=parse_cells("jax", "cpu", "fit"), precision=0.02, budget_s=600.0)
    statuses = [run.status for run in report.runs]
    assert (len(statuses), statuses.count("ok"), statuses.count("killed")) == (13, 10, 3)
    assert report.step_time[0].processes == 10


def test_a_worker_that_hangs_is_ended_after_the_timeout(fake, tmp_path):
    report = fake({"tensorflow:1": {"at": "WarmUp", "how": "hang"}}, timeout_s=1.0)
    hung = by_backend(report, "tensorflow")[1]
    assert hung.status == "timeout"
    assert "--timeout" in hung.error
    assert hung.train_rmse == [0.3] * 5
    assert fake.no_worker_is_left()


def test_an_answer_that_cannot_be_read_is_a_failure(fake):
    report = fake({"jax": {"at": "Train", "how": "garbage"}})
    assert by_backend(report, "jax")[0].status == "failed"
    assert "cannot be read" in by_backend(report, "jax")[0].error


def test_a_training_that_yields_nan_is_a_failure_with_a_reason(fake):
    report = fake({"jax": {"at": "Train", "how": "nan"}})
    assert by_backend(report, "jax")[0].error == "NotFiniteError: the loss is nan after epoch 1"
    assert exit_code(report) == 3


def test_a_missing_backend_is_skipped_with_its_reason_and_fails_nothing(fake, tmp_path):
    report = fake({"torch": {"at": "Job", "how": "unavailable"}})
    assert {(run.status, run.error) for run in by_backend(report, "torch")} == {("skipped", "no such device here")}
    assert exit_code(report) == 0
    assert fake.started().count("torch:1") == 0


def test_nothing_measured_at_all_is_a_failure(fake):
    report = fake({name: {"at": "Job", "how": "unavailable"} for name in ("jax", "torch", "tensorflow")})
    assert exit_code(report) == 3


@pytest.mark.parametrize(
    ("how", "word"),
    [("kill", "SIGKILL"), ("hang", "no answer"), ("garbage", "cannot be read"), ("nan", "NotFiniteError")],
)
def test_a_profiler_that_fails_takes_nothing_from_what_was_measured(fake, tmp_path, how, word):
    report = fake(
        {"jax": {"at": "TakeProfile", "how": how}},
        cells=parse_cells("jax", "cpu", "fit"),
        profile=True,
        timeout_s=2.0 if how == "hang" else 60.0,
    )
    assert [(run.status, run.error, run.profile, len(run.step_time_ms)) for run in report.runs] == [
        ("ok", None, None, 4)
    ] * 3
    (profile,) = report.profiles
    assert (profile.process, profile.file) == (0, None)
    assert word in profile.error
    assert load_report(tmp_path / "report") == report
    assert exit_code(report) == 0


def test_no_worker_is_traced_unless_asked(fake):
    assert fake({"jax": {"at": "TakeProfile", "how": "kill"}}).profiles == []


def test_rounds_timed_with_cores_apart_are_repeated_and_all_are_kept(fake, monkeypatch):
    looks = iter([1.3] * 8 + [3.3])
    monkeypatch.setattr(
        "bench.measure.run.watch_of", lambda threads, patience: StateWatch(lambda: next(looks, 1.3), 9.0)
    )
    (run,) = fake({"jax": {"step_time_ms": [1, 9, 3]}}, cells=parse_cells("jax", "cpu", "fit"), processes=1, rounds=2,
                  seeds=1).runs  # fmt: skip
    assert run.handover == [1.3, 3.3, 1.3]
    assert run.step_time_ms == [1, 9, 3]
    assert run.turns == [0, 1, 2]


@pytest.mark.parametrize("apart_at", [(7,), (8, 9, 12), (6, 14, 15, 20)])
def test_every_process_has_its_rounds_by_the_rule_that_its_report_judges_them_by(fake, monkeypatch, apart_at):
    """A lucky first look of 1.0 makes none of the usual rounds of 1.6 seem apart, to be repeated for nothing."""
    looks = iter([1.0, *(3.4 if look in apart_at else 1.6 for look in range(2, 60))])
    monkeypatch.setattr("bench.measure.run.watch_of", lambda threads, patience: StateWatch(lambda: next(looks), 1e6))
    report = fake({}, cells=parse_cells("jax,torch", "cpu", "fit"), processes=1, rounds=3, seeds=1)
    apart = sum(ratio == 3.4 for run in report.runs for ratio in run.handover)
    assert [(row.rounds, row.calm) for row in report.step_time] == [(3, True)] * 2
    assert sum(row.apart_rounds for row in report.step_time) == apart
    assert sum(len(run.step_time_ms) for run in report.runs) == 2 * 3 + apart


def test_without_patience_rounds_timed_with_cores_apart_are_kept_and_not_repeated(fake, monkeypatch):
    looks = iter([1.3] * 5)
    monkeypatch.setattr(
        "bench.measure.run.watch_of", lambda threads, patience: StateWatch(lambda: next(looks, 3.3), 0.0)
    )
    report = fake({}, cells=parse_cells("jax", "cpu", "fit"), rounds=2)
    assert [run.handover for run in report.runs] == [[3.3, 3.3]] * 3
    assert len(report.step_time) == 1


def test_a_batch_larger_than_the_train_part_is_refused(fake):
    with pytest.raises(BenchError, match=r"--batch-size 1601 is larger than the train part \(1,600 ratings\)"):
        fake({}, batch_size=1601)


@pytest.mark.parametrize("name", ["batch_size", "epochs", "processes", "rounds", "seeds", "threads"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_below_one_are_refused_by_the_name_of_their_option(fake, name, value):
    with pytest.raises(BenchError, match=f"--{name.replace('_', '-')} must be at least 1; received {value}"):
        fake({}, **{name: value})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_in_a_word(fake, tmp_path):
    (tmp_path / "report").mkdir(mode=0o500)
    with pytest.raises(BenchError, match="cannot write"):
        fake({})
