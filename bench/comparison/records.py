"""The records that a comparison of two measurements consists of."""

from __future__ import annotations

from typing import Literal, TypeVar

from bench.comparison.drift import NONE as NO_DRIFT
from bench.comparison.drift import Drift
from bench.errors import BenchError
from bench.report.scores import SHOWN
from bench.schema.outcome import BAD_INPUT
from bench.schema.parity import ParityResult
from bench.schema.record import Record
from bench.schema.report import Side
from bench.statistics.contrast import MOST_PROCESSES
from bench.statistics.intervals import Interval

Named = TypeVar("Named")


StepVerdict = Literal["faster", "slower", "same", "undecided", "not comparable"]


RmseVerdict = Literal["better", "worse", "same", "undecided"]


class Timed(Record, frozen=True, kw_only=True):
    """What one side measured.

    Attributes:
        name: a cell as `backend/device/loop`, or a benchmark as pytest names it.
        median_ms: median over processes of each process's median round, in ms.
        ci95_ms: 95 % interval of the typical time, by itself; None with one process.
        processes: number of processes that it rests on.
        rounds: number of rounds that it rests on.
    """

    name: str
    median_ms: float
    ci95_ms: Interval | None
    processes: int
    rounds: int


class StepComparison(Record, frozen=True, kw_only=True):
    """Step time of one cell on both sides, or of a cell here and another there.

    Attributes:
        cell: its name, or `BASE -> NEW` where two cells are compared.
        base: time on the older side.
        new: time on the newer side.
        ratio: times as long that a step takes on the newer side: the quotient of geometric means over
            processes, so not quite that of the two medians. None where the two are not comparable.
        ci95: its interval (Welch, on logarithms; t on paired logarithms for two cells of one report), which
            holds at 95 % together with those of all other rows. None with one process on either side.
        verdict: `same` where the whole interval lies within a factor 1 + max_regression either way, else
            `faster` or `slower` where it lies on one side of 1, else `undecided`.
        regression: whether the whole interval lies above 1 + max_regression.
        processes_needed: where undecided, the processes on each side that would likely decide; 101 stands for
            more than 100; None where decided, with one process, which shows no scatter, and where it is disturbed.
        disturbed: what other programs or the machine did to one side while it was measured, for which there is no
            verdict; None where nothing was seen.
        hidden_by_drift: whether drift of the machine between two measurements could explain the whole difference, so
            that no number of processes would decide.
    """

    cell: str
    base: Timed
    new: Timed
    ratio: float | None
    ci95: Interval | None
    verdict: StepVerdict
    regression: bool
    processes_needed: int | None = None
    disturbed: str | None = None
    hidden_by_drift: bool = False

    @property
    def why_undecided(self) -> str | None:
        """What is missing for a verdict, in words; None where there is one."""
        if self.verdict != "undecided":
            return None
        if self.disturbed is not None:
            return self.disturbed
        if self.processes_needed is None:
            lone = [name for name, side in (("base", self.base), ("new", self.new)) if side.processes == 1]
            return f"one process ({' and '.join(lone)}) gives no interval, so it settles nothing; measure more"
        if self.hidden_by_drift:
            return "drift of the machine could explain it, however many processes; `bench versus` measures both at once"
        if self.processes_needed > MOST_PROCESSES:
            return f"more than {MOST_PROCESSES} processes on each side would be needed to decide"
        have = " and ".join(str(number) for number in dict.fromkeys((self.base.processes, self.new.processes)))
        return f"some {self.processes_needed} processes on each side would decide; there are {have}"


class RmseComparison(Record, frozen=True, kw_only=True):
    """Final test RMSE of one cell on both sides, or of a cell here and another there.

    Attributes:
        cell: its name, or `BASE -> NEW` where two cells are compared.
        base: mean in the older report, over the seeds that both have where there are two or more of them, else over
            all of its own.
        new: likewise in the newer report.
        difference: new minus base.
        ci95: its interval, which holds at 95 % together with those of all other rows; None with one seed on
            either side.
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
    """All that two measurements say about each other.

    Attributes:
        kind: `reports`, whose times are of a training step, or `benchmarks` (pytest-benchmark's files), whose
            times are of a benchmark's round.
        not_comparable: why step times were refused, or are shown only by force; None where they compare.
        rmse_not_comparable: why RMSE was refused; None where it compares.
        max_regression: share by which a step may take longer.
        rmse_margin: amount by which the test RMSE may rise.
        step_confidence: confidence of each step time interval, so that all hold together at 95 %.
        rmse_confidence: the same for each RMSE interval.
        step_time: cells on both sides, fastest on the newer side first.
        rmse: cells on both sides.
        metric: metric of training and test; `rmse` for the built-in workload.
        better: whether a lower or a higher value of the metric is better.
        metrics: for a custom workload in place of `rmse`, which is empty then; `metric` may get worse by
            `bench.report.scores.METRIC_SHARE` of itself.
        parity: results that are `outside` and not `known` now and were not so in the older report, or not judged there;
            all such results of the newer report where the older one is of another workload.
        parity_kept: such results of the newer report that were so in the older one, too.
        parity_mended: such results of the older report that are so no longer.
        parity_not_judged: sides whose parity was not judged, such as with `--no-parity`, or where it was cut off.
        parity_between: of two sides measured by `bench versus`: where a cell of one lies outside of one of the other;
            None where that was not judged.
        only_in_base: cells that the newer side did not measure, by name, with the reason where one is known.
        only_in_new: cells that the older side did not measure, likewise.
        changes: other differences, the likelier cause first (`bench.comparison.changes`), such as `keras 3.15.1 ->
            3.16.0`.
        drift: drift of the machine between two measurements, as the intervals of step time allow for it.
        together: whether the rounds of both sides were interleaved, so that drift cancels.
        notes: what a reader must know to trust the step times, as `bench run` says it of a report, each with the side
            that it is of: noise, processes in two groups or not yet steady, and a precision that was not reached.
    """

    kind: Literal["reports", "benchmarks"] = "reports"
    not_comparable: str | None
    rmse_not_comparable: str | None
    max_regression: float
    rmse_margin: float
    step_confidence: float
    rmse_confidence: float
    step_time: list[StepComparison]
    rmse: list[RmseComparison]
    parity: list[ParityResult]
    only_in_base: dict[str, str | None]
    only_in_new: dict[str, str | None]
    changes: list[str]
    drift: Drift = NO_DRIFT
    together: bool = False
    notes: list[str] = []
    metric: str = "rmse"
    better: Literal["lower", "higher"] = "lower"
    metrics: list[RmseComparison] = []
    parity_kept: list[ParityResult] = []
    parity_mended: list[ParityResult] = []
    parity_not_judged: list[Side] = []
    parity_between: list[ParityResult] | None = None

    @property
    def scores(self) -> list[RmseComparison]:
        """The scores that are compared: RMSE, or a custom workload's metric."""
        return self.rmse or self.metrics

    @property
    def score_label(self) -> str:
        """The name of that score."""
        return SHOWN.get(self.metric, self.metric)

    @property
    def nothing_compared(self) -> bool:
        """Whether neither a step time nor an RMSE could be set beside another, and no parity says that one is worse."""
        return not self.scores and all(row.ratio is None for row in self.step_time) and not self.is_worse

    @property
    def exit_code(self) -> int:
        """2 where nothing could be compared, 1 where something is worse, else 0."""
        return BAD_INPUT if self.nothing_compared else int(self.is_worse)

    @property
    def is_worse(self) -> bool:
        """Whether the gate fails: the newer side is worse, or the two are not the same model."""
        return self.new_is_worse or bool(self.parity_between)

    @property
    def new_is_worse(self) -> bool:
        """Whether something is surely slower by more than is fine, worse, or newly out of parity."""
        slower = any(row.regression for row in self.step_time)
        worse = any(row.verdict == "worse" for row in self.scores)
        return slower or worse or bool(self.parity)

    @property
    def slower_within_margin(self) -> list[str]:
        """Cells that are surely slower, though not surely by more than is fine: no regression."""
        return [row.cell for row in self.step_time if row.verdict == "slower" and not row.regression]

    @property
    def margin_in_words(self) -> str:
        """By how much a step may take longer, such as `5 %`."""
        return f"{100 * self.max_regression:.3g} %"

    @property
    def what_is_timed(self) -> str:
        """What the times are of, as a heading."""
        return "Step time" if self.kind == "reports" else "Time of a round"


def choose(name: str, known: dict[str, Named], side: int) -> Named:
    """Return the cell or benchmark called `name` on one side.

    Raises:
        BenchError: there is no such thing; the message lists what there is.
    """
    if name not in known:
        option, where = (("--base-cell", "BASE"), ("--new-cell", "NEW"))[side]
        raise BenchError(f"{option}: {where} did not measure {name}; it has {', '.join(sorted(known)) or 'nothing'}")
    return known[name]


def label_of(base: str, new: str) -> str:
    """Return the name of the row of two cells."""
    return base if base == new else f"{base} -> {new}"
