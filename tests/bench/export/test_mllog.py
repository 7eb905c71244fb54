from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.commands.cli import main
from bench.report.file import load_report

pytestmark = pytest.mark.backend_free

# Of mlcommons/logging's mllog/constants.py.
KEYS = {
    *("init_start", "init_stop", "run_start", "run_stop", "block_start", "block_stop", "eval_start", "eval_stop"),
    *("eval_accuracy", "submission_benchmark", "submission_platform", "seed", "global_batch_size", "opt_name"),
    *("opt_base_learning_rate", "train_samples", "eval_samples"),
}


def lines(text: str) -> list[dict[str, Any]]:
    """Reads lines as mlperf_logging's parser does, and checks what it and its rules want of each."""
    found = []
    for line in text.splitlines():
        assert line.startswith(":::MLLOG ")
        event = json.loads(line.removeprefix(":::MLLOG "))
        assert event.keys() == {"namespace", "time_ms", "event_type", "key", "value", "metadata"}
        assert event["key"] in KEYS
        assert isinstance(event["time_ms"], int)
        found.append(event)
    assert [event["time_ms"] for event in found] == sorted(event["time_ms"] for event in found)
    return found


def test_a_run_has_mlperf_s_events_with_the_times_between_them(real: Path, tmp_path: Path) -> None:
    assert main(["export", str(real), "--to", "mllog", "-o", str(tmp_path / "out")]) == 0
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.txt"))
    assert len(files) == 45
    events = lines((tmp_path / "out" / "jax-cpu-fit" / "result_0.txt").read_text())
    at = {event["key"]: event["time_ms"] for event in events}
    assert len(at) == len(events)
    assert at.keys() == KEYS
    run = load_report(real).runs[0]
    assert run.train_s is not None
    assert run.evaluate_s is not None
    assert at["block_stop"] - at["run_start"] == pytest.approx(1e3 * run.train_s, abs=1)
    assert at["run_stop"] - at["run_start"] == pytest.approx(1e3 * (run.train_s + run.evaluate_s), abs=1)
    values = {event["key"]: event["value"] for event in events}
    assert (values["global_batch_size"], values["opt_base_learning_rate"]) == (1000, 0.1)
    assert values["eval_accuracy"] == run.test_rmse
    assert events[-1]["metadata"] == {"status": "success"}


def test_events_of_unknown_time_are_left_out(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(broken), "--to", "mllog"]) == 0
    text = capsys.readouterr().out
    by_run: dict[str, list[str]] = {}
    for line in text.splitlines():
        event = json.loads(line.removeprefix(":::MLLOG "))
        by_run.setdefault(event["namespace"], []).append(event["key"])
    assert by_run.keys() == {
        *("jax/cpu/fit/0", "jax/cpu/fit/1", "torch/cpu/fit/0", "torch/cpu/fit/1", "torch/cpu/fit/2"),
        "tensorflow/cpu/fit/0",
    }
    assert set(by_run["jax/cpu/fit/0"]) == KEYS
    assert by_run["jax/cpu/fit/1"][-1] == "init_stop"
    for name in ("torch/cpu/fit/2", "tensorflow/cpu/fit/0"):
        assert not {"init_stop", "run_start", "run_stop", "eval_accuracy"} & set(by_run[name])
