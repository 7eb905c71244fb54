"""Reports that do not belong together, or are not what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.parity.stored import references_of
from bench.report.file import load_report
from bench.report.predictions import NamedReport, load_arrays, save_predictions
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings

pytestmark = pytest.mark.backend_free

SLICES = "tensorflow-indexed-slices"
DATASET = load_dataset("synthetic:60x90x3600")
SPLIT = split_ratings(DATASET, "0.72:1")
JAX, TORCH = {"cell": "jax/cpu/fit"}, {"cell": "torch/cpu/fit"}


def change_report(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes `report.json` as a person with an editor would."""
    file = directory / "report.json"
    report = json.loads(file.read_text())
    change(report)
    file.write_text(json.dumps(report))


def change_predictions(directory: Path, key: str, change: Callable[[np.ndarray], None]) -> None:
    arrays = load_arrays(directory / "predictions.npz")
    change(arrays[key])
    save_predictions(arrays, directory)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sha256", "ab" * 32, f"sha256 of the dataset {DATASET.sha256[:12]}… and abababababab…"),
        ("split", "0.8:1", "split 0.72:1 and 0.8:1"),
        ("learning_rate", 0.2, "learning rate 0.1 and 0.2"),
        ("num_users", 61, "num users 60 and 61"),
    ],
)
def test_different_workloads_are_refused_with_what_differs(
    write: Any, parity: Any, field: str, value: object, words: str
) -> None:
    said = parity(write("a", JAX), write("b", TORCH, **{field: value}))
    assert (said.code, said.out) == (2, "")
    assert said.err == f"bench: a and b have different workloads: {words}; measure both with the same\n"


def test_the_same_ratings_from_another_source_are_the_same_workload(write: Any, parity: Any) -> None:
    assert parity(write("a", JAX), write("b", TORCH, source="wheel")).code == 0


def test_own_initial_weights_are_refused(write: Any, parity: Any) -> None:
    said = parity(write("a", JAX, init="backend"))
    assert said.code == 2
    assert "a was measured with each backend's own initial weights" in said.err


def test_a_report_without_references_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    change_report(directory, lambda report: report.update(envelopes=[]))
    said = parity(directory)
    assert said.code == 2
    assert "a stores no references to judge by" in said.err


def test_a_report_without_predictions_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    (directory / "predictions.npz").unlink()
    said = parity(write("b", TORCH), directory)
    assert said.code == 2
    assert said.err.startswith("bench: a has no predictions.npz")


def test_predictions_of_an_older_version_are_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    arrays = load_arrays(directory / "predictions.npz")
    save_predictions({key: array for key, array in arrays.items() if key.startswith("jax")}, directory)
    said = parity(directory)
    assert said.code == 2
    assert said.err == "bench: a: predictions.npz lacks 'oracle/s0/epoch 2'; measure the report again\n"


def test_a_changed_test_rmse_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    rmse = load_report(directory).runs[0].test_rmse
    change_report(directory, lambda report: report["runs"][0].update(test_rmse=rmse - 1e-5))
    said = parity(directory, write("b", TORCH))
    assert said.code == 2
    assert said.err == (
        f"bench: a records test RMSE {rmse - 1e-5:.7f} for jax/cpu/fit process 0, seed 0, and its predictions give "
        f"{rmse:.7f}; the report was changed or is damaged, or another version judged it\n"
    )


@pytest.mark.parametrize("stage", ["forward", "gradient/kernel2", "accumulators 1/bias2", "epoch 1"])
def test_one_changed_number_among_the_predictions_is_refused(write: Any, parity: Any, stage: str) -> None:
    directory = write("a", JAX)

    def change(array: np.ndarray) -> None:
        array.flat[3] += 1e-4

    change_predictions(directory, f"jax/cpu/fit/p0/s0/{stage}", change)
    said = parity(directory)
    assert said.code == 2
    assert f"for jax/cpu/fit and oracle at {stage}, and its predictions give rms" in said.err


@pytest.mark.parametrize("stage", ["weights 1/kernel1", "rmse", "ranking tau", "ranking top-10"])
@pytest.mark.parametrize("change", [{"rms": 0.5}, {"verdict": "outside"}, {"known": SLICES}], ids=str)
def test_a_changed_record_of_parity_is_refused(write: Any, parity: Any, stage: str, change: dict[str, Any]) -> None:
    directory = write("a", JAX)
    change_report(directory, lambda report: next(r for r in report["parity"] if r["stage"] == stage).update(change))
    said = parity(directory)
    assert said.code == 2
    assert f"at {stage}, and its predictions give" in said.err
    assert said.err.endswith("the report was changed or is damaged, or another version judged it\n")


def test_a_record_of_parity_that_was_taken_out_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    change_report(directory, lambda report: report["parity"].pop())
    said = parity(directory)
    assert said.code == 2
    assert "a records no parity of jax/cpu/fit and oracle at ranking top-10" in said.err


def test_an_envelope_that_lacks_a_stage_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    change_report(directory, lambda report: report["envelopes"][0]["stages"].pop(0))
    said = parity(directory)
    assert said.code == 2
    assert "a has no rounding envelope for stage 'forward'" in said.err


def test_reports_whose_oracles_differ_are_refused(write: Any, parity: Any) -> None:
    directory = write("b", TORCH)
    change_predictions(directory, "oracle/s0/epoch 1", lambda array: array.__iadd__(np.float32(1e-5)))
    said = parity(write("a", JAX), directory)
    assert said.code == 2
    assert "the float64 oracles stored in a and b differ (seed 0, epoch 1)" in said.err


def test_oracles_that_another_processor_rounded_the_other_way_are_the_same(write: Any) -> None:
    a, b = (
        NamedReport(path.name, load_report(path), load_arrays(path / "predictions.npz"))
        for path in (write("a", JAX), write("b", TORCH))
    )
    oracle = b.arrays["oracle/s0/epoch 2"]
    oracle[::50] = np.nextafter(oracle[::50], np.float32(2))
    _, common = references_of([a, b], SPLIT).together
    assert np.array_equal(common[None, 0].oracle["epoch 2"], a.arrays["oracle/s0/epoch 2"])


def test_reports_of_other_ratings_than_the_prepared_ones_are_refused(write: Any, parity: Any) -> None:
    said = parity(write("a", JAX, sha256="f" * 64))
    assert said.code == 2
    assert "were measured on other ratings than this cache has" in said.err


def test_a_report_given_twice_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    said = parity(directory, directory / "report.json")
    assert said.code == 2
    assert "was given 2 times" in said.err
