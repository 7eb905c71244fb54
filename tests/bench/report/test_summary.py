from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import pytest

from bench.report.rounds import process_medians
from bench.report.scores import seed_scores
from bench.report.summary import summarise
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.headline import headline

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

JAX = Cell(backend="jax", device="cpu", loop="fit")


def run(process: int = 0, backend: str = "jax", **fields: object) -> Run:
    known: dict[str, object] = {"device": "cpu", "loop": "fit", "seed": process, "status": "ok"}
    return Run(backend=backend, process=process, **(known | fields))  # type: ignore[arg-type]


def outside(backend: str, stage: str, known: str | None = None) -> ParityResult:
    return ParityResult(
        a=f"{backend}/cpu/fit", b="oracle", stage=stage, rms=1e-2, max_abs=0.1, envelope=1e-5, verdict="outside",
        known=known,
    )  # fmt: skip


def test_cells_come_fastest_first_with_process_and_round_counts(make_report: MakeReport) -> None:
    rows = summarise(make_report().runs).step_time
    assert [row.backend for row in rows] == ["jax", "tensorflow", "torch"]
    assert [(row.median_ms, row.processes, row.rounds) for row in rows] == [(0.82, 3, 15), (1.72, 3, 15), (3.11, 3, 15)]


def test_the_order_of_runs_changes_nothing(make_report: MakeReport) -> None:
    runs = make_report({"jax": (1, 2, 3), "torch": (1, 2, 3), "tensorflow": (2, 3, 1)}).runs
    shuffled = random.Random(5).sample(runs, len(runs))
    assert summarise(shuffled) == summarise(runs)


def test_every_pair_has_one_ratio_with_the_slower_cell_first(make_report: MakeReport) -> None:
    ratios = {(row.a, row.b): row for row in summarise(make_report().runs).ratios}
    assert list(ratios) == [
        ("tensorflow/cpu/fit", "jax/cpu/fit"),
        ("torch/cpu/fit", "jax/cpu/fit"),
        ("torch/cpu/fit", "tensorflow/cpu/fit"),
    ]
    expected = math.prod((3.04 / 0.82, 3.11 / 0.79, 3.30 / 0.85)) ** (1 / 3)
    assert ratios["torch/cpu/fit", "jax/cpu/fit"].ratio == pytest.approx(expected)
    assert all(row.ratio >= 1 and row.pairs == 3 for row in ratios.values())


def test_only_processes_of_equal_index_are_paired() -> None:
    runs = [run(0, step_time_ms=[1.0]), run(1, step_time_ms=[5.0]), run(2, step_time_ms=[1.0])]
    runs += [run(process, "torch", step_time_ms=[2.0]) for process in (0, 2, 3)]
    (ratio,) = summarise(runs).ratios
    assert (ratio.ratio, ratio.pairs) == (pytest.approx(2.0), 2)
    apart = summarise([run(0, step_time_ms=[1.0]), run(1, "torch", step_time_ms=[2.0])])
    assert len(apart.step_time) == 2
    assert apart.ratios == []


def test_a_run_that_broke_off_counts_for_step_time_but_not_for_rmse() -> None:
    broken = run(1, status="killed", step_time_ms=[3.0, 3.0], test_rmse=0.9)
    never_steady = run(2, status="failed", warmup_ms=[9.0])
    summary = summarise([run(0, step_time_ms=[1.0], test_rmse=0.25), broken, never_steady])
    assert summary.step_time[0].processes == 2
    assert summary.step_time[0].rounds == 3
    assert (summary.scores[0].mean, summary.scores[0].seeds, summary.scores[0].ci95) == (0.25, 1, None)


def test_a_repeated_process_counts_once_and_the_later_run_wins() -> None:
    runs = [run(0, status="failed", step_time_ms=[9.0]), run(0, step_time_ms=[1.0, 1.2, 1.1])]
    assert process_medians(runs) == {JAX: {0: 1.1}}
    assert summarise(runs).step_time[0].rounds == 3


def test_processes_of_one_seed_are_one_sample_of_rmse() -> None:
    runs = [run(0, test_rmse=0.25), run(1, test_rmse=0.26), run(2, seed=0, test_rmse=0.27), run(3, test_rmse=math.nan)]
    assert seed_scores(runs) == {JAX: {0: pytest.approx(0.26), 1: 0.26}}
    assert summarise(runs).scores[0].seeds == 2


def test_the_interval_holds_the_median_of_a_lopsided_cell() -> None:
    """Six processes in one mode and four in another: the geometric mean's interval lies above the median."""
    (row,) = summarise([run(i, step_time_ms=[1.0 if i < 6 else 2.0]) for i in range(10)]).step_time
    assert row.ci95_ms is not None
    assert row.ci95_ms[0] <= row.median_ms == 1.0
    assert row.ci95_ms[1] > 2**0.4


def test_nothing_measured_gives_empty_lists() -> None:
    assert summarise([]) == summarise([run(status="skipped", error="no GPU here")])
    assert summarise([]).step_time == []


def test_an_impossible_step_time_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        summarise([run(step_time_ms=[1.0, -1.0])])


def test_headline_names_the_fastest_with_ratios_and_agreement(make_report: MakeReport) -> None:
    text = headline(View(make_report()))
    assert "On this CPU (AMD EPYC 9554) jax trains fastest: 0.820 ms/step" in text
    assert "tensorflow takes 2.08 × [2.03, 2.13] as long" in text
    assert "Test RMSE 0.2578 (jax), 0.2578 (tensorflow), 0.2577 (torch)." in text
    assert "All agree with the oracle within rounding." in text


def test_headline_calls_no_winner_where_an_interval_reaches_one(make_report: MakeReport) -> None:
    text = headline(
        View(make_report({"jax": (0.8, 0.9, 0.85), "torch": (0.82, 0.88, 0.84), "tensorflow": (3.0, 3.1, 3.2)}))
    )
    assert "too close to call between torch (0.840 ms/step) and jax (0.850 ms/step)" in text
    assert "tensorflow takes 3.66 ×" in text
    assert "fastest" not in text


def test_headline_settles_nothing_from_one_process_each(make_report: MakeReport) -> None:
    text = headline(View(make_report({"jax": (0.8,), "torch": (3.1,)})))
    assert "no interval" in text
    assert "fastest" not in text


def test_headline_speaks_of_each_device_and_names_cells_in_full(make_report: MakeReport) -> None:
    medians = {"jax": (0.8, 0.81, 0.8), ("jax", "gpu"): (0.1, 0.101, 0.1), ("torch", "gpu"): (0.4, 0.42, 0.41)}
    text = headline(View(make_report(medians)))
    assert "On this GPU (NVIDIA H100) jax/gpu/fit trains fastest" in text
    assert "On this CPU (AMD EPYC 9554) jax/cpu/fit takes 0.800 ms/step" in text
    assert "jax/cpu/fit takes 8.01 × [7.98, 8.04] as long as jax/gpu/fit." in text


def test_headline_distinguishes_a_known_deviation_from_a_fault(make_report: MakeReport) -> None:
    known = headline(View(make_report(parity=[outside("tensorflow", "step 1", "slices-squared")])))
    assert "Known deviation: slices-squared (see docs/deviations.md)." in known
    assert "further apart" not in known
    fault = headline(View(make_report(parity=[outside("tensorflow", "step 1", "x"), outside("torch", "epoch 1")])))
    assert "torch and oracle lie further apart than rounding explains, first at stage epoch 1." in fault
    assert "All" not in fault


def test_headline_says_what_failed_and_what_was_never_checked(make_report: MakeReport) -> None:
    extra = [
        run(0, "torch", status="failed", error="out of memory"),
        run(0, "tensorflow", device="gpu", status="skipped", error="no GPU"),
    ]
    text = headline(View(make_report({"jax": (1.0, 1.1)}, extra_runs=extra, parity=[])))
    assert "1 of 4 runs did not finish (torch), the first with: out of memory." in text
    assert "Skipped: tensorflow." in text
    assert "Whether the backends agree was not measured." in text
    nothing = headline(View(make_report({}, extra_runs=extra[:1], parity=[])))
    assert nothing.startswith("No step time was measured.")


def test_derived_records_survive_json(make_report: MakeReport) -> None:
    summary = summarise(make_report().runs)
    assert msgspec.json.decode(msgspec.json.encode(summary), type=type(summary)) == summary


def test_processes_measured_in_different_sittings_are_not_paired() -> None:
    def run(backend: str, process: int, turns: list[int], step_time_ms: list[float]) -> Run:
        return Run(
            backend=backend,
            device="cpu",
            loop="fit",
            process=process,
            seed=0,
            status="ok",
            step_time_ms=step_time_ms,
            turns=turns,
        )

    together = [run("jax", 0, [0, 3], [1.0, 1.0]), run("torch", 0, [1, 2], [2.0, 2.0])]
    apart = [run("jax", 1, [4, 5], [1.0, 1.0]), run("torch", 1, [8, 9], [9.0, 9.0])]
    (ratio,) = summarise(together + apart).ratios
    assert (ratio.a, ratio.ratio, ratio.pairs) == ("torch/cpu/fit", 2.0, 1)
    assert summarise(apart).ratios == []
