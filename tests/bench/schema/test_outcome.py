from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from bench.schema.outcome import exit_code
from bench.schema.parity import ParityResult
from bench.schema.report import Report

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]


def with_statuses(report: Report, statuses: Sequence[str]) -> Report:
    runs = [msgspec.structs.replace(report.runs[0], status=status) for status in statuses]  # type: ignore[arg-type]
    return msgspec.structs.replace(report, runs=runs)


def outside(known: str | None) -> ParityResult:
    return ParityResult(
        a="jax/cpu/fit", b="oracle", stage="step 1", rms=1.0, max_abs=2.0, envelope=1e-6, verdict="outside", known=known
    )


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["ok", "ok"], 0),
        (["ok", "skipped"], 0),
        (["skipped", "skipped"], 3),
        ([], 3),
        (["ok", "failed"], 3),
        (["ok", "killed"], 3),
        (["ok", "timeout"], 3),
        (["ok", "interrupted"], 3),
    ],
)
def test_a_run_that_broke_off_is_told_and_a_missing_backend_is_fine(
    make_report: MakeReport, statuses: list[str], code: int
) -> None:
    assert exit_code(with_statuses(make_report(), statuses)) == code


def test_a_fault_in_parity_is_told_and_an_understood_deviation_is_fine(make_report: MakeReport) -> None:
    assert exit_code(make_report(parity=[outside("tensorflow-indexed-slices")])) == 0
    assert exit_code(make_report(parity=[outside("tensorflow-indexed-slices"), outside(None)])) == 1


def test_a_failed_run_weighs_more_than_a_fault_in_parity(make_report: MakeReport) -> None:
    assert exit_code(with_statuses(make_report(parity=[outside(None)]), ["ok", "failed"])) == 3
