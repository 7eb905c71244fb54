"""What `bench parity` says of reports that were measured apart."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.report.file import load_report, save_report
from bench.report.names import names_of
from movierank.data.ratings import Dataset

pytestmark = pytest.mark.backend_free

SLICES = "tensorflow-indexed-slices"
EPOCHS = 2
STAGES = 1 + 1 + 6 * 8 + EPOCHS + 4
JAX, TORCH = {"cell": "jax/cpu/fit"}, {"cell": "torch/cpu/fit"}
TENSORFLOW = {"cell": "tensorflow/cpu/fit", "squares": "one_by_one"}


def training(cell: str, **fields: Any) -> dict[str, Any]:
    return {"cell": cell, **fields}


def test_backends_measured_apart_are_the_same_model_but_for_what_is_known(write: Any, parity: Any) -> None:
    said = parity(*(write(f"of-{t['cell'][:3]}", t) for t in (JAX, TORCH, TENSORFLOW)))
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
    broken = training("torch/cpu/fit", fault=("kernel1", 3, 17))
    said = parity(write("a", JAX), write("b", broken))
    assert said.code == 1
    assert f"jax is the oracle's model at all {STAGES} stages" in said.text
    assert "torch is not the same model: it leaves the oracle at stage accumulators 1/kernel1" in said.text
    for pair in ("torch – oracle", "jax – torch"):
        assert f"{pair}: outside first at stage accumulators 1/kernel1" in said.text
    assert said.text.count("at kernel1[3,17], seed 0.") == 2
    assert "OUT" in next(line for line in said.out.splitlines() if "accumulators 1 " in line)


def test_the_step_and_the_unit_where_two_part_are_named(write: Any, parity: Any) -> None:
    said = parity(write("a", training("torch/cpu/fit", fault=("bias2", 40))))
    assert said.code == 1
    assert "They part at step 1: bias2[40], by " in said.text


def test_a_known_deviation_hides_no_second_fault(write: Any, parity: Any) -> None:
    faulty = training("tensorflow/cpu/fit", squares="one_by_one", fault=("user_embedding", 5, 3))
    said = parity(write("a", JAX), write("b", faulty), "--json")
    assert said.code == 1
    verdicts = {
        r["stage"]: (r["verdict"], r["known"]) for r in json.loads(said.out)["results"] if r["a"] == faulty["cell"]
    }
    assert verdicts["accumulators 1/user_embedding"] == ("outside", None)
    assert verdicts["accumulators 1/candidate_embedding"] == ("outside", SLICES)


def test_one_cell_in_two_reports_is_named_by_them(write: Any, parity: Any) -> None:
    broken = training("jax/cpu/fit", fault=("kernel2", 1, 2))
    said = parity(write("old", JAX, TORCH), write("new", broken), "--json")
    joined = json.loads(said.out)
    assert [report["cells"] for report in joined["reports"]] == [
        {"jax/cpu/fit": "old:jax/cpu/fit", "torch/cpu/fit": "torch/cpu/fit"},
        {"jax/cpu/fit": "new:jax/cpu/fit"},
    ]
    outside = {(r["a"], r["b"]) for r in joined["results"] if r["verdict"] == "outside"}
    assert outside == {("new:jax/cpu/fit", b) for b in ("oracle", "old:jax/cpu/fit", "torch/cpu/fit")}


def test_long_names_become_numbers_and_still_fit_80_columns(write: Any, parity: Any) -> None:
    broken = training("jax/gpu/fit", fault=("kernel2", 1, 2))
    said = parity(write("before", JAX, TORCH), write("after", JAX, TENSORFLOW, broken))
    assert max(map(len, said.out.splitlines())) <= 80
    assert "1 = after:jax/cpu/fit" in said.out


def test_of_many_pairs_those_within_are_left_out(write: Any, parity: Any) -> None:
    broken = training("jax/cpu/again", fault=("kernel2", 1, 2))
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
    both = write("both", JAX, training("jax/cpu/fit", seed=1))
    one, other = write("one", TORCH), write("other", training("tensorflow/cpu/fit", seed=1))
    said = parity(both, one, other, "--json")
    joined = json.loads(said.out)
    pairs = {(r["a"], r["b"]) for r in joined["results"] if r["b"] != "oracle"}
    assert pairs == {("jax/cpu/fit", "torch/cpu/fit"), ("jax/cpu/fit", "tensorflow/cpu/fit")}
    assert joined["notes"] == [
        "one and other have no seed in common, so their cells were compared with the oracle alone."
    ]


def test_reduced_precision_is_named_and_breaks_nothing(write: Any, parity: Any) -> None:
    reduced = training("torch/cpu/fit:bfloat16", fault=("kernel1", 3, 17))
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


def test_reports_are_named_by_as_much_of_their_path_as_tells_them_apart() -> None:
    assert names_of([Path("/x/jax"), Path("/x/torch")]) == ["jax", "torch"]
    assert names_of([Path("/x/old/jax"), Path("/x/new/jax"), Path("/y/new/jax")]) == [
        "x/old/jax",
        "x/new/jax",
        "y/new/jax",
    ]


def test_no_framework_and_no_large_part_of_scipy_is_imported(write: Any) -> None:
    code = (
        "import sys; from bench.commands.cli import main; code = main(['parity', *sys.argv[1:], '--json']); "
        "print(code, {'keras', 'jax', 'torch', 'tensorflow', 'scipy.stats'} & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(write("a", JAX)), str(write("b", TORCH))]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == "0 set()\n"


def test_a_report_of_a_version_without_a_cap_is_judged_by_the_rule_of_then(
    movielens: Dataset, parity: Any, tmp_path: Path
) -> None:
    stored = Path(__file__).parents[4] / "results/cpu-2cores"
    report = load_report(stored)
    assert {result.judged_by for result in report.parity} == {"oracle"}
    without = [msgspec.structs.replace(result, judged_by=None) for result in report.parity]
    shutil.copytree(stored, tmp_path / "old")
    save_report(msgspec.structs.replace(report, parity=without), tmp_path / "old")
    assert parity(stored).code == 0
    said = parity(tmp_path / "old")
    assert said.code == 2
    with_cap, then = map(float, re.findall(r"\(envelope ([^)]*)\)", said.err))
    assert then > with_cap, "by the rule of then thresholds were wider"
