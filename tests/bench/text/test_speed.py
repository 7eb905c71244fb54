from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bench.report.view import View
from bench.schema.cell import Cell, short_names
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.headline import headline

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

MEDIANS = {
    "fit": {"jax": 0.8, "tensorflow": 1.8, "torch": 3.2},
    "fused": {"jax": 0.6, "tensorflow": 0.72, "torch": 1.28},
    "native": {"jax": 0.6, "tensorflow": 0.72, "torch": 1.28},
}


@pytest.fixture(scope="module")
def several_loops(make_report: MakeReport) -> Report:
    """Three loops on three backends, whose processes scatter by a percent."""
    runs: list[Run] = []
    for loop, medians in MEDIANS.items():
        report = make_report({backend: [ms * f for f in (0.99, 1.0, 1.01)] for backend, ms in medians.items()})
        runs += [msgspec.structs.replace(run, loop=loop) for run in report.runs]
    return make_report({}, extra_runs=runs, parity=[])


def test_each_loop_has_its_own_answer_and_the_gain_over_fit(several_loops: Report) -> None:
    text = headline(View(several_loops))
    assert "On this CPU (AMD EPYC 9554) with fit, jax trains fastest: 0.800 ms/step; tensorflow takes 2.25 ×" in text
    assert "With fused, jax trains fastest: 0.600 ms/step; tensorflow takes 1.20 ×" in text
    assert "A fused step takes 0.750 × [0.750, 0.750] (jax), 0.400 × [0.400, 0.400] (tensorflow) and 0.400 ×" in text
    assert text.index("With fused") < text.index("With native") < text.index("A fused step")


def test_one_backend_with_several_loops_is_one_contest(several_loops: Report) -> None:
    only_torch = msgspec.structs.replace(several_loops, runs=[r for r in several_loops.runs if r.backend == "torch"])
    text = headline(View(only_torch))
    assert "it is too close to call between torch fused (1.28 ms/step) and torch native (1.28 ms/step)" in text
    assert "torch fit takes 2.50 × [2.50, 2.50] as long" in text


def test_without_fit_no_gain_is_reported(several_loops: Report) -> None:
    fast = msgspec.structs.replace(several_loops, runs=[r for r in several_loops.runs if r.loop != "fit"])
    assert "as long as with fit" not in headline(View(fast))


def test_names_are_as_short_as_distinguishes_them() -> None:
    def names(*cells: tuple[str, str, str]) -> list[str]:
        return list(short_names([Cell(backend=b, device=d, loop=loop) for b, d, loop in cells]).values())

    assert set(names(("jax", "cpu", "fit"), ("torch", "cpu", "fit"))) == {"jax", "torch"}
    assert set(names(("jax", "cpu", "fit"), ("jax", "cpu", "fused"))) == {"jax fit", "jax fused"}
    assert set(names(("jax", "cpu", "fit"), ("jax", "gpu", "fused"))) == {"jax/cpu/fit", "jax/gpu/fused"}
    assert set(names(("jax", "cpu", "fit"), ("jax", "cpu", "fit:bfloat16"))) == {"jax", "jax with bfloat16"}
