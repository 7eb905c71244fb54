"""Real worker processes under the current backend, on a workload of a few seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench.report.file import load_report
from bench.schema.parity import group_of
from bench.schema.report import Report
from movierank.backends import extra_of
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.install_hint import install_hint

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
ROOT = Path(__file__).parents[3]
NO_PAGE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "no_page"), str(ROOT)])}
SMALL = ("--dataset", "synthetic:60x50x6000", "--batch-size", "500", "--epochs", "2")
SHORT = ("--processes", "1", "--seeds", "1", "--rounds", "2", "--round-seconds", "0.02", "--threads", "1")


def bench_run(output: Path, *options: str, env: dict[str, str] = NO_PAGE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", "run", "--backends", BACKEND, "--output", str(output), *SMALL, *SHORT]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=300, check=False, env=env)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[Path, Report, str]:
    output = tmp_path_factory.mktemp("measured")
    done = bench_run(output, "--parity", env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return output, load_report(output), done.stdout


def test_a_report_holds_every_phase_of_a_run(measured):
    _, report, printed = measured
    (run,) = report.runs
    assert (run.backend, run.device, run.loop, run.status, run.error) == (BACKEND, "cpu", "fit", "ok", None)
    assert run.compile_mode == {"jax": "xla", "torch": "eager", "tensorflow": "graph"}[BACKEND]
    phases = ("import_s", "data_s", "build_s", "first_step_s", "train_s", "evaluate_s", "predict_s")
    assert all(getattr(run, phase) > 0 for phase in phases)
    assert len(run.step_time_ms) == len(run.fit_setup_ms) == 2
    assert run.steps_per_round >= 1
    assert len(run.train_rmse) == 2
    assert run.peak_rss_mib > 50
    assert report.software.packages["keras"]
    assert BACKEND in printed
    assert str(measured[0]) in printed


def test_a_page_lies_beside_a_report_where_it_can_be_drawn(measured):
    output, _, _ = measured
    pytest.importorskip("altair")
    assert "<html" in (output / "report.html").read_text()


def test_the_first_process_compiles_and_the_next_finds_what_it_left(tmp_path):
    compiled = "native" if BACKEND == "tensorflow" else "fit"
    for processes in (2, 1):  # a report begun again begins cold
        count = ("--processes", str(processes))
        done = bench_run(tmp_path / "r", "--loops", compiled, *count, "--no-parity", "--overwrite")
        assert done.returncode == 0, done.stdout + done.stderr
        report = load_report(tmp_path / "r")
        eager = report.runs[0].compile_mode == "eager"
        expected = [None, None] if eager else ["cold", "warm"]
        assert [run.compile_cache for run in report.runs] == expected[:processes]
        assert report.runs[0].test_rmse == pytest.approx(report.runs[-1].test_rmse, abs=1e-4)
        (row,) = report.first_steps
        warm = expected[:processes].count("warm")
        assert (row.cold_processes, row.warm_processes) == (processes - warm, warm)
        assert ("with compiled code from an earlier process" in done.stdout) == bool(warm)
        assert not list((tmp_path / "r").glob("**/*-cache"))  # compiled code is no part of a report


def test_a_worker_measures_the_limits_of_its_device(measured):
    _, report, printed = measured
    (run,) = report.runs
    assert 0.1 < run.matrix_gflop_s < 1e6
    assert 0.1 < run.memory_gb_s < 1e5
    assert run.launch_us is None
    train = split_ratings(load_dataset("synthetic:60x50x6000"), report.workload.split).train
    starts = range(0, len(train) // 500 * 500, 500)
    batches = [train.take(slice(start, start + 500)) for start in starts]
    assert run.touched_rows == pytest.approx(
        np.mean([len(set(batch.user_id)) + len(set(batch.movie_id)) for batch in batches])
    )
    (floor,) = report.floors
    assert 0 < floor.floor_ms == floor.best_floor_ms
    assert floor.times_floor > 1
    assert f" {floor.times_best_floor:.3g}" in printed


def test_the_stored_predictions_give_the_reported_rmse(measured):
    output, report, _ = measured
    (run,) = report.runs
    with np.load(output / "predictions.npz") as stored:
        last = stored[f"{BACKEND}/cpu/fit/p0/s0/epoch 2"]
    test = split_ratings(load_dataset("synthetic:60x50x6000"), report.workload.split).test
    assert np.sqrt(np.mean((last - test.label) ** 2, dtype=np.float64)) == pytest.approx(run.test_rmse, rel=1e-5)


def test_the_backend_agrees_with_the_oracle_at_every_stage(measured):
    _, report, _ = measured
    kinds = list(dict.fromkeys(group_of(result.stage) for result in report.parity))
    assert kinds[:4] == ["forward", "loss", "gradient", "probe"]
    assert {"accumulators 1", "weights 1", "epoch 1", "epoch 2", "training rmse", "rmse", "ranking tau"} <= set(kinds)
    assert {result.b for result in report.parity} == {"oracle"}
    known = {result.known for result in report.parity if result.verdict == "outside"}
    assert known == ({"tensorflow-indexed-slices"} if BACKEND == "tensorflow" else set())
    assert 0 < report.parity[0].rms < 1e-6


def test_a_worker_has_its_backend_and_no_other(tmp_path):
    code = (
        "import sys, bench.worker.backend as w; w.import_backend(sys.argv[1], 'cpu', 1); import bench.worker.session;"
        "print([n for n in ('jax', 'torch', 'tensorflow', 'tensorflow_datasets') if sys.modules.get(n)])"
    )
    from bench.system.environment import worker_environment

    done = subprocess.run(
        [sys.executable, "-c", code, BACKEND],
        env=worker_environment(BACKEND, "cpu", 1),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1] == str([BACKEND])


def test_a_worker_is_held_to_the_threads_it_was_given(measured):
    _, report, _ = measured
    assert report.runs[0].threads in (1, None)
    assert report.settings.threads == 1


def test_training_that_diverges_is_a_failed_run_with_advice(tmp_path):
    done = bench_run(tmp_path / "nan", "--learning-rate", "1e30", "--no-parity")
    assert done.returncode == 3
    (run,) = load_report(tmp_path / "nan").runs
    assert run.status == "failed"
    assert "lower learning rate" in run.error
    assert "lower learning rate" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_missing_gpu_is_skipped_with_a_reason(tmp_path):
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")
    done = bench_run(tmp_path / "gpu", "--devices", "gpu", "--no-parity")
    assert done.returncode == 3
    (run,) = load_report(tmp_path / "gpu").runs
    assert run.status == "skipped"
    assert "no gpu" in run.error


def test_a_backend_that_is_not_installed_is_skipped_with_how_to_install_it(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'bench.worker' in ' '.join(sys.orig_argv): sys.modules['{BACKEND}'] = None\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[3]}"}
    command = [
        sys.executable,
        "-m",
        "bench",
        "run",
        "--backends",
        BACKEND,
        "--output",
        str(tmp_path / "r"),
        *SMALL,
        *SHORT,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 3
    assert f"{BACKEND} is not installed: {install_hint(extra_of(BACKEND))}" in load_report(tmp_path / "r").runs[0].error
    assert f"{BACKEND} is not installed: pip install" in " ".join(done.stdout.split())
    assert load_report(tmp_path / "r").runs[0].status == "skipped"


@pytest.mark.one_backend
def test_a_worker_killed_while_training_is_recorded_as_killed(tmp_path):
    command = [sys.executable, "-m", "bench", "run", "--backends", BACKEND, "--output", str(tmp_path / "r")]
    long = ["--dataset", "synthetic:60x50x6000", "--batch-size", "500", "--epochs", "100000", "--processes", "1"]
    with subprocess.Popen(
        [*command, *long, "--seeds", "1", "--no-parity"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=NO_PAGE
    ) as supervisor:
        worker = _worker_of(supervisor.pid, tmp_path / "r")
        worker.send_signal(signal.SIGKILL)
        assert supervisor.wait(60) == 3
    (run,) = load_report(tmp_path / "r").runs
    assert run.status == "killed"
    assert run.import_s > 0


def _worker_of(supervisor: int, output: Path) -> psutil.Process:
    """Waits until the worker has answered once, so that it is in the middle of its training."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            runs = json.loads((output / "report.json").read_text())["runs"]
            if runs and runs[0]["first_step_s"]:
                return next(p for p in psutil.Process(supervisor).children() if "bench.worker" in " ".join(p.cmdline()))
        except (FileNotFoundError, psutil.NoSuchProcess):
            pass
        time.sleep(0.1)
    raise AssertionError("the worker never got ready")


def test_the_reported_parity_follows_from_the_files_alone(measured):
    command = [sys.executable, "-m", "bench", "parity", str(measured[0]), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    judged = {(result["a"], result["stage"]): result["verdict"] for result in json.loads(done.stdout)["results"]}
    assert judged == {(result.a, result.stage): result.verdict for result in measured[1].parity}
