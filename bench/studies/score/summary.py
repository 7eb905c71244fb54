"""What follows from the rounds of `python -m bench score`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from bench.statistics.calm import Marked, calm, calm_processes, limit_of, marked
from bench.statistics.intervals import paired_ratio, process_median, typical
from bench.studies.score.records import ScoreRun, Throughput
from movierank.weights import HIDDEN_UNITS

Kind = Literal["top", "predict", "products"]
COLUMNS: dict[Kind, tuple[str, str]] = {  # of a run: rates, and the handover ratios of their rounds
    "top": ("pairs_per_s", "handover"),
    "predict": ("predict_pairs_per_s", "predict_handover"),
    "products": ("products_per_s", "products_handover"),
}

FLOP_PER_PAIR = 2 * (HIDDEN_UNITS[0] * HIDDEN_UNITS[1] + HIDDEN_UNITS[1])
"""Of the products that no two pairs share: the second layer's and the last one's, each a multiplication and addition.

What a user or a movie costs once, and all that is no product (an addition and a relu for each hidden unit, the search
for the best), is left out: the floor is what no exact way of scoring all pairs can be faster than.
"""


@dataclass(frozen=True)
class Medians:
    """The median round of one process, of those that count.

    Attributes:
        pairs: pairs a second of the search.
        predicted: of `predict`.
        products: floating-point operations a second of the fastest product.
    """

    pairs: float
    predicted: float
    products: float


def throughput(runs: Sequence[ScoreRun], num_movies: int) -> list[Throughput]:
    """Return a line for each cell that was measured, the fastest first."""
    limit = limit_of(ratios_of(runs))
    found: dict[str, dict[int, list[list[Marked]]]] = {}
    for run in runs:
        if run.pairs_per_s and run.predict_pairs_per_s and run.products_per_s:
            found.setdefault(run.cell, {})[run.process] = [rounds_of(run, kind, limit) for kind in COLUMNS]
    measured = {cell: _medians(by_process) for cell, by_process in found.items()}
    best_products: dict[str, float] = {}
    for cell, processes in measured.items():
        device = cell.partition("/")[2]
        rate = statistics.median(medians.products for medians in processes.values())
        best_products[device] = max(rate, best_products.get(device, 0.0))
    lines = [
        _line(cell, list(processes.values()), num_movies, best_products[cell.partition("/")[2]])
        for cell, processes in measured.items()
    ]
    if any(ratio is not None for ratio in ratios_of(runs)):
        lines = [replace(line, **_state(found[line.cell])) for line in lines]
    lines.sort(key=lambda line: -line.pairs_per_s)
    return lines[:1] + [_beside_fastest(line, measured[line.cell], measured[lines[0].cell]) for line in lines[1:]]


def ratios_of(runs: Iterable[ScoreRun]) -> Iterator[float | None]:
    """Yield the handover ratios of all rounds of `runs`, of all kinds."""
    return (ratio for run in runs for _, looks in COLUMNS.values() for ratio in getattr(run, looks))


def rounds_of(run: ScoreRun, kind: Kind, limit: float) -> list[Marked]:
    """Return the rates of a run's rounds of one kind, and whether each was timed with cores apart.

    Args:
        run: that measured them.
        kind: of the rounds.
        limit: as `bench.statistics.calm.limit_of` returns it for the whole result.
    """
    rates, looks = COLUMNS[kind]
    return marked(getattr(run, rates), getattr(run, looks), limit)


def _medians(found: Mapping[int, Sequence[Sequence[Marked]]]) -> dict[int, Medians]:
    kept = calm_processes(found)
    if kept is None:
        return {
            process: Medians(*(process_median([rate for rate, _ in rounds]) for rounds in kinds))
            for process, kinds in found.items()
        }
    return {
        process: Medians(*(process_median(calm(rounds)) for rounds in kinds))
        for process, kinds in found.items()
        if process in kept
    }


def _state(found: Mapping[int, Sequence[Sequence[Marked]]]) -> dict[str, int | bool]:
    apart = sum(apart for kinds in found.values() for rounds in kinds for _, apart in rounds)
    return {"apart_rounds": apart, "calm": calm_processes(found) is not None}


def _line(cell: str, processes: Sequence[Medians], num_movies: int, best_products: float) -> Throughput:
    pairs = [medians.pairs for medians in processes]
    rate = typical(pairs)
    floor = paired_ratio([medians.products / FLOP_PER_PAIR for medians in processes], pairs)
    gain = paired_ratio(pairs, [medians.predicted for medians in processes])
    return Throughput(
        cell=cell,
        processes=len(processes),
        pairs_per_s=rate.value,
        pairs_ci95=rate.ci95,
        users_per_s=rate.value / num_movies,
        times_floor=floor.value,
        times_floor_ci95=floor.ci95,
        times_best_floor=best_products / FLOP_PER_PAIR / rate.value,
        gain=gain.value,
        gain_ci95=gain.ci95,
    )


def _beside_fastest(line: Throughput, own: dict[int, Medians], fastest: dict[int, Medians]) -> Throughput:
    both = sorted(set(own) & set(fastest))  # processes of one index ran side by side
    if not both:
        return line
    ratio = paired_ratio([fastest[process].pairs for process in both], [own[process].pairs for process in both])
    return replace(line, times_fastest=ratio.value, times_fastest_ci95=ratio.ci95)
