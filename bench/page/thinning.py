"""The part that is drawn of reports too large for one page, by rules that the page states.

The page's answers, its intervals and everything that is out of parity stay; report.json holds the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.schema.parity import ORACLE, ParityResult, group_of, share_of_envelope, worst_by_group
from bench.schema.report import Report
from bench.schema.run import Run

MOST_EPOCHS = 20  # of a training
MOST_DOTS = 20  # of a cell

Curve = tuple[Run, dict[int, float]]


def drawn_parity(report: Report, *, thin: bool) -> list[ParityResult]:
    """Return the worst record of each pair and kind of stage.

    Args:
        report: report to draw.
        thin: of pairs of cells that are within at a stage, return only the one furthest out.
    """
    worst = worst_by_group(report.parity)
    if not thin:
        return worst
    furthest: dict[str, ParityResult] = {}
    for result in filter(_agree, worst):
        known = furthest.get(group := group_of(result.stage))
        if known is None or share_of_envelope(result) > share_of_envelope(known):
            furthest[group] = result
    kept = {id(result) for result in furthest.values()}
    return [result for result in worst if not _agree(result) or id(result) in kept]


def drawn_curves(report: Report, *, thin: bool) -> list[Curve]:
    """Return each run with its score on the train part by epoch, of the runs that have any.

    Args:
        report: report to draw.
        thin: return only the first process of each cell and seed, and of its epochs some evenly spread, the first
            and the last among them.
    """
    curves = [(run, dict(enumerate(run.train_scores, start=1))) for run in report.runs if run.train_scores]
    if not thin:
        return curves
    first: dict[tuple[str, int], Curve] = {}
    for run, scores in curves:
        step = 1 if len(scores) <= MOST_EPOCHS else -(-len(scores) // (MOST_EPOCHS - 1))
        some = {epoch: score for epoch, score in scores.items() if epoch == 1 or (len(scores) - epoch) % step == 0}
        first.setdefault((str(run.cell), run.seed), (run, some))
    return list(first.values())


def drawn_dots(dots: Sequence[tuple[float, str]], *, thin: bool) -> list[tuple[float, str]]:
    """Return dots of one cell: all, or of many `MOST_DOTS` evenly spread by rank, both ends among them."""
    if not thin or len(dots) <= MOST_DOTS:
        return list(dots)
    ranked = sorted(dots)
    return [ranked[round(place * (len(ranked) - 1) / (MOST_DOTS - 1))] for place in range(MOST_DOTS)]


def thinned_words(reports: Sequence[Report]) -> list[str]:
    """Return the parts that these rules leave out of plots and tables, a phrase each."""
    phrases = []
    if pairs := sum(_fewer(report, drawn_parity) for report in reports):
        phrases.append(
            f"{pairs:,} comparisons of two cells that agree within rounding, all but the furthest out of each stage"
        )
    if any(_fewer(report, drawn_curves) for report in reports):
        phrases.append("trainings over epochs, but for each cell's first process of a seed")
    if any(len(run.train_scores) > MOST_EPOCHS for report in reports for run in report.runs):
        phrases.append(f"epochs, but for at most {MOST_EPOCHS} of a training")
    cells = [sum(run.cell == cell for run in r.runs) for r in reports for cell in {run.cell for run in r.runs}]
    if any(count > MOST_DOTS for count in cells):
        phrases.append(f"dots of processes, but for {MOST_DOTS} of a cell, evenly spread by rank")
    return phrases


def _agree(result: ParityResult) -> bool:
    return result.b != ORACLE and result.verdict == "within"


def _fewer(report: Report, drawn: Callable[..., Sequence[object]]) -> int:
    return len(drawn(report, thin=False)) - len(drawn(report, thin=True))
