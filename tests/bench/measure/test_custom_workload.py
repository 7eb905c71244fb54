"""Workloads of one's own, in real worker processes under the current backend and, where there is one, another."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import compare, judge_parity
from bench.commands.cli import main
from bench.report.file import load_report
from bench.report.view import View
from bench.schema.parity import breaks_parity, group_of
from bench.schema.report import Report
from bench.text.headline import headline

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
OTHERS = [name for name in ("jax", "torch", "tensorflow") if name != BACKEND and importlib.util.find_spec(name)]
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
NO_PAGE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "no_page"), str(ROOT)])}
SHORT = ("--processes", "1", "--seeds", "1", "--rounds", "2", "--round-seconds", "0.02", "--threads", "1")
SMALL = """
import sys
from dataclasses import replace
from bench import Arrays

sys.path.insert(0, {examples!r})
from {name} import {name} as full

def some():
    arrays = full.arrays()
    def first(part, count):
        return {{key: ids[:count] for key, ids in part.items()}} if isinstance(part, dict) else part[:count]
    parts = (arrays.train_x, {train}), (arrays.train_y, {train}), (arrays.test_x, {test}), (arrays.test_y, {test})
    return Arrays(*(first(part, count) for part, count in parts))

small = replace(full, arrays=some, epochs=2, target={target})
"""
WRONG = """
import keras
import numpy as np
from bench import Arrays, Workload

def build(seed):
    return keras.Sequential([keras.layers.Dens(3)])

arrays = lambda: Arrays(*[np.ones(2)] * 4)
wrong = Workload(name="wrong", build=build, arrays=arrays, metric="mae", batch_size=1, epochs=1)
"""

BY_CLASS = """
import keras
import numpy as np
from bench import Arrays, Workload

def build(seed):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    f1 = keras.metrics.F1Score(average=None, name="f1")
    model.compile("sgd", "categorical_crossentropy", metrics=[f1, "accuracy"])
    return model

def arrays():
    x, y = np.ones((40, 2)), np.eye(3)[np.arange(40) % 3]
    return Arrays(x, y, x, y)

by_class = Workload(name="by class", build=build, arrays=arrays, metric="f1", batch_size=10, epochs=2)
"""


def small(name: str, folder: Path, train: int, test: int, target: float | None = None) -> str:
    """Writes a workload that is the first part of an example, with a target of its own."""
    file = folder / f"small_{name}.py"
    file.write_text(SMALL.format(examples=str(EXAMPLES), name=name, train=train, test=test, target=target))
    return f"{file}:small"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=NO_PAGE,
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> tuple[str, Path, Report, str]:
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("digits")
    target, output = small("digits", folder, 1_020, 297, 0.5), folder / "report"
    backends = ",".join([BACKEND, *OTHERS[:1]] if BACKEND == "jax" else [BACKEND])  # two side by side take a minute
    done = bench("run", "--workload", target, "--backends", backends, "--output", str(output), *SHORT)
    assert done.returncode == 0, done.stderr + done.stdout
    return target, output, load_report(output), done.stdout


def test_a_report_says_what_was_measured_and_calls_the_metric_by_its_name(digits) -> None:
    _, _, report, said = digits
    workload = report.workload
    assert (workload.dataset, workload.source, workload.metric, workload.better) == (
        *("digits", "own", "accuracy", "higher"),
    )
    assert (workload.num_train, workload.num_test, workload.batch_size, workload.epochs) == (1020, 297, 50, 2)
    assert workload.learning_rate == pytest.approx(1e-3)
    assert workload.parameters == 65 * 128 + 129 * 64 + 65 * 10
    assert report.rmse == []
    assert {row.metric for row in report.metrics} == {"accuracy"}
    for run in report.runs:
        assert run.status == "ok"
        assert run.train_rmse == []
        assert run.test_rmse is None
        assert len(run.train_metric) == 2
        assert 0.5 < run.test_metric <= 1
        assert run.test_metric * 297 == pytest.approx(round(run.test_metric * 297), abs=1e-3)
        assert len(run.step_time_ms) == 2
    assert "Test accuracy" in " ".join(said.split())
    assert "RMSE" not in said


def test_training_time_to_its_own_target_is_told(digits) -> None:
    _, _, report, said = digits
    assert report.workload.target == 0.5
    for run in report.runs:
        assert len(run.test_metric_by_epoch) == 2
        assert run.test_metric_by_epoch[-1] == pytest.approx(run.test_metric, abs=1e-6)
    assert {(row.backend, row.loop) for row in report.time_to_target} == {(r.backend, r.loop) for r in report.runs}
    for row in report.time_to_target:
        (run,) = [run for run in report.runs if run.backend == row.backend]
        needed = 1 if run.test_metric_by_epoch[0] >= 0.5 else 2
        assert (row.target, row.reached, row.epochs) == (0.5, 1, [needed])
        (timed,) = [cell for cell in report.step_time if cell.backend == row.backend]
        assert row.typical_s == pytest.approx(needed * timed.median_ms * 1020 / 50 / 1000)
    assert "Seconds of training to test accuracy 0.5" in " ".join(said.split())


def test_its_floor_is_told_where_jax_could_count_what_a_step_does(digits) -> None:
    _, _, report, _ = digits
    if BACKEND != "jax":
        assert (report.workload.step_operations, report.floors) == (None, [])
        return
    assert report.workload.step_operations == 2 * 50 * (2 * 64 * 128 + 3 * 128 * 64 + 3 * 64 * 10)
    assert {str(row.cell) for row in report.floors} == {str(run.cell) for run in report.runs}
    for row in report.floors:
        assert 0 < row.best_floor_ms <= row.floor_ms
        assert row.times_floor > 1


def test_its_parity_is_judged_at_every_stage(digits) -> None:
    _, _, report, said = digits
    cells = {str(run.cell) for run in report.runs}
    for cell in cells:
        stages = {group_of(row.stage) for row in report.parity if (row.a, row.b) == (cell, "oracle")}
        assert stages == {
            *("forward", "loss", "gradient", "optimizer 1", "weights 1", "weights 10"),
            *("epoch 1", "epoch 2", "training accuracy", "test accuracy"),
        }
    assert len({(row.a, row.b) for row in report.parity}) == len(cells) + len(cells) * (len(cells) - 1) // 2
    assert not [row for row in report.parity if breaks_parity(row)]
    assert {envelope.place for envelope in report.envelopes} == {cell.removesuffix("/fit") for cell in cells}
    # Sharp enough to mean something: Adam's first step moves each weight by a thousandth.
    first = [row for row in report.parity if row.stage.startswith("weights 1/") and row.b == "oracle"]
    assert len(first) == 6 * len(cells)
    assert all(0 < row.envelope < 1e-6 for row in first)
    assert "within rounding" in " ".join(said.split())


def test_compare_tells_its_metric_and_refuses_another_model(digits, tmp_path) -> None:
    _, output, report, _ = digits
    found = compare(output, output)
    assert found.rmse == []
    assert found.metric == "accuracy"
    assert {row.cell: row.base for row in found.metrics} == {
        f"{row.backend}/{row.device}/{row.loop}": row.mean for row in report.metrics
    }
    other = msgspec.structs.replace(report.workload, model_sha256="0" * 64)
    refused = compare(report, msgspec.structs.replace(report, workload=other))
    assert "model_sha256" in refused.not_comparable
    assert refused.metrics == []


def test_its_parity_can_be_judged_again_from_what_it_stores(digits) -> None:
    _, output, report, _ = digits
    joined = judge_parity(output)
    assert joined.results == report.parity
    assert joined.divergences == report.divergences
    assert not joined.failed


@pytest.mark.one_backend
def test_a_measurement_is_resumed(digits, tmp_path) -> None:
    target, output, before, _ = digits
    shutil.copytree(output, tmp_path / "report")
    # Another loop, but for PyTorch's, which compiles for seconds.
    more = ("--processes", "2") if BACKEND == "torch" else ("--loops", "fit,fused")
    command = ("run", "--workload", target, "--backends", BACKEND, "--resume", "--no-parity", *SHORT, *more)
    done = bench(*command, "--output", str(tmp_path / "report"))
    assert done.returncode == 0, done.stderr
    after = load_report(tmp_path / "report")
    assert before.runs[0] in after.runs
    (added,) = [run for run in after.runs if run not in before.runs]
    assert added.status == "ok"
    assert added.test_metric == pytest.approx(before.runs[0].test_metric, abs=0.02)


def test_the_retrieval_example_has_one_oracle_for_each_way_to_update_tables(movielens, tmp_path) -> None:
    target, output = small("retrieval", tmp_path, 5_500, 500), tmp_path / "report"
    done = bench("run", "--workload", target, "--backends", BACKEND, "--output", str(output), *SHORT)
    assert done.returncode == 0, done.stderr + done.stdout
    report = load_report(output)
    assert report.workload.metric == "rmse"
    assert {row.b for row in report.parity} == {"oracle"}
    assert {row.verdict for row in report.parity} == {"within"}
    assert report.workload.tables == ["user_tower/embeddings", "movie_tower/embeddings"]
    assert (report.time_to_target, report.runs[0].test_metric_by_epoch) == ([], [])
    assert judge_parity(output).results == report.parity
    assert "weights 1/user_tower/embeddings" in {row.stage for row in report.parity}


@pytest.mark.one_backend
def test_two_environments_are_measured_and_traced_with_it(tmp_path, capfd, monkeypatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr("bench.page.beside.write_page_beside", lambda output: None)  # a page of either takes seconds
    target, output = small("digits", tmp_path, 1_020, 297, 0.5), tmp_path / "both"
    both = ("versus", sys.executable, sys.executable, "--workload", target, "--backends", BACKEND, "--profile")
    short = ("--quick", "--patience", "0", "--max-regression", "10000%", "--output", str(output))
    code = main([*both, *short, *SHORT])
    said = capfd.readouterr().err
    assert code == 0, said
    assert f"base:{BACKEND}/cpu/fit and new:{BACKEND}/cpu/fit are the same model at all" in said
    base, new = load_report(output / "base"), load_report(output / "new")
    assert base.workload == new.workload
    assert base.workload.weights_sha256
    for side, report in (("base", base), ("new", new)):
        assert [row.target for row in report.time_to_target] == [0.5]
        (profile,) = report.profiles
        assert profile.error is None
        assert (output / side / profile.file).is_file()
        shares = {share.group: share.share for share in profile.shares}
        assert sum(shares.values()) == pytest.approx(1)
        assert {"matrix products", "optimizer update"} <= shares.keys()
        assert profile.steps == 20


@pytest.mark.one_backend
def test_an_error_in_the_users_code_is_told_with_its_line(tmp_path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    target, output = f"{tmp_path / 'wrong.py'}:wrong", tmp_path / "report"
    done = bench("run", "--workload", target, "--backends", BACKEND, "--output", str(output), *SHORT)
    assert done.returncode == 2
    first, second = done.stderr.strip().splitlines()[-2:]
    assert first.startswith("bench: build(0) of wrong failed: AttributeError")
    assert f"{tmp_path / 'wrong.py'}, line 7" in second
    assert not (output / "report.json").exists()


@pytest.mark.one_backend
def test_a_metric_of_several_values_is_no_score_but_may_be_there(tmp_path) -> None:
    (tmp_path / "by_class.py").write_text(BY_CLASS)
    target, output = f"{tmp_path / 'by_class.py'}:by_class", tmp_path / "report"
    command = ("run", "--backends", BACKEND, "--no-parity", "--output", str(output), *SHORT)
    done = bench(*command, "--workload", target)
    assert done.returncode == 2
    assert "by class names the metric 'f1', which has 3 values; give one that has a single value" in (
        " ".join(done.stderr.split())
    )
    (tmp_path / "by_class.py").write_text(BY_CLASS.replace('metric="f1"', 'metric="accuracy"'))
    done = bench(*command, "--workload", target)
    assert done.returncode == 0, done.stderr
    (run,) = load_report(output).runs
    assert 0 <= run.test_metric <= 1
    assert len(run.train_metric) == 2


def test_a_model_that_draws_random_numbers_is_not_judged(digits) -> None:
    _, _, report, _ = digits
    workload = msgspec.structs.replace(report.workload, not_judged="dropout draws other random numbers on each backend")
    said = headline(View(msgspec.structs.replace(report, workload=workload, parity=[])))
    assert "Whether the backends agree cannot be judged: dropout draws other random numbers on each backend." in said
