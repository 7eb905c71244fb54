"""What `bench.studies.overhead` has measured: lines of JSON, one a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.statistics.intervals import Estimate, paired_ratio
from bench.system.files import read_lines


class StepTimes(msgspec.Struct, frozen=True):
    """One value a block.

    Attributes:
        harness_call_ms: whole calls of the harness, in ms a step.
        bare_call_ms: whole bare calls of as many epochs, in ms a step.
        harness_ms: step time as the harness reports it, in ms.
        bare_ms: step time as the slope between two bare calls, in ms.
        harness_setup_ms: what the harness found one call of `fit` to cost besides its epochs, in ms.
        bare_setup_ms: what a bare call costs besides its steps, in ms.
        clock_ms: the harness's own code in a call by itself, on an idle device, in ms a step; empty in files of
            versions that did not measure it.
    """

    harness_call_ms: list[float]
    bare_call_ms: list[float]
    harness_ms: list[float]
    bare_ms: list[float]
    harness_setup_ms: list[float]
    bare_setup_ms: list[float]
    clock_ms: list[float] = []

    @property
    def adds(self) -> Estimate:
        """How many times as long a whole call takes with the harness; blocks are the unit."""
        return paired_ratio(self.harness_call_ms, self.bare_call_ms)

    @property
    def reports(self) -> Estimate:
        """How many times as long the harness says that a step takes, of what bare calls say."""
        return paired_ratio(self.harness_ms, self.bare_ms)

    @property
    def clock_share(self) -> float | None:
        """Share of a bare call that the harness's own code takes; None where it was not measured."""
        return median(self.clock_ms) / median(self.bare_call_ms) if self.clock_ms else None


class Measured(msgspec.Struct, frozen=True):
    """A process.

    Attributes:
        cell: such as `jax/cpu/fit`.
        times: its blocks, in the order of measuring.
        git_commit: that measured.
        cpu_model: of the machine.
    """

    cell: str
    times: StepTimes
    git_commit: str | None
    cpu_model: str


def stored(file: Path) -> list[Measured]:
    """Return the records that a file holds; none where there is no file.

    Raises:
        BenchError: it holds something else.
    """
    return read_lines(file, Measured, "measurements of the overhead")


def by_cell(measured: Sequence[Measured]) -> dict[str, StepTimes]:
    """Return the blocks of all processes of each cell together."""
    names = StepTimes.__struct_fields__
    return {
        cell: StepTimes(
            *([ms for each in measured if each.cell == cell for ms in getattr(each.times, name)] for name in names)
        )
        for cell in dict.fromkeys(each.cell for each in measured)
    }


def in_percent(ratio: Estimate) -> str:
    """Return how much more than 1 a ratio is, such as `+0.2 % [-0.3, +0.7]`."""
    ends = "" if ratio.ci95 is None else " [{:+.1f}, {:+.1f}]".format(*(100 * (end - 1) for end in ratio.ci95))
    return f"{100 * (ratio.value - 1):+.1f} %{ends}"
