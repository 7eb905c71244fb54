"""The records that a comparison of two reports consists of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bench.report import ParityResult, Record, StepTime
from bench.statistics import Interval

StepVerdict = Literal["faster", "slower", "same", "undecided", "not comparable"]
RmseVerdict = Literal["better", "worse", "same", "undecided"]


class StepComparison(Record, frozen=True, kw_only=True):
    """Step time of one cell in both reports.

    Attributes:
        cell: as `backend/device/loop`.
        base: in the older report.
        new: in the newer report.
        ratio: how many times longer a step takes in the newer report: the quotient of geometric means over
            processes, so not quite that of the two medians. None where the two are not comparable.
        ci95: its 95 % interval (Welch, on logarithms); None with one process on either side.
        verdict: `same` where the whole interval lies within a factor 1 + max_regression either way, else
            `faster` or `slower` where it lies on one side of 1, else `undecided`.
        regression: whether the whole interval lies above 1 + max_regression.
    """

    cell: str
    base: StepTime
    new: StepTime
    ratio: float | None
    ci95: Interval | None
    verdict: StepVerdict
    regression: bool


class RmseComparison(Record, frozen=True, kw_only=True):
    """Final test RMSE of one cell in both reports.

    Attributes:
        cell: as `backend/device/loop`.
        base: mean over seeds in the older report.
        new: mean over seeds in the newer report.
        difference: new minus base, over the seeds that both have where there are two or more of them.
        ci95: its 95 % interval; None with one seed on either side.
        verdict: `worse` or `better` where the whole interval lies beyond the margin, `same` where it lies
            within it, else `undecided`.
    """

    cell: str
    base: float
    new: float
    difference: float
    ci95: Interval | None
    verdict: RmseVerdict


class Comparison(Record, frozen=True, kw_only=True):
    """All that two reports say about each other.

    Attributes:
        not_comparable: why step times were refused, or are shown only by force; None where they compare.
        rmse_not_comparable: why RMSE was refused; None where it compares.
        max_regression: the share by which a step may take longer.
        rmse_margin: by how much the test RMSE may rise.
        step_time: cells in both reports, fastest in the new report first.
        rmse: cells in both reports.
        parity: results that are `outside` and not `known` now and were not so in the older report.
        only_in_base: cells that the newer report did not measure, by name, with the reason where it tells.
        only_in_new: cells that the older report did not measure, likewise.
        changes: software that differs, such as `keras 3.15.1 -> 3.16.0`.
    """

    not_comparable: str | None
    rmse_not_comparable: str | None
    max_regression: float
    rmse_margin: float
    step_time: list[StepComparison]
    rmse: list[RmseComparison]
    parity: list[ParityResult]
    only_in_base: dict[str, str | None]
    only_in_new: dict[str, str | None]
    changes: list[str]

    @property
    def nothing_compared(self) -> bool:
        """Whether neither a step time nor an RMSE could be set beside another."""
        return not self.rmse and all(row.ratio is None for row in self.step_time)

    @property
    def exit_code(self) -> int:
        """1 where something is surely slower, worse or newly out of parity; 0 otherwise."""
        slower = any(row.regression for row in self.step_time)
        worse = any(row.verdict == "worse" for row in self.rmse)
        return int(slower or worse or bool(self.parity))


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Returns plain dicts, lists and numbers for `compare --json`, with `exit_code`."""
    return {**msgspec.to_builtins(comparison), "exit_code": comparison.exit_code}
