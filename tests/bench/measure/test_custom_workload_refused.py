"""Workloads of one's own that are refused before a worker is started."""

from __future__ import annotations

import os

import pytest

from bench.commands.cli import main
from bench.errors import BenchError
from bench.measure.custom_workload import absolute_target
from bench.schema.workload import Arrays, Workload

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--loops", "fit,native"), "native is the built-in model"),
        (("--dataset", "1m"), "--dataset"),
        (("--epochs", "3", "--batch-size", "7"), "--batch-size, --epochs"),
        (("--target-rmse", "0.3"), "--target-rmse"),
    ],
)
def test_what_only_the_built_in_workload_has_is_refused(tmp_path, capsys, options, word) -> None:
    code = main(["run", "--workload", "m:o", "--backends", BACKEND, "--output", str(tmp_path / "r"), *options])
    assert code == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("target", ["nothing", "module:", "module:two words", "absent.py:workload"])
def test_a_target_must_name_a_module_or_file_and_an_object(target) -> None:
    with pytest.raises(BenchError, match=f"--workload {target}"):
        absolute_target(target)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"metric": ""}, "metric"),
        ({"better": "more"}, "better"),
        ({"target": float("nan")}, "target"),
    ],
)
def test_a_workload_refuses_what_means_nothing(change, word) -> None:
    fields = {"name": "w", "build": lambda seed: None, "arrays": lambda: Arrays(0, 0, 0, 0), "metric": "mae"}
    with pytest.raises(ValueError, match=word):
        Workload(**{**fields, "batch_size": 1, "epochs": 1, **change})
