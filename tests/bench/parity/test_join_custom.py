"""`bench parity` of reports of a workload of one's own that were measured apart, from files on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench import judge_parity
from bench.commands.cli import main
from bench.parity.backend_oracle import reference_of
from bench.parity.judge import judge
from bench.parity.rules import BackendRules
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.stored import to_arrays
from bench.parity.trainings import Place, Reference, envelopes_of, trajectories
from bench.report.file import load_report, save_report
from bench.report.predictions import key_of, save_predictions
from bench.schema.messages import Described
from bench.schema.parity import ORACLE
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]
Write = Callable[..., Path]

KEPT, TABLE = "optimizer 1/adagrad/table_accumulator", "weights 1/table"
SHAPES = {
    "forward": (50, 3),
    "loss": (1,),
    "gradient/table": (20, 4),
    KEPT: (20, 4),
    TABLE: (20, 4),
    "weights 1/dense/bias": (2,),
    "epoch 1": (50, 3),
}
DESCRIBED = Described(
    name="mine", metric="mae", better="lower", batch_size=10, epochs=1, sha256="aa" * 32, model_sha256="bb" * 32,
    weights_sha256="cc" * 32, num_train=400, num_test=50, outputs=3, parameters=82, learning_rate=0.1,
    optimizer="Adagrad", tables=["table"], random=[], traced=["dense/bias[0]", "dense/bias[1]"],
)  # fmt: skip


def exact_values(other_tables: float = 0.0) -> Values:
    """What float64 gives; `other_tables` is what TensorFlow's way to update them differs by."""
    rng = np.random.default_rng(0)
    values: Values = {stage: rng.normal(size=shape) for stage, shape in SHAPES.items()}
    for stage in (KEPT, TABLE):
        values[stage] = values[stage] + other_tables
    return {
        **values,
        BIAS_TRACE: rng.normal(size=(10, 2)),
        "training mae": np.array([0.3]),
        "test mae": np.array([0.4]),
    }


def rounded(values: Values, seed: int) -> Values:
    rng = np.random.default_rng(seed)
    return {
        stage: (array * (1 + 1e-7 * rng.normal(size=array.shape))).astype(np.float32) for stage, array in values.items()
    }


def reference(other_tables: float) -> Reference:
    exact = exact_values(other_tables)
    return reference_of(exact, None, [rounded(exact, 90 + n) for n in range(6)], {})


@pytest.fixture
def write(tmp_path: Path, make_report: MakeReport) -> Write:
    """Writes a report of one backend, and returns its directory."""

    def to(
        name: str, backend: str, *, wrong: tuple[str, float] | None = None, other_tables: float = 0.0, **workload: Any
    ) -> Path:
        template = make_report({"jax": (1.0,)})
        exact = exact_values(other_tables)
        values = rounded(exact, len(name) + sum(backend.encode()))
        if wrong is not None:
            values[wrong[0]] = values[wrong[0]] + np.float32(wrong[1])
        run = msgspec.structs.replace(
            template.runs[0], backend=backend, train_rmse=[], test_rmse=None, train_metric=[0.3],
            test_metric=float(values["test mae"][0]),
        )  # fmt: skip
        arrays = {key_of(run, stage): array for stage, array in values.items()}
        known = {(Place(backend, "cpu"), 0): reference(other_tables)}
        rules = BackendRules(tables=DESCRIBED.tables, units=DESCRIBED.traced)
        sides = rules.sides(trajectories(msgspec.structs.replace(template, runs=[run]), arrays), known)
        of_own = {
            **{"dataset": "mine", "source": "own", "workload": "module:mine", "metric": "mae", "epochs": 1},
            **{"sha256": DESCRIBED.sha256, "model_sha256": DESCRIBED.model_sha256, "tables": DESCRIBED.tables},
            **{"weights_sha256": DESCRIBED.weights_sha256},
        }
        report = msgspec.structs.replace(
            template,
            runs=[run],
            workload=msgspec.structs.replace(template.workload, **of_own | workload),
            parity=judge(sides, rules),
            envelopes=envelopes_of(known),
        )
        directory = tmp_path / name
        directory.mkdir()
        save_report(report, directory)
        save_predictions(arrays | to_arrays(known), directory)
        return directory

    return to


def parity(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, str, str]:
    code = main(["parity", *map(str, paths)])
    printed = capsys.readouterr()
    return code, " ".join(printed.out.split()), printed.err


def test_two_backends_measured_apart_are_the_same_model(write: Write, capsys) -> None:
    code, said, _ = parity(capsys, write("a", "jax"), write("b", "torch"))
    assert code == 0
    assert "jax and torch are the same model at all" in said
    assert "with each other and with the oracle, within rounding" in said


def test_a_report_alone_is_judged_as_it_was(write: Write) -> None:
    path = write("a", "jax")
    joined = judge_parity(path)
    assert joined.results == load_report(path).parity
    assert not joined.failed


def test_a_fault_is_found_between_reports_and_named(write: Write, capsys) -> None:
    paths = write("a", "jax"), write("b", "torch", wrong=("epoch 1", 1e-4))
    code, said, _ = parity(capsys, *paths)
    assert code == 1
    assert "torch is not the same model: it leaves the oracle at stage epoch 1" in said
    broken = {(row.a, row.b, row.stage) for row in judge_parity(*paths).outside}
    assert broken == {("torch/cpu/fit", ORACLE, "epoch 1"), ("jax/cpu/fit", "torch/cpu/fit", "epoch 1")}


def test_where_they_part_is_told_by_the_name_of_the_weight(write: Write) -> None:
    trace = np.where(np.arange(10)[:, None] >= 3, [0.0, 1e-2], 0.0)
    joined = judge_parity(write("a", "jax"), write("b", "torch", wrong=(BIAS_TRACE, trace)))
    (parted,) = [d for d in joined.divergences if (d.a, d.b) == ("jax/cpu/fit", "torch/cpu/fit")]
    assert (parted.step, parted.unit) == (4, "dense/bias[1]")


def test_what_keras_does_otherwise_is_known_across_reports(write: Write) -> None:
    joined = judge_parity(write("a", "jax"), write("b", "tensorflow", other_tables=1e-3))
    assert joined.outside == []
    known = {(row.a, row.b, row.stage) for row in joined.results if row.known == "tensorflow-indexed-slices"}
    assert known == {("jax/cpu/fit", "tensorflow/cpu/fit", stage) for stage in (KEPT, TABLE)}


def test_one_cell_in_two_environments_is_told_apart_by_its_report(write: Write) -> None:
    joined = judge_parity(write("base", "jax"), write("new", "jax", wrong=("loss", 1e-4)))
    assert {row.a for row in joined.results} == {"base:jax/cpu/fit", "new:jax/cpu/fit"}
    assert {row.stage for row in joined.outside} == {"loss"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sha256": "ab" * 32}, "sha256 of the dataset aaaaaaaaaaaa… and abababababab…"),
        ({"model_sha256": "ab" * 32}, "sha256 of the model bbbbbbbbbbbb… and abababababab…"),
        (
            {"weights_sha256": "ab" * 32},
            "start from different initial weights, as other backends or releases draw them",
        ),
        ({"init": "backend"}, "b was measured with each backend's own initial weights"),
        ({"not_judged": "dropout draws other random numbers on each backend"}, "cannot be judged: dropout draws"),
        ({"workload": None}, "different workloads"),
    ],
)
def test_what_cannot_be_joined_is_refused_with_what_differs(write: Write, capsys, change, word: str) -> None:
    if "workload" in change:
        change = {"dataset": "100k", "model_sha256": None, **change}
    code, _, error = parity(capsys, write("a", "jax"), write("b", "torch", **change))
    assert code == 2
    assert word in error
    assert len(error.strip().splitlines()) <= 2


def test_another_number_of_seeds_is_told_as_that(write: Write, capsys) -> None:
    other = write("b", "torch", weights_sha256="ab" * 32)
    report = load_report(other)
    save_report(msgspec.structs.replace(report, settings=msgspec.structs.replace(report.settings, seeds=7)), other)
    code, _, error = parity(capsys, write("a", "jax"), other)
    assert code == 2
    assert "and 7 seeds; measure both with the same --seeds" in error


def test_a_report_without_its_oracle_says_what_to_do(write: Write, capsys) -> None:
    path = write("a", "jax")
    with np.load(path / "predictions.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if not key.startswith(ORACLE)}
    save_predictions(arrays, path)
    code, _, error = parity(capsys, path)
    assert code == 2
    assert "a stores no oracle of jax/cpu to judge by: it is of an older version; measure it again" in error


@pytest.mark.parametrize("what", ["record", "metric"])
def test_a_report_that_says_otherwise_than_it_stores_is_refused(write: Write, capsys, what: str) -> None:
    path = write("a", "jax", wrong=("epoch 1", 1e-4))
    report = load_report(path)
    if what == "record":
        parity_ = [msgspec.structs.replace(row, verdict="within") for row in report.parity]
        report = msgspec.structs.replace(report, parity=parity_)
    else:
        report = msgspec.structs.replace(report, runs=[msgspec.structs.replace(report.runs[0], test_metric=0.1)])
    save_report(report, path)
    code, _, error = parity(capsys, path)
    assert code == 2
    assert "the report was changed or is damaged" in error
