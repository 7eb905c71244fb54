from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.cli import main
from bench.distances import TestPart
from bench.joinable import NamedReport, common_references
from bench.parity import judge, known_deviation
from bench.parity_check import envelopes_of, trajectories
from bench.parity_command import names_of
from bench.predictions import key_of, load_arrays, save_predictions
from bench.reference import Reference, Task, measure
from bench.report import Report
from bench.report_file import load_report, save_report
from bench.rounding import permute_in_batches
from bench.stages import Values, early_values, first_batches
from bench.stored_reference import to_arrays
from movierank.datasets import load_dataset
from movierank.oracle import Oracle, train
from movierank.ratings import Dataset
from movierank.splits import split_ratings
from movierank.weights import initial_weights

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[2]
USERS, MOVIES, BATCH, EPOCHS = 60, 90, 250, 2
SLICES = "tensorflow-indexed-slices"
STAGES = 1 + 1 + 6 * 8 + EPOCHS + 4
MakeReport = Callable[..., Report]


DATASET = load_dataset(f"synthetic:{USERS}x{MOVIES}x3600")
SPLIT = split_ratings(DATASET, "0.72:1")
TRAIN, TEST = SPLIT.train, SPLIT.test
PART = TestPart.of(TEST.user_id, TEST.label)


@cache
def reference(seed: int) -> Reference:
    weights = initial_weights(USERS, MOVIES, seed=seed)
    return measure(Task(weights, TRAIN, TEST, BATCH, EPOCHS, 0.1), seed=seed, variants=[SLICES], threads=1)


@dataclass(frozen=True)
class Training:
    """A scripted training: float32, with a rounding of its own, and perhaps a fault.

    Attributes:
        cell: as `backend/device/loop`.
        seed: of the initial weights.
        squares: as in `Oracle`.
        fault: name of a weight and a place in it whose accumulator starts at 0.11.
    """

    cell: str
    seed: int = 0
    squares: Any = "sum_then_square"
    fault: tuple[Any, ...] = ()


@cache
def values_of(training: Training) -> Values:
    order = np.random.default_rng([*training.cell.encode(), training.seed])
    data = permute_in_batches(TRAIN, BATCH, order)

    def build() -> Oracle:
        weights = initial_weights(USERS, MOVIES, seed=training.seed)
        oracle = Oracle(weights, squares=training.squares, dtype=np.float32)
        if training.fault:
            name, *place = training.fault
            getattr(oracle.accumulators, name)[tuple(place)] = 0.11
        return oracle

    oracle, epochs, rmses = build(), {}, []

    def keep(epoch: int, rmse: float) -> None:
        epochs[f"epoch {epoch}"] = oracle.predict(TEST.user_id, TEST.movie_id)
        rmses.append(rmse)

    forward = oracle.predict(TEST.user_id, TEST.movie_id)
    train(oracle, data, BATCH, EPOCHS, keep)
    early = early_values(build, first_batches(data, BATCH))
    stored = {"forward": forward, **early, **epochs}
    return {stage: np.asarray(array, np.float32) for stage, array in stored.items()} | {"rmses": np.array(rmses)}


def evaluated(predictions: np.ndarray) -> float:
    """The test RMSE as Keras works it out: squares added up in float32, batch by batch."""
    squares = np.float32(0)
    for start in range(0, len(TEST), BATCH):
        part = slice(start, start + BATCH)
        squares += np.sum(np.square(predictions[part] - TEST.label[part]), dtype=np.float32)
    return float(np.sqrt(squares / np.float32(len(TEST))))


@pytest.fixture
def write(tmp_path: Path, make_report: MakeReport):
    """Writes a report of scripted trainings and returns its directory."""

    def to(name: str, *trainings: Training, **workload: Any) -> Path:
        template = make_report({"jax": (0.8,)})
        runs, arrays = [], {}
        for process, training in enumerate(trainings):
            values = values_of(training)
            backend, device, loop = training.cell.split("/")
            run = msgspec.structs.replace(
                template.runs[0],
                **{"backend": backend, "device": device, "loop": loop, "process": process, "seed": training.seed},
                train_rmse=values["rmses"].tolist(),
                test_rmse=evaluated(values[f"epoch {EPOCHS}"]),
            )
            runs.append(run)
            arrays |= {key_of(run, stage): array for stage, array in values.items() if stage != "rmses"}
        seeds = sorted({training.seed for training in trainings})
        wanted = {known for run in runs if (known := known_deviation(run.cell))}
        references = {seed: as_stored(reference(seed), wanted) for seed in seeds}
        found = trajectories(runs, arrays)
        report = msgspec.structs.replace(
            template,
            runs=runs,
            workload=msgspec.structs.replace(template.workload, **SIZES | workload),
            parity=judge(found, references, PART, EPOCHS),
            envelopes=envelopes_of(references),
        )
        directory = tmp_path / name
        directory.mkdir(parents=True)
        save_report(report, directory)
        save_predictions(arrays | to_arrays(references), directory)
        return directory

    return to


SIZES = {
    "dataset": DATASET.name,
    "sha256": DATASET.sha256,
    "split": SPLIT.name,
    "num_users": USERS,
    "num_movies": MOVIES,
    "num_train": len(TRAIN),
    "num_test": len(TEST),
    "batch_size": BATCH,
    "epochs": EPOCHS,
}


def as_stored(whole: Reference, variants: Iterable[str]) -> Reference:
    """The reference as a report stores it: with the oracles of what its own backends are known for."""
    return Reference(whole.envelope, whole.bias_step, whole.oracle, {name: whole.variants[name] for name in variants})


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Its output with the lines of a paragraph joined."""
        return " ".join(self.out.split())


@pytest.fixture
def parity(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs `bench parity` in this process, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Said:
        code = main(["parity", *map(str, arguments)])
        return Said(code, *capsys.readouterr())

    return run


JAX, TORCH = Training("jax/cpu/fit"), Training("torch/cpu/fit")
TENSORFLOW = Training("tensorflow/cpu/fit", squares="square_then_sum")


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


def test_backends_measured_apart_are_the_same_model_but_for_what_is_known(write: Any, parity: Any) -> None:
    said = parity(*(write(f"of-{t.cell[:3]}", t) for t in (JAX, TORCH, TENSORFLOW)))
    assert said.code == 0
    assert said.text.startswith(
        f"jax, tensorflow and torch are the same model at all {STAGES} stages (with each other and with the oracle, "
        "within rounding, known deviations aside; seed 0). "
    )
    assert f"Known deviation: {SLICES} (at " in said.text
    assert "see docs/deviations.md" in said.text
    assert "outside first" not in said.text


def test_the_table_has_a_row_a_group_of_stages_and_a_column_a_pair_in_80_columns(write: Any, parity: Any) -> None:
    said = parity(write("a", JAX), write("b", TORCH), write("c", TENSORFLOW))
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    head = next(
        place
        for place, line in enumerate(lines)
        if line.split() == ["jax", "tensorflow", "torch", "jax", "jax", "tensorflow"]
    )
    assert lines[head + 1].split() == ["stage", "oracle", "oracle", "oracle", "tensorflow", "torch", "torch"]
    rows = {line[:16].strip(): line[16:].split() for line in lines[head + 3 : head + 3 + 14]}
    assert list(rows) == [
        *("forward", "loss", "gradient", "probe", "accumulators 1", "weights 1", "accumulators 10", "weights 10"),
        *("epoch 1", "epoch 2", "training rmse", "rmse", "ranking tau", "ranking top-10"),
    ]
    assert rows["accumulators 1"][1] == rows["accumulators 1"][3] == "known"
    assert all(0 <= float(ratio) < 1 for ratio in rows["gradient"])


def test_a_planted_fault_is_named_at_its_stage_and_its_place(write: Any, parity: Any) -> None:
    broken = Training("torch/cpu/fit", fault=("kernel1", 3, 17))
    said = parity(write("a", JAX), write("b", broken))
    assert said.code == 1
    assert f"jax is the oracle's model at all {STAGES} stages" in said.text
    assert "torch is not the same model: it leaves the oracle at stage accumulators 1/kernel1" in said.text
    for pair in ("torch – oracle", "jax – torch"):
        assert f"{pair}: outside first at stage accumulators 1/kernel1" in said.text
    assert said.text.count("at kernel1[3,17], seed 0.") == 2
    assert "OUT" in next(line for line in said.out.splitlines() if "accumulators 1 " in line)


def test_the_step_and_the_unit_where_two_part_are_told(write: Any, parity: Any) -> None:
    said = parity(write("a", Training("torch/cpu/fit", fault=("bias2", 40))))
    assert said.code == 1
    assert "They part at step 1: bias2[40], by " in said.text


def test_a_known_deviation_hides_no_second_fault(write: Any, parity: Any) -> None:
    faulty = Training("tensorflow/cpu/fit", squares="square_then_sum", fault=("user_embedding", 5, 3))
    said = parity(write("a", JAX), write("b", faulty), "--json")
    assert said.code == 1
    verdicts = {
        r["stage"]: (r["verdict"], r["known"]) for r in json.loads(said.out)["results"] if r["a"] == faulty.cell
    }
    assert verdicts["accumulators 1/user_embedding"] == ("outside", None)
    assert verdicts["accumulators 1/candidate_embedding"] == ("outside", SLICES)


def test_one_cell_in_two_reports_is_named_by_them(write: Any, parity: Any) -> None:
    broken = Training("jax/cpu/fit", fault=("kernel2", 1, 2))
    said = parity(write("old", JAX, TORCH), write("new", broken), "--json")
    joined = json.loads(said.out)
    assert [report["cells"] for report in joined["reports"]] == [
        {"jax/cpu/fit": "old:jax/cpu/fit", "torch/cpu/fit": "torch/cpu/fit"},
        {"jax/cpu/fit": "new:jax/cpu/fit"},
    ]
    outside = {(r["a"], r["b"]) for r in joined["results"] if r["verdict"] == "outside"}
    assert outside == {("new:jax/cpu/fit", b) for b in ("oracle", "old:jax/cpu/fit", "torch/cpu/fit")}


def test_long_names_become_numbers_and_still_fit_80_columns(write: Any, parity: Any) -> None:
    broken = Training("jax/gpu/fit", fault=("kernel2", 1, 2))
    said = parity(write("before", JAX, TORCH), write("after", JAX, TENSORFLOW, broken))
    assert max(map(len, said.out.splitlines())) <= 80
    assert "1 = after:jax/cpu/fit" in said.out


def test_of_many_pairs_those_within_are_left_out(write: Any, parity: Any) -> None:
    broken = Training("jax/cpu/again", fault=("kernel2", 1, 2))
    said = parity(write("a", JAX, TORCH, TENSORFLOW, broken))
    lines = [line.split() for line in said.out.splitlines()]
    heads = [place for place, words in enumerate(lines) if words[:1] == ["stage"] and "─" in lines[place + 1][0]]
    pairs = [pair for place in heads for pair in zip(lines[place - 1], lines[place][1:], strict=True)]
    # Cell 1 is the broken jax/cpu/again.
    assert pairs == [*((cell, "oracle") for cell in "1234"), ("1", "2"), ("1", "3"), ("1", "4")]
    assert "1 = jax/cpu/again" in said.out


def test_one_report_alone_is_judged_again(write: Any, parity: Any) -> None:
    directory = write("a", JAX, TORCH)
    said = parity(directory / "report.json", "--json")
    assert said.code == 0
    again = msgspec.json.decode(said.out, type=dict[str, Any])["results"]
    stored = load_report(directory).parity
    assert [(r["a"], r["b"], r["stage"], r["verdict"]) for r in again] == [
        (r.a, r.b, r.stage, r.verdict) for r in stored
    ]
    assert [r["rms"] for r in again] == pytest.approx([r.rms for r in stored], abs=1e-7)


def test_a_seed_is_compared_between_reports_only_where_both_have_it(write: Any, parity: Any) -> None:
    both = write("both", JAX, Training("jax/cpu/fit", seed=1))
    one, other = write("one", TORCH), write("other", Training("tensorflow/cpu/fit", seed=1))
    said = parity(both, one, other, "--json")
    joined = json.loads(said.out)
    pairs = {(r["a"], r["b"]) for r in joined["results"] if r["b"] != "oracle"}
    assert pairs == {("jax/cpu/fit", "torch/cpu/fit"), ("jax/cpu/fit", "tensorflow/cpu/fit")}
    assert joined["notes"] == [
        "one and other have no seed in common, so their cells were compared with the oracle alone."
    ]


def test_reduced_precision_is_told_and_breaks_nothing(write: Any, parity: Any) -> None:
    reduced = Training("torch/cpu/fit:bfloat16", fault=("kernel1", 3, 17))
    said = parity(write("a", JAX), write("b", reduced))
    assert said.code == 0
    assert f"jax is the oracle's model at all {STAGES} stages" in said.text
    assert "torch:bfloat16 is of reduced precision and does not count" in said.text
    assert "outside first" not in said.text


def test_the_file_holds_what_json_prints(write: Any, parity: Any, tmp_path: Path) -> None:
    said = parity(write("a", JAX), write("b", TORCH), "--json", "--output", tmp_path / "joined.json")
    assert json.loads((tmp_path / "joined.json").read_text()) == json.loads(said.out)
    described = json.loads(said.out)["reports"][0]
    assert (described["keras"], described["backends"], described["seeds"]) == ("3.15.1", {"jax": "0.10.2"}, [0])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sha256", "ab" * 32, f"sha256 of the dataset {DATASET.sha256[:12]}… and abababababab…"),
        ("split", "0.8:1", "split 0.72:1 and 0.8:1"),
        ("learning_rate", 0.2, "learning rate 0.1 and 0.2"),
        ("num_users", USERS + 1, "num users 60 and 61"),
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
    common = common_references([a, b], SPLIT)
    assert np.array_equal(common.references[0].oracle["epoch 2"], a.arrays["oracle/s0/epoch 2"])


def test_reports_of_other_ratings_than_the_prepared_ones_are_refused(write: Any, parity: Any) -> None:
    said = parity(write("a", JAX, sha256="f" * 64))
    assert said.code == 2
    assert "were measured on other ratings than this cache has" in said.err


def test_a_report_given_twice_is_refused(write: Any, parity: Any) -> None:
    directory = write("a", JAX)
    said = parity(directory, directory / "report.json")
    assert said.code == 2
    assert "was given 2 times" in said.err


def test_reports_are_named_by_as_much_of_their_path_as_tells_them_apart() -> None:
    assert names_of([Path("/x/jax"), Path("/x/torch")]) == ["jax", "torch"]
    assert names_of([Path("/x/old/jax"), Path("/x/new/jax"), Path("/y/new/jax")]) == [
        "x/old/jax",
        "x/new/jax",
        "y/new/jax",
    ]


def test_no_framework_and_no_large_part_of_scipy_is_imported(write: Any) -> None:
    code = (
        "import sys; from bench.cli import main; code = main(['parity', *sys.argv[1:], '--json']); "
        "print(code, {'keras', 'jax', 'torch', 'tensorflow', 'scipy.stats'} & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(write("a", JAX)), str(write("b", TORCH))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == "0 set()\n"


def test_a_report_of_a_version_without_a_cap_is_judged_by_the_rule_of_then(movielens: Dataset, capsys) -> None:
    stored = ROOT / "results/cpu-2cores"
    assert {result.judged_by for result in load_report(stored).parity} == {None}
    assert main(["parity", str(stored), "--json"]) == 0
    results = {(r["a"], r["b"], r["stage"]): r["envelope"] for r in json.loads(capsys.readouterr().out)["results"]}
    for result in load_report(stored).parity:
        assert results[result.a, result.b, result.stage] == pytest.approx(result.envelope, rel=1e-6)
