"""The scripts behind docs/deviations.md must still print the differences in it, under the current backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "reproductions"
SCRIPTS = (
    "shuffled_orders",  # first, since it needs a process in which no seed was set
    "adagrad_repeated_ids",
    "adagrad_arithmetic",
    "float32_arithmetic",
    "indexed_slices_union",
    "initialisers",
    "metrics_and_batches",
    "moving_averages",
    "out_of_range_ids",
    "repeatability",
)

# One process for all: the import of a framework takes longer than the scripts.
RUN_ALL = """
import pathlib, runpy, sys
import keras
print("backend =", keras.backend.backend())
for path in sys.argv[1:]:
    print("script =", pathlib.Path(path).stem, flush=True)
    runpy.run_path(path, run_name="__main__")
"""


@dataclass(frozen=True)
class Measured:
    """The printed results, by script and by the words left of ` = `."""

    backend: str
    printed: Mapping[str, Mapping[str, str]]

    def number(self, script: str, name: str) -> float:
        """Return a printed number."""
        return float(self.printed[script][name])


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Run all scripts under this environment's backend and return their results."""
    command = [sys.executable, "-c", RUN_ALL, *(str(FOLDER / f"{script}.py") for script in SCRIPTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    backend, printed = "", {}
    for line in done.stdout.splitlines():
        name, separator, value = line.partition(" = ")
        if not separator:
            continue
        if name == "backend":
            backend = value
        elif name == "script":
            printed[value] = current = {}
        else:
            current[name] = value
    return Measured(backend, printed)


def test_adagrad_squares_repeated_ids_one_by_one_on_tensorflow_alone(measured: Measured) -> None:
    expected = 1.35 if measured.backend == "tensorflow" else 2.35
    accumulators = measured.printed["adagrad_repeated_ids"]
    assert len(accumulators) == (2 if measured.backend == "tensorflow" else 1)  # with and without XLA
    for accumulator in accumulators.values():
        assert float(accumulator) == pytest.approx(expected, abs=1e-4)


def test_a_nan_in_one_row_spoils_the_updates_of_other_rows_on_tensorflow_alone(measured: Measured) -> None:
    printed = measured.printed["indexed_slices_union"]
    cases = [name.removesuffix(", all finite") for name in printed if name.endswith(", all finite")]
    assert len(cases) == 4
    for case in cases:
        finite, with_nan = printed[f"{case}, all finite"], printed[f"{case}, NaN in row 0"]
        others_hold = with_nan.split()[0] == "nan" and with_nan.split()[1:] == finite.split()[1:]
        assert others_hold == (measured.backend != "tensorflow" or case.startswith("distinct ids")), case
        raises = measured.backend == "tensorflow" and case.startswith("numbers out of range")
        assert with_nan.startswith("InvalidArgumentError: indices[1] = 9 is not in [0, 5)") == raises


def test_epsilon_stands_inside_the_root(measured: Measured) -> None:
    share = measured.number("adagrad_arithmetic", "share of the rate that a gradient of 1e-4 moves")
    assert share == pytest.approx(0.3015, abs=2e-4)  # 1e-4 / sqrt(1e-8 + 1e-7)


def test_adagrad_leaves_rows_without_a_rating_alone_to_the_bit(measured: Measured) -> None:
    printed = measured.printed["adagrad_arithmetic"]
    assert printed["rows without a rating: bits unchanged"] == "True"
    assert printed["rows without a rating: accumulator still 0.1"] == "True"


def test_initial_weights_are_uniform_within_keras_limits(measured: Measured) -> None:
    printed = measured.printed["initialisers"]
    limits = {"Embedding(1683, 32)": "0.0500", "Dense 64 to 256": "0.1369", "Dense 256 to 64": "0.1369"}
    for layer, limit in limits.items():
        assert printed[f"{layer} beyond the float32 limit"] == "0"
        distance = float(printed[f"{layer} in limits of {limit}"].rpartition(" ")[2])
        assert distance < 1.95  # Kolmogorov-Smirnov: 1 in 1000 uniform samples


def test_torch_draws_of_neighbouring_seeds_overlap(measured: Measured) -> None:
    same = measured.printed["initialisers"]["the second draw of seed 1 is the first of seed 2"]
    assert same == str(measured.backend == "torch")


def test_with_averaged_weights_jax_alone_is_not_trained_again(measured: Measured) -> None:
    printed = measured.printed["moving_averages"]
    outcomes = printed["fit, then fit"], printed["fit, then predict, then reading the averages"]
    if measured.backend == "jax":
        assert outcomes[0].startswith("TypeError: 'NoneType' object is not callable")
        assert "deleted" in outcomes[1]
        return
    assert outcomes == ("fine", "fine")
    once, twice = (float(printed[name]) for name in ("a weight after one call of two epochs", "after two calls of one"))
    assert abs(once - twice) > 0.01  # a call ends with the averages in the weights' place


def test_losses_and_metrics_weigh_examples_not_batches_and_start_anew_each_epoch(measured: Measured) -> None:
    script = "metrics_and_batches"
    expected = measured.number(script, "loss, mean over examples")
    assert measured.number(script, "loss, mean over the means of batches") > 1.2 * expected
    for what in ("loss", "rmse squared"):
        for when in ("fit in epoch 1", "fit in epoch 2", "evaluate"):
            assert measured.number(script, f"{what}, {when}") == pytest.approx(expected, rel=2e-6), (what, when)
    printed = measured.printed[script]
    assert printed["losses of two epochs in one call and in two calls are the same bits"] == "True"
    assert printed["labels shaped [N, 1] after compiling anew"] == "loss +0"


def test_labels_of_another_rank_need_a_new_compile_on_tensorflow_alone(measured: Measured) -> None:
    outcome = measured.printed["metrics_and_batches"]["labels shaped [N, 1] after some shaped [N]"]
    expected = "Cannot take the length of shape with unknown rank." if measured.backend == "tensorflow" else "loss +0"
    assert outcome == expected


def test_the_weighted_loss_divides_by_examples_and_the_weighted_metric_by_weights(measured: Measured) -> None:
    script = "metrics_and_batches"
    by_examples = measured.number(script, "weighted, sum of w e / number of examples")
    by_weights = measured.number(script, "weighted, sum of w e / sum of w")
    assert abs(by_examples / by_weights - 1) > 1e-4
    assert measured.number(script, "weighted, loss of evaluate") == pytest.approx(by_examples, rel=2e-6)
    assert measured.number(script, "weighted, rmse squared of evaluate") == pytest.approx(by_weights, rel=2e-6)


def test_metrics_count_in_float32(measured: Measured) -> None:
    printed = measured.printed["metrics_and_batches"]
    assert printed["metric state"] == "float32 and float32"
    assert printed["examples counted in batches of 1 after 2^24 and one more"] == "2^24 + 0"


def test_ids_out_of_range_are_an_error_nan_or_the_nearest_row_by_backend(measured: Measured) -> None:
    printed = measured.printed["out_of_range_ids"]
    expected = {
        "jax": {"auto": ("predicts 1 nan", "loss nan, changes rows 1")},
        "torch": {"auto": ("raises IndexError", "raises IndexError")},
        "tensorflow": {
            "False": ("raises InvalidArgumentError", "raises InvalidArgumentError"),
            "True": ("predicts 1 4", "loss 44.5, changes rows 1"),
        },
    }
    for mode, (predicted, fitted) in expected[measured.backend].items():
        assert printed[f"id 5 of 5 rows, jit_compile={mode}, predict"] == predicted
        assert printed[f"id 5 of 5 rows, jit_compile={mode}, fit"] == fitted
        assert printed[f"id -1, jit_compile={mode}, predict"] == "predicts 1 4"
        assert printed[f"float id 2.9, jit_compile={mode}, predict"] == "predicts 1 2"


def test_jax_takes_an_int64_id_modulo_two_to_the_32(measured: Measured) -> None:
    printed = measured.printed["out_of_range_ids"]
    mode = "False" if measured.backend == "tensorflow" else "auto"
    predicted = printed[f"int64 id 2^32 + 2, jit_compile={mode}, predict"]
    assert predicted == "predicts 1 2" if measured.backend == "jax" else predicted.startswith("raises")


def test_training_on_the_cpu_repeats_itself_to_the_bit(measured: Measured) -> None:
    assert measured.printed["repeatability"]["two trainings from the same weights end in the same bits"] == "True"


@pytest.mark.parametrize("calls", ["one call of fit", "four calls"])
def test_after_a_seed_tensorflow_alone_shuffles_every_epoch_alike(measured: Measured, calls: str) -> None:
    printed = measured.printed["shuffled_orders"]
    orders = {seed: printed[f"seed {seed}, orders of 4 epochs in {calls}"].split() for seed in (None, 0)}
    assert all(sorted(order) == list("123456789") for of_seed in orders.values() for order in of_seed)
    assert len(set(orders[None])) > 1
    assert (len(set(orders[0])) == 1) == (measured.backend == "tensorflow")


def test_relu_has_slope_0_at_0_and_only_jax_compiles_on_the_cpu_unasked(measured: Measured) -> None:
    printed = measured.printed["float32_arithmetic"]
    assert printed["slope of relu at 0"] == "0"
    assert printed["jit_compile auto becomes"] == str(measured.backend == "jax")
