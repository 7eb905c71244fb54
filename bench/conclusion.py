"""What a comparison comes to, in sentences: the answer, and what is told of parity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.comparison import Comparison, parity_words
from bench.formatting import listed
from bench.parity_records import ParityResult


@dataclass(frozen=True)
class ParityGroup:
    """What is told of parity under one heading.

    Attributes:
        heading: such as `Newly out of parity`.
        lines: one a fault, or one a pair.
        fails: whether the gate fails by it.
    """

    heading: str
    lines: list[str]
    fails: bool


def conclusion(comparison: Comparison) -> str:
    """Returns the answer in a sentence."""
    if comparison.nothing_compared:
        return "The two have nothing that can be compared."
    return "; ".join(filter(None, [_answer(comparison), not_judged_words(comparison)])) + "."


def not_judged_words(comparison: Comparison) -> str:
    """Returns whose parity was not judged; an empty text where nothing is to be told of that."""
    if not comparison.parity_not_judged or comparison.kind == "benchmarks":
        return ""
    if len(comparison.parity_not_judged) == 1:
        return f"parity of {comparison.parity_not_judged[0]} was not judged"
    return "parity was not judged"


def newly(comparison: Comparison) -> str:
    """Returns what to call the newer side's faults: `newly out of parity`, where it is known that they are new."""
    unknown = "base" in comparison.parity_not_judged or comparison.rmse_not_comparable is not None
    return "out of parity" if unknown else "newly out of parity"


def parity_groups(comparison: Comparison) -> list[ParityGroup]:
    """Returns all that is told of parity, the worst first, without empty groups."""
    faults = [parity_words(result) for result in comparison.parity]
    groups = [
        ParityGroup(newly(comparison).capitalize(), faults, fails=True),
        ParityGroup("Base and new are not the same model", pairs_in_words(comparison.parity_between or []), fails=True),
        ParityGroup("Out of parity in base and in new", pairs_in_words(comparison.parity_kept), fails=False),
        ParityGroup("No longer out of parity", pairs_in_words(comparison.parity_mended), fails=False),
    ]
    return [group for group in groups if group.lines]


def pairs_in_words(results: Sequence[ParityResult]) -> list[str]:
    """Returns a line a pair: its first fault, and how many more of its stages have one."""
    pairs: dict[tuple[str, str], list[ParityResult]] = {}
    for result in results:
        pairs.setdefault((result.a, result.b), []).append(result)
    return [
        parity_words(first) + (f"; and at {len(others)} more stage{'s' * (len(others) > 1)}" if others else "")
        for first, *others in pairs.values()
    ]


def _answer(comparison: Comparison) -> str:
    kinds = listed(_kinds(comparison), "or")
    if comparison.new_is_worse:
        return f"Something is {kinds}"
    if comparison.is_worse:
        mended = bool(comparison.parity_mended) and not comparison.parity_kept
        return f"Base and new are not the same model{': base was out of parity, and new is not' * mended}"
    if slower := comparison.slower_within_margin:
        return (
            f"{listed(slower)} {'is' if len(slower) == 1 else 'are'} slower, but not surely by more than "
            f"{comparison.margin_in_words}; nothing else is shown to be {kinds}"
        )
    if any(row.ratio is None for row in comparison.step_time):
        return f"Step times were not compared; nothing else is shown to be {kinds}"
    return f"Nothing is shown to be {kinds}"


def _kinds(comparison: Comparison) -> list[str]:
    """Returns what could have been found: of what was not compared or judged nothing is said."""
    kinds = ["slower"] if any(row.ratio is not None for row in comparison.step_time) else []
    kinds += ["worse"] if comparison.scores else []
    if comparison.kind == "benchmarks" or "new" in comparison.parity_not_judged:
        return kinds
    return [*kinds, f"{'newly ' * bool(comparison.parity_kept)}out of parity"]
