"""Where the scatter of step times comes from, and how to spend time on it.

Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013: scatter between processes and scatter
between the rounds of a process are estimated apart, and the number of rounds a process follows from both and from
what a process and a round cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEDIAN_FACTOR = math.pi / 2  # variance of a median of n normal values, over that of their mean, for large n
FEWEST_ROUNDS, MOST_ROUNDS = 3, 30
CAUTION = 0.8  # confidence with which processes scatter no more than is assumed


@dataclass(frozen=True)
class Components:
    """Standard deviations on the logarithmic scale, hence as shares of the step time.

    Attributes:
        process_sd: between the processes of a cell, what their rounds scatter taken out.
        round_sd: between the rounds of a process.
        process_sd_limit: what the first is not above, at a confidence of `CAUTION`; far from it with few processes.
    """

    process_sd: float
    round_sd: float
    process_sd_limit: float


def components(rounds_by_process: Sequence[Sequence[float]]) -> Components | None:
    """Estimates both components from the step times of each process's rounds.

    Returns None with fewer than two processes, or where no process has two rounds.

    Args:
        rounds_by_process: positive step times, in any unit.
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
    """Returns how many rounds a process should run for the narrowest interval in a given time.

    The variance of a cell's estimate from P processes of n rounds is (b² + c w² / n) / P, its cost P (C + n r); the
    product is smallest at n = (w / b) sqrt(c C / r). Of b the limit is taken: few processes agree by chance, and would
    then ask for many rounds, which leave time for few more processes.

    Args:
        found: b's limit, and w.
        process_cost_s: C, starting a process up to its first steady round, in seconds.
        round_cost_s: r, one round, in seconds.
    """
    if found.process_sd_limit == 0:
        return MOST_ROUNDS
    wanted = found.round_sd / found.process_sd_limit * math.sqrt(MEDIAN_FACTOR * process_cost_s / round_cost_s)
    return min(max(math.ceil(wanted), FEWEST_ROUNDS), MOST_ROUNDS)
