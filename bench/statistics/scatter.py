"""Components of the scatter of step times, and the number of rounds that makes the best use of time.

Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013: scatter between processes and scatter
between the rounds of a process are estimated apart, and the number of rounds a process follows from both and from
the costs of a process and of a round.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_SHARE_APART = 0.05  # closer modes do not matter

# The gap between two groups over the standard deviation within them that 1 in 100 samples of n from one group exceeds:
# the larger value of 40,000 simulated normal samples and as many of Student's t with 4 degrees of freedom. Two modes of
# 0.85 and 1.25 ms, each scattering by 3 %, are found in 45 % of samples of 5, 86 % of 7 and 98 % of 10.
CRITICAL = {5: 10.3, 6: 7.6, 7: 6.1, 8: 5.1, 10: 4.0, 12: 3.4, 15: 3.0, 20: 2.8, 30: 2.7}

MEDIAN_FACTOR = math.pi / 2  # variance of a median of n normal values, over that of their mean, for large n
FEWEST_ROUNDS, MOST_ROUNDS = 3, 30
CAUTION = 0.8  # confidence that processes do not scatter more than is assumed


@dataclass(frozen=True)
class Components:
    """Standard deviations on the logarithmic scale, hence as shares of the step time.

    Attributes:
        process_sd: standard deviation between the processes of a cell, without the scatter of their rounds.
        round_sd: standard deviation between the rounds of a process.
        process_sd_limit: upper limit of `process_sd` at a confidence of `CAUTION`; far above it with few processes.
    """

    process_sd: float
    round_sd: float
    process_sd_limit: float


def components(rounds_by_process: Sequence[Sequence[float]]) -> Components | None:
    """Estimate both components from the step times of each process's rounds.

    Args:
        rounds_by_process: positive step times, in any unit.

    Returns:
        None with fewer than two processes, or where no process has two rounds.
    """
    # SciPy takes 0.2 s to import, and commands that only read a report never come here.
    from scipy.special import chdtri

    logs = [np.log(rounds) for rounds in rounds_by_process if len(rounds)]
    freedom = sum(len(rounds) - 1 for rounds in logs)
    if len(logs) < 2 or freedom < 1:
        return None
    within = sum(float(np.square(rounds - rounds.mean()).sum()) for rounds in logs) / freedom
    means = np.array([rounds.mean() for rounds in logs])
    of_a_mean = within * float(np.mean([1 / len(rounds) for rounds in logs]))
    of_means = float(means.var(ddof=1))
    limit = of_means * (len(means) - 1) / float(chdtri(len(means) - 1, CAUTION))
    return Components(
        process_sd=math.sqrt(max(0.0, of_means - of_a_mean)),
        round_sd=math.sqrt(within),
        process_sd_limit=math.sqrt(max(0.0, limit - of_a_mean)),
    )


def best_rounds(found: Components, process_cost_s: float, round_cost_s: float) -> int:
    """Return the number of rounds a process that gives the narrowest interval in a given time.

    The variance of a cell's estimate from P processes of n rounds is (b² + c w² / n) / P, its cost P (C + n r); the
    product is smallest at n = (w / b) sqrt(c C / r). For b its upper limit is taken: few processes may agree by chance.
    A small b would ask for many rounds, which would leave time for few more processes.

    Args:
        found: components with b's limit and w.
        process_cost_s: C, time of a process up to its first steady round, in seconds.
        round_cost_s: r, time of one round, in seconds.
    """
    if found.process_sd_limit == 0:
        return MOST_ROUNDS
    wanted = found.round_sd / found.process_sd_limit * math.sqrt(MEDIAN_FACTOR * process_cost_s / round_cost_s)
    return min(max(math.ceil(wanted), FEWEST_ROUNDS), MOST_ROUNDS)


def two_modes(process_medians: Sequence[float]) -> tuple[float, float] | None:
    """Return the typical step time of each of two groups of processes, or None where there is one group.

    The sorted logarithms are cut in two, with at least two processes on either side, where the gap is widest
    relative to the scatter within the parts. Fewer than five processes cannot show two groups.

    Args:
        process_medians: one positive number a process; the groups' step times have the same unit.
    """
    if len(process_medians) < min(CRITICAL):
        return None
    logs = np.sort(np.log(process_medians))
    critical = CRITICAL[sorted(CRITICAL)[bisect.bisect_right(sorted(CRITICAL), len(logs)) - 1]]
    cuts = [(logs[:k], logs[k:]) for k in range(2, len(logs) - 1)]
    low, high = max(cuts, key=lambda cut: _gap(*cut))
    fast, slow = math.exp(np.median(low)), math.exp(np.median(high))
    apart = _gap(low, high) > critical and slow > fast * (1 + LEAST_SHARE_APART)
    return (fast, slow) if apart else None


def _gap(low: np.ndarray, high: np.ndarray) -> float:
    squares = float(np.square(low - low.mean()).sum() + np.square(high - high.mean()).sum())
    within = math.sqrt(squares / (len(low) + len(high) - 2))
    gap = float(high[0] - low[-1])
    return gap / within if within > 0 else math.inf * (gap > 0) if gap > 0 else 0.0
