from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.commands.cli import main
from bench.report.file import load_report
from movierank.install_hint import install_hint

pytestmark = pytest.mark.backend_free

READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("mine")
runs = client.search_runs([experiment.experiment_id], max_results=1000)
print("READ", json.dumps([
    {
        "name": run.info.run_name, "status": run.info.status, "start": run.info.start_time, "id": run.info.run_id,
        "params": run.data.params, "metrics": run.data.metrics, "tags": run.data.tags,
        "train_rmse": [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train_rmse")],
        "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
    }
    for run in runs
]))
"""


def python(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # pytest's own path to the checkout: the process starts in a folder where MLflow may leave its files.
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


# Looked for, not imported: MLflow imports frameworks where it finds them.
needs_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed")


@needs_mlflow
def test_mlflow_finds_a_run_a_worker_below_a_run_a_report(broken: Path, tmp_path: Path) -> None:
    (broken / "report.html").write_text("<!doctype html>")
    store = "sqlite:///mlflow.db"
    options = ("--to", "mlflow", "--tracking-uri", store, "--experiment", "mine")
    done = python(tmp_path, "-m", "bench", "export", broken, *options)
    assert done.returncode == 0, done.stderr
    assert "logged 7 runs to experiment mine" in done.stderr
    done = python(tmp_path, "-c", READ, store)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("READ ")] or [done.stderr]
    runs: dict[str, dict[str, Any]] = {run["name"]: run for run in json.loads(line.removeprefix("READ "))}
    assert len(runs) == 7
    parent = runs["broken"]
    assert sorted(parent["artifacts"]) == ["report.html", "report.json"]
    assert parent["params"]["workload.batch_size"] == "1000"
    assert parent["params"]["version.keras"] == "3.15.1"
    assert parent["metrics"]["torch/cpu/fit/step_time_ms"] == pytest.approx(3.05)
    assert not [name for name in parent["metrics"] if name.startswith("tensorflow")]
    whole, lost, late = (runs[name] for name in ("jax/cpu/fit 0", "jax/cpu/fit 1", "torch/cpu/fit 2"))
    assert {run["tags"].get("mlflow.parentRunId") for run in (whole, lost, late)} == {parent["id"]}
    expected = load_report(broken).runs[0]
    assert whole["train_rmse"] == [[n, value] for n, value in enumerate(expected.train_rmse, start=1)]
    assert whole["metrics"]["step_time_ms_median"] == pytest.approx(0.8)
    assert "test_rmse" not in lost["metrics"]
    assert (late["status"], late["metrics"], late["tags"]["error"]) == ("FAILED", {}, "no answer in 120 s")
    assert whole["start"] == 1764017400000  # the report's beginning


@needs_mlflow
def test_a_store_that_mlflow_refuses_is_a_line(broken: Path, tmp_path: Path) -> None:
    done = python(tmp_path, "-m", "bench", "export", broken, "--to", "mlflow", "--tracking-uri", "nonsense://x")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: MLflow: ")
    assert len(done.stderr.splitlines()) == 1


def test_without_mlflow_the_extra_to_install_is_named(
    real: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["export", str(real), "--to", "mlflow"]) == 2
    assert install_hint("mlflow") in capsys.readouterr().err
