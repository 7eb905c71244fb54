"""The judgement of workloads of one's own, on trainings that differ by a known amount."""

from __future__ import annotations

import numpy as np
import pytest

from bench.parity.backend_oracle import reference_of
from bench.parity.divergence import divergences
from bench.parity.judge import judge
from bench.parity.rules import BackendRules
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.trainings import Place, References, Trajectory
from bench.schema.cell import Cell
from bench.schema.parity import Divergence, ParityResult

pytestmark = pytest.mark.backend_free

JAX, TORCH = Place("jax", "cpu"), Place("torch", "cpu")
FIT, FUSED = Place("tensorflow", "cpu"), Place("tensorflow", "cpu", "fused")
EXAMPLES = {"training accuracy": 400, "test accuracy": 100}
ROUNDING = 1e-7
KEPT, TABLE = "optimizer 1/adagrad/table_accumulator", "weights 1/table"


def described(tables: tuple[str, ...] = ()) -> BackendRules:
    return BackendRules(tables=tables, units=["dense/bias[0]", "dense/bias[1]"])


def judged(
    found: list[Trajectory], references: References, rules: BackendRules
) -> tuple[list[ParityResult], list[Divergence]]:
    sides = rules.sides(found, references)
    return judge(sides, rules), divergences(sides, rules)


def exact_values() -> Values:
    rng = np.random.default_rng(0)
    shapes = {
        "forward": (100, 3),
        "loss": (1,),
        "gradient/kernel": (5, 10),
        KEPT: (20, 4),
        TABLE: (20, 4),
        "epoch 1": (100, 3),
    }
    values = {stage: rng.normal(size=shape) for stage, shape in shapes.items()}
    return {
        **values,
        BIAS_TRACE: rng.normal(size=(10, 2)),
        "training accuracy": np.array([0.8]),
        "test accuracy": np.array([0.93]),
    }


def rounded(values: Values, seed: int) -> Values:
    """Float32 rounding as every correct training has it; what counts examples is not touched."""
    rng = np.random.default_rng(seed)
    return {
        stage: array if "accuracy" in stage else array * (1 + ROUNDING * rng.normal(size=array.shape))
        for stage, array in values.items()
    }


def shifted(values: Values, stage: str, by: float) -> Values:
    return {**values, stage: values[stage] + by}


def trained(where: Place, values: Values, process: int = 0, loop: str = "fit") -> Trajectory:
    return Trajectory(Cell(backend=where.backend, device="cpu", loop=loop), seed=0, process=process, values=values)


def reference(where: Place, exact: Values | None, around: Values):
    copies = [rounded(around, 100 + seed) for seed in range(6)]
    return reference_of(exact, None if exact is not None else rounded(around, 99), copies, EXAMPLES)


def references(*places: Place):
    return {(where, 0): reference(where, exact_values(), exact_values()) for where in places}


def outside(results: list[ParityResult]) -> set[tuple[str, str, str]]:
    return {(row.a.split("/")[0], row.b.split("/")[0], row.stage) for row in results if row.verdict == "outside"}


def test_correct_trainings_are_within_whatever_their_rounding() -> None:
    for seed in range(20):
        found = [trained(JAX, rounded(exact_values(), seed)), trained(TORCH, rounded(exact_values(), 50 + seed))]
        results, parted = judged(found, references(JAX, TORCH), described())
        assert not outside(results)
        assert len(results) == 3 * 8
        assert all(divergence.step is None for divergence in parted)


@pytest.mark.parametrize("stage", ["forward", "loss", "gradient/kernel", KEPT, TABLE, "epoch 1"])
def test_a_fault_of_some_millionths_is_found_at_its_stage_and_named_after_its_backend(stage: str) -> None:
    wrong = shifted(rounded(exact_values(), 1), stage, 1e-5)
    found = [trained(JAX, rounded(exact_values(), 2)), trained(TORCH, wrong)]
    results, _ = judged(found, references(JAX, TORCH), described())
    assert outside(results) == {("torch", "oracle", stage), ("jax", "torch", stage)}


def test_a_metric_that_counts_examples_moves_by_some_of_them() -> None:
    def outside_at(accuracy: float) -> set[tuple[str, str, str]]:
        values = {**rounded(exact_values(), 1), "test accuracy": np.array([accuracy])}
        return outside(judged([trained(JAX, values)], references(JAX), described())[0])

    assert outside_at(0.94) == set()
    assert outside_at(0.5) == {("jax", "oracle", "test accuracy")}


def test_copies_that_scatter_over_decades_excuse_no_more_than_ten_times_the_largest() -> None:
    exact = exact_values()
    apart = [1e-7, 1e-7, 1e-7, 1e-4, 1e-4, 1e-4]
    copies = [shifted(rounded(exact, 100 + seed), "epoch 1", by) for seed, by in enumerate(apart)]
    of_copies = {(JAX, 0): reference_of(exact, None, copies, EXAMPLES)}
    for by, expected in ((9e-4, set()), (1.1e-3, {("jax", "oracle", "epoch 1")})):
        values = shifted(rounded(exact, 1), "epoch 1", by)
        assert outside(judged([trained(JAX, values)], of_copies, described())[0]) == expected


def test_numbers_that_are_not_finite_are_outside() -> None:
    values = shifted(rounded(exact_values(), 1), "epoch 1", np.nan)
    results, _ = judged([trained(JAX, values)], references(JAX), described())
    (row,) = [row for row in results if row.verdict == "outside"]
    assert (row.stage, row.rms) == ("epoch 1", None)


def test_without_an_oracle_pairs_alone_are_judged_and_only_where_copies_differ() -> None:
    around = exact_values()
    without = {(where, 0): reference(where, None, around) for where in (JAX, TORCH)}
    found = [trained(JAX, rounded(around, 1)), trained(TORCH, shifted(rounded(around, 2), "epoch 1", 1e-4))]
    results, parted = judged(found, without, described())
    assert {row.b for row in results} == {"torch/cpu/fit"}
    assert outside(results) == {("jax", "torch", "epoch 1")}
    # Copies of the metrics were equal in bits, so nothing is known of their rounding.
    assert not {"test accuracy", "training accuracy"} & {row.stage for row in results}
    assert parted == []


def test_tensorflows_tables_are_a_known_deviation_and_hide_nothing_else() -> None:
    other = shifted(shifted(exact_values(), TABLE, 1e-3), KEPT, 1e-3)
    of_table = described(("table",))
    known = {(JAX, 0): references(JAX)[JAX, 0], (FIT, 0): reference(FIT, other, other)}
    exact, deviating = trained(JAX, rounded(exact_values(), 1)), trained(FIT, rounded(other, 2))

    def found(pair: list[Trajectory], workload: BackendRules) -> list[tuple[str, str | None]]:
        return [(row.stage, row.known) for row in judged(pair, known, workload)[0] if row.verdict == "outside"]

    name = "tensorflow-indexed-slices"
    assert found([exact, deviating], of_table) == [(KEPT, name), (TABLE, name)]
    # Further from its own oracle: no deviation of Keras's.
    further = trained(FIT, shifted(rounded(other, 2), TABLE, 1e-3))
    assert found([exact, further], of_table) == [(TABLE, None), (KEPT, name), (TABLE, None)]
    # Without tables, and where the gradients of the oracles differ too, it is another model.
    assert found([exact, deviating], described()) == [(KEPT, None), (TABLE, None)]
    other = shifted(other, "gradient/kernel", 1e-3)
    known[FIT, 0] = reference(FIT, other, other)
    assert {name for _, name in found([exact, trained(FIT, rounded(other, 2))], of_table)} == {None}


def test_fused_has_an_oracle_of_its_own_where_keras_updates_tables_otherwise() -> None:
    fit = Cell(backend="tensorflow", device="cpu", loop="fit")
    fused = Cell(backend="tensorflow", device="cpu", loop="fused")
    assert Place.of(fused, ["table"]) == FUSED
    assert Place.of(fused, []) == Place.of(fit, ["table"]) == FIT
    assert Place.of(Cell(backend="jax", device="cpu", loop="fused"), ["table"]) == JAX
    assert str(FUSED) == "tensorflow/cpu/fused"


def test_where_two_trainings_part_is_told_with_the_unit() -> None:
    values = rounded(exact_values(), 1)
    values[BIAS_TRACE] = values[BIAS_TRACE] + np.where(np.arange(10)[:, None] >= 3, [0.0, 1e-2], 0.0)
    _, parted = judged([trained(JAX, values)], references(JAX), described())
    (found,) = parted
    assert (found.a, found.b, found.step, found.unit) == ("jax/cpu/fit", "oracle", 4, "dense/bias[1]")


def test_a_training_without_a_reference_is_not_judged() -> None:
    found = [trained(JAX, rounded(exact_values(), 1)), trained(TORCH, rounded(exact_values(), 2))]
    results, _ = judged(found, references(JAX), described())
    assert {row.a for row in results} == {"jax/cpu/fit"}
    assert judged(found, {}, described()) == ([], [])
