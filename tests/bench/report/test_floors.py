from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.page.charts.speed import limit_in_words
from bench.report.floors import Rates, Step, floors, least_step
from bench.report.summary import summarise
from bench.schema.report import Report
from bench.schema.run import Run
from bench.worker.limits import best_s
from movierank.step_cost import state_bytes, step_operations

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]


def with_limits(runs: list[Run], **of_backend: dict[str, float]) -> list[Run]:
    return [
        msgspec.structs.replace(run, **({"touched_rows": 900.0} | of_backend[run.backend]))
        if run.backend in of_backend
        else run
        for run in runs
    ]


def floors_of(report: Report, runs: list[Run]) -> dict[str, object]:
    return {str(floor.cell): floor for floor in floors(runs, summarise(runs).step_time, report.workload)}


def test_operations_of_a_step_of_one_example_counted_by_hand() -> None:
    # Towers of width 1: 2 x 256, 256 x 64 and 64 x 1 multiplications and additions, three times over.
    assert step_operations(1, 1) == 3 * 2 * (512 + 16_384 + 64)
    assert step_operations(1000, 32) == 196_992_000


def test_a_custom_workload_says_what_its_step_does(make_report: MakeReport) -> None:
    report = make_report({"jax": (2.0, 2.2), "torch": (3.0, 3.1)})
    limits = {
        "jax": {"matrix_gflop_s": 100.0, "memory_gb_s": 10.0},
        "torch": {"matrix_gflop_s": 50.0, "memory_gb_s": 20.0},
    }
    runs = [msgspec.structs.replace(run, **limits[run.backend]) for run in report.runs]
    own = {"workload": "m:o", "step_operations": 1e7, "step_bytes": 4e6}
    workload = msgspec.structs.replace(report.workload, **own)
    jax, torch = floors(runs, summarise(runs).step_time, workload)
    assert (jax.floor_ms, jax.bound) == (pytest.approx(0.4), "memory")
    assert (torch.floor_ms, torch.bound) == (pytest.approx(0.2), "arithmetic")
    assert jax.best_floor_ms == torch.best_floor_ms == pytest.approx(0.2)
    nobody_counted = msgspec.structs.replace(workload, step_operations=None)
    assert floors(runs, summarise(runs).step_time, nobody_counted) == []


def test_bytes_of_a_step_counted_by_hand(make_report: MakeReport) -> None:
    dense = 64 * 256 + 256 + 256 * 64 + 64 + 64 + 1
    workload = make_report().workload
    swept = 8 * 2 * (dense + (944 + 1683) * 32) + 12 * 1000
    assert least_step("fit", workload, 900).moved_bytes == swept
    assert least_step("native-tables", workload, 900).moved_bytes == swept
    touched = 8 * 2 * (dense + 900 * 32) + 12 * 1000
    for loop in ("fused", "native", "fused-rows", "native-rows", "fused-slices"):
        assert least_step(loop, workload, 900).moved_bytes == touched
    assert least_step("fit", workload, 900, bytes_of_weight=2).moved_bytes == swept / 2 + 6 * 1000


@given(st.integers(1, 10**6), st.integers(1, 1024), st.floats(1, 1e8))
def test_a_larger_step_is_never_sooner_done(batch: int, width: int, rows: float) -> None:
    assert step_operations(batch + 1, width) > step_operations(batch, width)
    assert step_operations(batch, width + 1) > step_operations(batch, width)
    assert state_bytes(width, rows + 1) > state_bytes(width, rows)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0, 1e3), st.floats(1, 100))
def test_a_faster_device_has_a_lower_floor(gflop_s: float, gb_s: float, launch_us: float, faster: float) -> None:
    step = Step(operations=2e8, moved_bytes=2e6)
    slow, _ = step.least_ms(Rates(gflop_s, gb_s, launch_us))
    fast, _ = step.least_ms(Rates(gflop_s * faster, gb_s * faster, launch_us / faster))
    assert fast <= slow
    assert slow == pytest.approx(max(2e2 / gflop_s, 2 / gb_s, launch_us / 1e3))


def test_a_cell_is_held_against_its_own_framework_and_the_best(make_report: MakeReport) -> None:
    report = make_report()
    runs = with_limits(
        report.runs,
        jax={"matrix_gflop_s": 400.0, "memory_gb_s": 60.0},
        torch={"matrix_gflop_s": 200.0, "memory_gb_s": 80.0},
    )
    runs[0] = msgspec.structs.replace(runs[0], matrix_gflop_s=100.0)  # one process was slowed down by something
    found = floors_of(report, runs)
    assert list(found) == ["jax/cpu/fit", "torch/cpu/fit"]  # TensorFlow's limits were not measured
    torch = found["torch/cpu/fit"]
    assert torch.floor_ms == pytest.approx(196_992_000 / 200e6)
    assert torch.best_floor_ms == pytest.approx(196_992_000 / 400e6)
    assert torch.bound == torch.best_bound == "arithmetic"
    assert torch.times_floor == pytest.approx(3.11 / torch.floor_ms)
    low, high = torch.times_best_floor_ci95
    assert low < torch.times_best_floor < high


def test_devices_and_arithmetics_are_held_apart_and_a_launch_counts(make_report: MakeReport) -> None:
    report = make_report({("jax", "cpu"): (1.0, 1.1), ("jax", "gpu"): (0.3, 0.3)})
    reduced = [
        msgspec.structs.replace(run, loop="fit:bfloat16", matrix_gflop_s=5e5, memory_gb_s=2000.0, touched_rows=900.0)
        for run in report.runs
        if run.device == "gpu"
    ]
    gpu = {"matrix_gflop_s": 5e4, "memory_gb_s": 1000.0, "launch_us": 4.0, "touched_rows": 900.0}
    cpu = {"matrix_gflop_s": 400.0, "memory_gb_s": 60.0, "touched_rows": 900.0}
    runs = [msgspec.structs.replace(run, **(gpu if run.device == "gpu" else cpu)) for run in report.runs]
    found = floors_of(report, [*runs, *reduced])
    assert found["jax/gpu/fit"].floor_ms == pytest.approx(0.004)  # longer than the work
    assert found["jax/cpu/fit"].best_floor_ms == pytest.approx(196_992_000 / 4e8)
    assert found["jax/gpu/fit:bfloat16"].floor_ms < 0.001


def test_a_launch_counts_for_loops_that_come_back_to_python_at_each_step(make_report: MakeReport) -> None:
    report = make_report({("jax", "gpu"): (0.3, 0.3), ("torch", "gpu"): (0.3, 0.3)})
    limits = {"matrix_gflop_s": 5e4, "memory_gb_s": 1000.0, "launch_us": 9.0, "touched_rows": 900.0}
    fit = [msgspec.structs.replace(run, **limits) for run in report.runs]
    runs = [msgspec.structs.replace(run, loop=loop) for run in fit for loop in ("fit", "fused", "native-rows")]
    # JAX runs its other loops as one program: no launch is between two of their steps.
    work_ms = {"fused": 196_992_000 / 5e10, "native-rows": 196_992_000 / 5e10}
    for name, floor in floors_of(report, runs).items():
        backend, _, loop = name.split("/")
        launched = backend == "torch" or loop == "fit"
        assert floor.best_floor_ms == pytest.approx(0.009 if launched else work_ms[loop]), name
        words = limit_in_words(floor, runs)
        assert words.startswith("launch" if launched else "arithmetic"), name
        assert ("9.00 µs a launch" in words) == launched, name


def test_a_pass_over_touched_rows_says_nothing_of_whole_tables(make_report: MakeReport) -> None:
    report = make_report({"jax": (1.0, 1.1)})
    fit = [
        msgspec.structs.replace(run, matrix_gflop_s=1e6, memory_gb_s=50.0, touched_rows=900.0) for run in report.runs
    ]
    rows = [msgspec.structs.replace(run, loop="fused-rows", memory_gb_s=300.0) for run in fit]
    found = floors_of(report, [*fit, *rows])
    assert found["jax/cpu/fit"].bound == "memory"
    assert found["jax/cpu/fit"].best_floor_ms == pytest.approx(
        least_step("fit", report.workload, 900).moved_bytes / 50e6
    )
    assert found["jax/cpu/fused-rows"].best_floor_ms == pytest.approx(
        least_step("fused-rows", report.workload, 900).moved_bytes / 300e6
    )


def test_a_report_without_limits_has_no_floors(make_report: MakeReport) -> None:
    report = make_report()
    assert floors_of(report, report.runs) == {}


def test_the_best_try_counts_all_work_that_was_handed_over() -> None:
    queue: list[float] = []

    def synchronise() -> None:
        time.sleep(sum(queue))
        queue.clear()

    assert 0.001 <= best_s(lambda: queue.append(0.001), synchronise) < 0.1
