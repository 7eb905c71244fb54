"""What the parity of two reports says side by side: what is newly outside, what was so before, and what was mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.schema.parity import ParityResult, breaks_parity
from bench.schema.report import SIDES, Side


@dataclass(frozen=True)
class ComparedParity:
    """Parity of an older and a newer report, each judged by itself.

    Attributes:
        newly: faults of the newer report that the older one lacks, did not judge, or judged of another workload.
        kept: faults of the newer report that the older one has, too.
        mended: faults of the older report that the newer one has no longer.
        not_judged: sides without a judgement, such as with `--no-parity`, or where it was cut off.
    """

    newly: list[ParityResult]
    kept: list[ParityResult]
    mended: list[ParityResult]
    not_judged: list[Side]


def compare_parity(
    base: Sequence[ParityResult], new: Sequence[ParityResult], cells: tuple[str, str] | None, *, same_workload: bool
) -> ComparedParity:
    """Compare the parity of two reports, or of one cell of each.

    Args:
        base: all records of the older report.
        new: all records of the newer one.
        cells: names of one cell of each side, to report faults of these cells only; None for all.
        same_workload: whether a fault of one may be the same as one of the other.
    """
    older, newer = (None, None) if cells is None else cells
    renamed = {} if cells is None else {cells[0]: cells[1]}

    def key(result: ParityResult) -> tuple[str, str, str]:
        """Return the name that a record of the older report has in the newer one."""
        return renamed.get(result.a, result.a), renamed.get(result.b, result.b), result.stage

    before = {key(result): result for result in base if same_workload and breaks_parity(result)}
    now = {(result.a, result.b, result.stage): result for result in new}
    faults = {place: result for place, result in now.items() if breaks_parity(result) and _is_of(result, newer)}
    return ComparedParity(
        newly=[result for place, result in faults.items() if place not in before],
        kept=[result for place, result in faults.items() if place in before],
        mended=[
            result
            for place, result in before.items()
            if _is_of(result, older) and place in now and _is_explained(now[place])
        ],
        not_judged=[
            side
            for side, results, cell in zip(SIDES, (base, new), (older, newer), strict=True)
            if not any(_is_of(result, cell) for result in results)
        ],
    )


def _is_of(result: ParityResult, cell: str | None) -> bool:
    return cell is None or cell in (result.a, result.b)


def _is_explained(result: ParityResult) -> bool:
    # Reduced precision breaks no parity, yet to lie outside with it mends nothing.
    return result.verdict == "within" or result.known is not None
