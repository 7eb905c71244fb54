from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from bench.commands.cli import _parser, main
from bench.commands.run import options_of
from bench.errors import BenchError, UnavailableError
from bench.measure.matrix import parse_cells
from bench.report.file import load_report
from bench.report.summary import summarise
from bench.report.view import View
from bench.schema.cell import PRECISIONS, full_precision, is_reduced, loop_name, precision_of
from bench.schema.outcome import exit_code
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.schema.run import Run
from bench.system.environment import ARITHMETIC_VARIABLES, worker_environment
from bench.text.headline import headline
from bench.text.report import print_report
from bench.worker.frameworks import require_tf32

MakeReport = Callable[..., Report]

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
ROOT = Path(__file__).parents[3]
NO_PAGE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1] / "no_page"), str(ROOT)])}
SMALL = ("--dataset", "synthetic:60x50x6000", "--batch-size", "500", "--epochs", "2")
SHORT = ("--processes", "1", "--seeds", "1", "--rounds", "2", "--round-seconds", "0.02", "--threads", "1")


def outside(a: str, b: str = "oracle") -> ParityResult:
    return ParityResult(a=a, b=b, stage="forward", rms=1e-3, max_abs=1e-2, envelope=1e-8, verdict="outside")


def in_precision(report: Report, backend: str, precision: str, speed: float, rmse: float) -> list[Run]:
    """The report's runs of a backend as if they had trained in another precision, at `speed` times the step time."""
    return [
        msgspec.structs.replace(
            run,
            loop=f"fit:{precision}",
            step_time_ms=[speed * value for value in run.step_time_ms],
            test_rmse=rmse,
        )
        for run in report.runs
        if run.backend == backend
    ]


def printed(report: Report) -> str:
    summary = summarise(report.runs)
    report = msgspec.structs.replace(report, step_time=summary.step_time, ratios=summary.ratios, rmse=summary.scores)
    file = io.StringIO()
    print_report(report, Path("r"), Console(file=file, width=80))
    return file.getvalue()


def test_the_precision_is_part_of_a_cell_and_float32_is_the_cell_of_before() -> None:
    cells = parse_cells("jax", "cpu,gpu:1", "fit", ",".join(PRECISIONS))
    assert [str(cell) for cell in cells[:4]] == [
        *("jax/cpu/fit", "jax/cpu/fit:bfloat16", "jax/cpu/fit:mixed_bfloat16", "jax/cpu/fit:tf32")
    ]
    assert [precision_of(cell) for cell in cells] == [*PRECISIONS, *PRECISIONS]
    assert {full_precision(cell) for cell in cells} == set(parse_cells("jax", "cpu,gpu:1", "fit"))
    assert [loop_name("fit", precision_of(cell)) for cell in cells] == [cell.loop for cell in cells]


def test_a_record_of_parity_tells_reduced_precision_by_its_cell_s_name() -> None:
    reduced = ("jax/cpu/fit:bfloat16", "torch/gpu:1/fit:tf32", "results/a: jax/cpu/fit:mixed_bfloat16 (keras 3.12)")
    assert all(map(is_reduced, reduced))
    full = ("oracle", "jax/cpu/fit", "jax/gpu:1/fit", "results/bfloat16: jax/cpu/fit", "a/jax:bfloat16:jax/cpu/fit")
    assert not any(map(is_reduced, full))


@pytest.mark.parametrize(
    ("values", "precision", "arithmetic"),
    [
        (["2%"], 0.02, None),
        (["0.05"], 0.05, None),
        (["float32,tf32"], None, "float32,tf32"),
        (["bfloat16", "1.5%"], 0.015, "bfloat16"),
        (["3%", "float32", "tf32"], 0.03, "float32,tf32"),
    ],
)
def test_one_option_takes_a_half_width_and_names_of_arithmetic(
    values: list[str], precision: float | None, arithmetic: str | None
) -> None:
    given = [part for value in values for part in ("--precision", value)]
    options = options_of(_parser().parse_args(["run", *given]))
    assert options.precision == precision
    assert list(options.cells) == parse_cells("jax,torch,tensorflow", "cpu", "fit", arithmetic or "float32")


@pytest.mark.parametrize("name", ["half", "float16", "BFLOAT16", "2%,tf32"])
def test_an_unknown_name_is_refused_with_both_meanings(name: str) -> None:
    with pytest.raises(BenchError, match=r"choose from float32, bfloat16, mixed_bfloat16, tf32, or .* such as 2%"):
        parse_cells("jax", "cpu", "fit", f"float32,{name}")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("half", "bench: unknown precision 'half'; choose from float32"),
        (",", "bench: no precision given"),
        ("-3%", "argument --precision: expected a share such as 5% or 0.05; received '-3%'"),
        ("nan", "argument --precision: expected a share"),
        ("x%", "argument --precision: expected a share"),
        ("0", "bench: --precision must be above 0"),
    ],
)
def test_the_command_refuses_what_is_neither(capsys, tmp_path: Path, value: str, message: str) -> None:
    try:
        code: int | str | None = main(["run", f"--precision={value}", "--output", str(tmp_path / "r"), *SMALL])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_only_float32_can_break_parity(make_report: MakeReport) -> None:
    reduced = [outside("jax/cpu/fit:bfloat16"), outside("jax/cpu/fit", "jax/cpu/fit:bfloat16")]
    assert exit_code(make_report(parity=reduced)) == 0
    assert exit_code(make_report(parity=[*reduced, outside("jax/cpu/fit")])) == 1
    assert exit_code(make_report(parity=[*reduced, outside("jax/cpu/fit", "torch/cpu/fit")])) == 1


def test_speed_and_rmse_of_reduced_precision_stand_in_one_line_beside_float32(make_report: MakeReport) -> None:
    base = make_report()
    slower, faster = in_precision(base, "jax", "bfloat16", 1.5, 0.2702), in_precision(base, "torch", "tf32", 0.5, 0.258)
    report = msgspec.structs.replace(
        base, runs=[*base.runs, *slower, *faster], parity=[*base.parity, outside("jax/cpu/fit:bfloat16")]
    )
    first, *lines = headline(View(report)).split("\n")
    assert lines == [
        "jax with bfloat16: 1.50 × as long a step as float32 [1.50, 1.50], RMSE 0.2702 against 0.2578; "
        "outside float32's rounding, first at stage forward.",
        "torch with tf32: 0.500 × as long a step as float32 [0.500, 0.500], RMSE 0.2580 against 0.2577.",
    ]
    assert "jax trains fastest: 0.820 ms/step" in first
    assert "Test RMSE 0.2578 (jax), 0.2578 (tensorflow), 0.2577 (torch)." in first
    assert "All in float32 agree with the oracle within rounding." in first
    assert not any(name in first for name in ("bfloat16", "tf32"))


def test_reduced_precision_that_is_fastest_does_not_win(make_report: MakeReport) -> None:
    base = make_report()
    report = msgspec.structs.replace(base, runs=[*base.runs, *in_precision(base, "jax", "tf32", 0.5, 0.2578)])
    assert "jax trains fastest: 0.820 ms/step" in headline(View(report))
    rows = printed(report).splitlines()
    assert any("× jax" in row for row in rows)
    assert any(row.startswith("jax with tf32") and "0.500" in row for row in rows), rows
    assert all(len(row) <= 80 for row in rows), rows


def test_reduced_precision_alone_is_told_without_a_comparison(make_report: MakeReport) -> None:
    base = make_report({"jax": (0.8, 0.81, 0.8), "torch": (3.0, 3.1, 3.2)})
    runs = [*in_precision(base, "jax", "bfloat16", 1, 0.27), *in_precision(base, "torch", "bfloat16", 1, 0.27)]
    text = headline(View(msgspec.structs.replace(base, runs=runs, parity=[outside("jax/cpu/fit:bfloat16")])))
    assert "jax with bfloat16 trains fastest: 0.800 ms/step; torch with bfloat16 takes" in text
    assert "jax with bfloat16: 0.800 ms/step with no float32 step time beside it, RMSE 0.2700; outside" in text
    assert "agree" not in text


def test_arithmetic_is_not_changed_behind_a_cell_s_name() -> None:
    inherited = dict.fromkeys(ARITHMETIC_VARIABLES, "1")
    assert not worker_environment("torch", "gpu", 2, inherited).keys() & set(ARITHMETIC_VARIABLES)


def test_tf32_is_had_on_nvidia_s_gpus_from_ampere_on() -> None:
    require_tf32("NVIDIA A100", 8)
    require_tf32("NVIDIA H100", 9)
    for device, capability in (("Tesla T4", 7), ("AMD Instinct MI300X", None), ("this CPU", None)):
        with pytest.raises(UnavailableError, match=f"{device} has no tf32; NVIDIA GPUs have it from Ampere"):
            require_tf32(device, capability)


def test_a_user_s_keras_json_changes_no_cell(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "float16"}))
    code = (
        "import sys, bench.worker.backend as w; w.import_backend(sys.argv[1], 'cpu', 1); import keras;"
        "before = keras.config.floatx(); w.set_precision(sys.argv[1], 'float32');"
        "print(before, keras.config.floatx(), keras.config.dtype_policy().name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, BACKEND],
        env={**worker_environment(BACKEND, "cpu", 1), "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split()[-3:] == ["float16", "float32", "float32"]


def test_a_real_worker_trains_in_the_precision_of_its_cell(tmp_path: Path) -> None:
    output = tmp_path / "report"
    command = [sys.executable, "-m", "bench", "run", "--backends", BACKEND, "--output", str(output), *SMALL, *SHORT]
    done = subprocess.run(
        [*command, "--precision", "float32,mixed_bfloat16,tf32", "--parity"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=NO_PAGE,
    )
    assert done.returncode == 0, done.stderr
    report = load_report(output)
    runs = {run.loop: run for run in report.runs}
    assert {loop: run.status for loop, run in runs.items()} == {
        **{"fit": "ok", "fit:mixed_bfloat16": "ok", "fit:tf32": "skipped"}
    }
    assert runs["fit:tf32"].error == "this CPU has no tf32; NVIDIA GPUs have it from Ampere (compute capability 8.0) on"

    full, mixed = runs["fit"].test_rmse, runs["fit:mixed_bfloat16"].test_rmse
    assert full is not None
    assert mixed is not None
    assert math.isfinite(mixed)
    assert 0 < abs(mixed - full) < 0.01
    with np.load(output / "predictions.npz") as stored:
        predictions = {loop: stored[f"{BACKEND}/cpu/{loop}/p0/s0/epoch 2"] for loop in ("fit", "fit:mixed_bfloat16")}
    assert {array.dtype for array in predictions.values()} == {np.dtype(np.float32)}
    # The lower half of a float32 that was a bfloat16 is empty.
    assert not (predictions["fit:mixed_bfloat16"].view(np.uint32) & 0xFFFF).any()
    assert (predictions["fit"].view(np.uint32) & 0xFFFF).any()

    forward = {
        result.a: result.verdict for result in report.parity if (result.b, result.stage) == ("oracle", "forward")
    }
    assert forward == {f"{BACKEND}/cpu/fit": "within", f"{BACKEND}/cpu/fit:mixed_bfloat16": "outside"}
    assert f"{BACKEND} with mixed_bfloat16: " in done.stdout
