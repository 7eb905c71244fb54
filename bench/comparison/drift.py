"""What a machine does between two measurements, which no interval from within either of them knows.

Processes of one measurement share the minutes that they ran in: what neighbours, heat or memory did then moved all of
them. So the mean of a side scatters more from measurement to measurement than its own processes show. As in any random
effects model, the variance of a side's mean is d² + s²/n; d is the drift, and a verdict on two sides that were measured
apart allows for 2 d². Sides whose rounds were interleaved share their minutes, and d cancels in their ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from bench.comparison.limits import ASSUMED_SD
from bench.errors import BenchError
from bench.report.comparable import arrows, processor_key
from bench.schema.machine import Machine
from bench.schema.record import Record
from bench.statistics.intervals import process_median
from bench.statistics.scatter import CAUTION
from bench.system.files import read_json

NOT_OF_VALIDATE = "is not a result of `bench validate`"
FEWEST_SIDES = 10  # from fewer the estimate is off by more than half of itself


class Drift(Record, frozen=True, kw_only=True):
    """How far one measurement lies from another of the same thing, beyond what their processes show.

    Attributes:
        sd: standard deviation of a side, as a share of its step time.
        origin: `assumed`; `given` by the user; `measured` by `bench validate`; or `none`, since both sides were
            measured together.
        source: file of the validation; None without one.
        sides: number of sides that a measured drift rests on.
        freedom: degrees of freedom of its square; None where it is taken for certain.
        at_most: whether nothing was seen of one, so that `sd` is what the sides could have hidden.
    """

    sd: float
    origin: Literal["assumed", "given", "measured", "none"]
    source: str | None = None
    sides: int | None = None
    freedom: float | None = None
    at_most: bool = False

    def __post_init__(self) -> None:
        """Refuse a value that is no share.

        Raises:
            BenchError: it is negative or not finite.
        """
        if not (math.isfinite(self.sd) and self.sd >= 0):
            raise BenchError(f"--drift must be 0 or more; received {self.sd}. Give for example 5%.")

    @property
    def words(self) -> str | None:
        """What a comparison allows for, in a sentence; None where nothing drifts."""
        share = f"{100 * self.sd:.2g} %"
        match self.origin:
            case "none":
                return None
            case "assumed":
                return (
                    f"Measured apart: {share} (standard deviation) of drift of the machine between the two is assumed; "
                    "`bench validate` measures yours, for --validation FILE."
                )
            case "given":
                return f"Measured apart: {share} (standard deviation) of drift of the machine is allowed for, as given."
            case "measured":
                how = "what could hide in the scatter of" if self.at_most else "as measured on"
                return (
                    f"Measured apart: {share} (standard deviation) of drift of the machine is allowed for, {how} "
                    f"{self.sides} sides in {self.source}."
                )


class Trial(Record, frozen=True, kw_only=True):
    """One comparison of two sets of fresh processes.

    Attributes:
        slowdown: true difference: share by which the newer side was prolonged; 0 for equal sides.
        base: rounds of each process in ms, of the side measured as the older one.
        new: rounds of the newer side in the same form.
        together: whether processes of equal place ran side by side, their rounds interleaved; else the newer side was
            measured after the older one.
        stretch: number of the unbroken chain of sides that it is from. The newer side of a trial is the older one of
            the next in the same stretch; trials of different ones share no side.
    """

    slowdown: float
    base: list[list[float]]
    new: list[list[float]]
    together: bool = False
    stretch: int = 0


ASSUMED = Drift(sd=ASSUMED_SD, origin="assumed")
NONE = Drift(sd=0.0, origin="none")


class _Validation(msgspec.Struct):
    machine: Machine
    trials: list[Trial]


def measured_drift(file: Path, machines: Sequence[Machine]) -> Drift:
    """Return the drift that a result of `bench validate` shows.

    Args:
        file: JSON, as `bench validate` writes it.
        machines: machines of the reports to be compared.

    Raises:
        BenchError: the file cannot be read, is of another machine, or holds too few sides.
    """
    stored = read_json(file, _Validation, NOT_OF_VALIDATE)
    for machine in machines:
        if different := arrows(processor_key(stored.machine), processor_key(machine)):
            raise BenchError(f"{file} is of another machine than a report ({'; '.join(different)}); --drift gives one")
    try:
        drift = estimated(chain_of(stored.trials))
    except ValueError as error:
        raise BenchError(f"{file} holds an impossible step time: {error}") from error
    if drift is None and any(trial.together for trial in stored.trials):
        raise BenchError(
            f"{file} has sides measured together, in which drift cancels; validate without --together to estimate it"
        )
    if drift is None:
        raise BenchError(
            f"{file} has too few sides to estimate the drift; validate with --comparisons {FEWEST_SIDES} or more"
        )
    return msgspec.structs.replace(drift, source=str(file))


def chain_of(trials: Sequence[Trial]) -> list[list[float]]:
    """Return the process medians of every side that was measured apart and without a slowdown, in order.

    The newer side of a trial is the older one of the next in its stretch, and counts once.
    """
    sides: list[list[list[float]]] = []
    equal = (trial for trial in trials if trial.slowdown == 0 and not trial.together)
    for _, of_stretch in groupby(equal, key=lambda trial: trial.stretch):
        chain = list(of_stretch)
        sides += [chain[0].base, *(trial.new for trial in chain)]
    return [[process_median(process) for process in side] for side in sides]


def without_common_sides(trials: Sequence[Trial]) -> list[Trial]:
    """Return every second trial of each stretch, beginning with its first one: no two of them share a side.

    Args:
        trials: trials with one slowdown, in the order of measuring.
    """
    stretches = groupby(trials, key=lambda trial: trial.stretch)
    return [trial for _, of_stretch in stretches for trial in list(of_stretch)[::2]]


def estimated(sides: Sequence[Sequence[float]]) -> Drift | None:
    """Return how far sides scatter beyond their own processes: d² is the variance of means less the mean of s²/n.

    Its degrees of freedom are Satterthwaite's ("An Approximate Distribution of Estimates of Variance Components",
    Biometrics Bulletin 2, 1946). Few sides may scatter no more than their processes show although there is a drift. So
    the variance of means is taken for no less than the limit that it is not above, at a confidence of
    `bench.statistics.scatter.CAUTION`, where sides scatter exactly so much; then its own degrees of freedom are taken.
    docs/method.md ("Simulated intervals") has the share of intervals that hold the truth then.

    Args:
        sides: process medians in ms of equal sides, measured one after the other; two processes or more each.

    Returns:
        None where there are fewer than `FEWEST_SIDES`.
    """
    # SciPy takes 0.2 s to import, and commands that only read a report never come here.
    from scipy.special import chdtri

    if len(sides) < FEWEST_SIDES:
        return None
    logs = [np.log(side) for side in sides]
    between = float(np.var([side.mean() for side in logs], ddof=1))
    within = float(np.mean([side.var(ddof=1) / side.size for side in logs]))
    own_freedom = len(sides) - 1
    hidden = within * (own_freedom / float(chdtri(own_freedom, CAUTION)) - 1)
    if between - within <= hidden:
        sd = math.sqrt(hidden)
        return Drift(sd=sd, origin="measured", sides=len(sides), freedom=own_freedom, at_most=True)
    processes = sum(side.size - 1 for side in logs)
    freedom = (between - within) ** 2 / (between**2 / own_freedom + within**2 / processes)
    return Drift(sd=math.sqrt(between - within), origin="measured", sides=len(sides), freedom=freedom)
