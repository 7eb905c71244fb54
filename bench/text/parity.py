"""What a joined parity says, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bench.parity.join import JoinedParity
from bench.schema.parity import ORACLE, Divergence, ParityResult, counts, share_of_envelope
from bench.text.numbers import listed

DEVIATIONS = "docs/deviations.md"

T = TypeVar("T")


def short_names(joined: JoinedParity) -> dict[str, str]:
    """Return each cell's shortest clear name: `jax` or `jax:bfloat16` where the backend says all else."""
    cells = [(cell, name) for report in joined.reports for cell, name in report.cells.items()]
    backends = [cell.partition("/")[0] for cell, _ in cells]
    if len(set(backends)) < len(cells):
        return {name: name for _, name in cells}
    precisions = ["".join(cell.rpartition("/")[2].partition(":")[1:]) for cell, _ in cells]
    return {name: f"{b}{p}" for b, p, (_, name) in zip(backends, precisions, cells, strict=True)}


def headline(joined: JoinedParity) -> str:
    """Return in a sentence or two whether the cells are the same model, and known deviations after it.

    A cell that is outside against the oracle is named as the one that differs. A cell of reduced precision is named
    apart: it is another arithmetic, not another model.
    """
    names = short_names(joined)
    judged = [result for result in joined.results if counts(result)]
    cells = _unique(result.a for result in judged)
    if not cells:
        return " ".join(["No training in float32 was compared.", *_reduced(joined, names)])
    broken = _unique(result.a for result in joined.outside if result.b == ORACLE)
    same = [cell for cell in cells if cell not in broken]
    parts = [*_sameness(same, joined, judged, names), *_differences(broken, joined, names)]
    return " ".join([*parts, *_known(judged), *_reduced(joined, names)])


def _sameness(
    same: Sequence[str], joined: JoinedParity, judged: Sequence[ParityResult], names: dict[str, str]
) -> list[str]:
    apart = _unique((r.a, r.b) for r in joined.outside if r.a in same and r.b in same)
    if apart:
        return [
            f"{names[a]} and {names[b]} lie further apart than rounding explains, first at stage "
            f"{_first(joined, a, b).stage}."
            for a, b in apart
        ]
    if not same:
        return []
    stages = [{r.stage for r in judged if (r.a, r.b) == (cell, ORACLE)} for cell in same]
    compared = any(r.a in same and r.b in same for r in judged)
    seeds = sorted({seed for report in joined.reports for seed in report.seeds})
    how = (
        f"({'with each other and with the oracle, ' * compared}within rounding"
        f"{', known deviations aside' * any(r.known is not None for r in judged)}; "
        f"seed{'s' * (len(seeds) > 1)} {listed(map(str, seeds))}{_first_steps(judged, seeds)})"
    )
    what = "are the same model" if len(same) > 1 else "is the oracle's model"
    return [f"{listed(names[cell] for cell in same)} {what} at all {len(set.intersection(*stages))} stages {how}."]


def _first_steps(judged: Sequence[ParityResult], seeds: Sequence[int]) -> str:
    """Return the seeds whose first steps were recorded, in words, where that is not all."""
    recorded = sorted({r.seed for r in judged if "/" in r.stage and r.seed is not None})
    if recorded == list(seeds):
        return ""
    return f", the first steps {f'of {listed(map(str, recorded))} alone' if recorded else 'not recorded'}"


def _differences(broken: Sequence[str], joined: JoinedParity, names: dict[str, str]) -> list[str]:
    firsts = {cell: _first(joined, cell, ORACLE) for cell in broken}
    return [
        f"{names[cell]} is not the same model: it leaves the oracle at stage {first.stage}, {_times(first)}."
        for cell, first in firsts.items()
    ]


def _times(result: ParityResult) -> str:
    if result.rms is None:
        return "with values that are not finite"
    return f"at {times(result)} times what rounding explains"


def times(result: ParityResult) -> str:
    """Return the distance over the envelope, as `0.31`, `41` or `2e6`."""
    if result.rms is None:
        return "nan"
    ratio = share_of_envelope(result)
    if ratio < 1e4:
        return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
    return f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")


def _known(judged: Iterable[ParityResult]) -> list[str]:
    found: dict[str, set[str]] = {}
    for result in judged:
        if result.known is not None:
            found.setdefault(result.known, set()).add(result.stage)
    said = [f"{known} (at {len(stages)} stage{'s' * (len(stages) > 1)})" for known, stages in found.items()]
    return [f"Known deviation: {listed(said)}; see {DEVIATIONS}."] if said else []


def _reduced(joined: JoinedParity, names: dict[str, str]) -> list[str]:
    reduced = [result for result in joined.results if result.b == ORACLE and not counts(result)]
    sentences = []
    for cell in _unique(result.a for result in reduced):
        mine = [result for result in reduced if result.a == cell]
        outside = [result for result in mine if result.verdict == "outside" and result.known is None]
        sentences.append(
            f"{names[cell]} is of reduced precision and does not count: it is outside float32's rounding at "
            f"{len(outside)} of {len(mine)} stages."
        )
    return sentences


def breaks(joined: JoinedParity) -> list[str]:
    """Return one sentence a pair that is outside and not known: where first, how far, and where it parted."""
    names = short_names(joined)
    return [_break(joined, a, b, names) for a, b in _unique((result.a, result.b) for result in joined.outside)]


def _break(joined: JoinedParity, a: str, b: str, names: dict[str, str]) -> str:
    first = _first(joined, a, b)
    who = f"{names.get(a, a)} – {names.get(b, b)}"
    where = f" at {place(first)}" if first.where is not None else ""
    distance = "" if first.rms is None else f": rms {first.rms:.2g}, largest difference {first.max_abs:.2g}{where}"
    ulps = "" if first.ulps is None else f", {first.ulps:.3g} ulps"
    seed = "" if first.seed is None else f", seed {first.seed}"
    divergence = next(
        (d for d in joined.divergences if (d.a, d.b, d.seed) == (a, b, first.seed) and d.step is not None), None
    )
    return (
        f"{who}: outside first at stage {first.stage}, {_times(first)}{distance}{ulps}{seed}."
        f"{'' if divergence is None else f' {_parted(divergence)}'}"
    )


def _parted(divergence: Divergence) -> str:
    by = "" if divergence.difference is None else f", by {divergence.difference:.2g}"
    return f"They part at step {divergence.step}: {divergence.unit}{by}."


def place(result: ParityResult) -> str:
    """Return where the largest difference is, as `kernel1[3,17]`."""
    index = ",".join(map(str, result.where or ()))
    return f"{result.stage.partition('/')[2]}[{index}]"


def _first(joined: JoinedParity, a: str, b: str) -> ParityResult:
    """Return the first record of a pair that breaks parity; results are in the order of training."""
    return next(result for result in joined.outside if (result.a, result.b) == (a, b))


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
