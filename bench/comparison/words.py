"""The result of a comparison in sentences: its answer, and the findings of parity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.comparison.records import Comparison, RmseComparison
from bench.report.scores import METRIC_SHARE
from bench.schema.parity import ParityResult
from bench.text.numbers import listed


@dataclass(frozen=True)
class ParityGroup:
    """Findings of parity under one heading.

    Attributes:
        heading: heading, such as `Newly out of parity`.
        lines: one line a fault, or one a pair.
        fails: whether they fail the gate.
    """

    heading: str
    lines: list[str]
    fails: bool


def conclusion(comparison: Comparison) -> str:
    """Return the answer in a sentence."""
    if comparison.nothing_compared:
        return "The two have nothing that can be compared."
    return "; ".join(filter(None, [_answer(comparison), not_judged_words(comparison)])) + "."


def not_judged_words(comparison: Comparison) -> str:
    """Return the sides whose parity was not judged, in words; an empty text where there is nothing to say."""
    if not comparison.parity_not_judged or comparison.kind == "benchmarks":
        return ""
    if len(comparison.parity_not_judged) == 1:
        return f"parity of {comparison.parity_not_judged[0]} was not judged"
    return "parity was not judged"


def newly(comparison: Comparison) -> str:
    """Return the name of the newer side's faults: `newly out of parity` where they are known to be new."""
    unknown = "base" in comparison.parity_not_judged or comparison.rmse_not_comparable is not None
    return "out of parity" if unknown else "newly out of parity"


def parity_groups(comparison: Comparison) -> list[ParityGroup]:
    """Return all findings of parity, the worst first, without empty groups."""
    faults = [parity_words(result) for result in comparison.parity]
    groups = [
        ParityGroup(newly(comparison).capitalize(), faults, fails=True),
        ParityGroup("Base and new are not the same model", pairs_in_words(comparison.parity_between or []), fails=True),
        ParityGroup("Out of parity in base and in new", pairs_in_words(comparison.parity_kept), fails=False),
        ParityGroup("No longer out of parity", pairs_in_words(comparison.parity_mended), fails=False),
    ]
    return [group for group in groups if group.lines]


def pairs_in_words(results: Sequence[ParityResult]) -> list[str]:
    """Return a line a pair: its first fault, and how many more of its stages have one."""
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
    """Return the findings that were possible; what was not compared or judged is left out."""
    kinds = ["slower"] if any(row.ratio is not None for row in comparison.step_time) else []
    kinds += ["worse"] if comparison.scores else []
    if comparison.kind == "benchmarks" or "new" in comparison.parity_not_judged:
        return kinds
    return [*kinds, f"{'newly ' * bool(comparison.parity_kept)}out of parity"]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return plain dicts, lists and numbers for `compare --json`, with `exit_code`."""
    return {**msgspec.to_builtins(comparison), "exit_code": comparison.exit_code}


def interval_words(confidence: float) -> str:
    """Return the name of a table's interval: `95 % interval`, or for each of several `simultaneous 95 % …`."""
    if confidence <= 0.95:
        return "95 % interval"
    return f"simultaneous 95 % intervals (each {100 * confidence:.4g} %)"


def drift_words(comparison: Comparison) -> str | None:
    """Return the drift that the intervals allow for, in words; None where there is no interval or no drift."""
    if all(row.ci95 is None for row in comparison.step_time):
        return None
    if comparison.together and comparison.drift.origin == "none":
        return (
            "Measured together, round by round: the ratio is of pairs of processes, and drift of the machine cancels."
        )
    return comparison.drift.words


def margin_words(comparison: Comparison) -> str:
    """Return how much worse the score of a trained model may get, in words."""
    if comparison.rmse:
        return f"up to {comparison.rmse_margin:.3g} higher is allowed"
    return f"up to {100 * METRIC_SHARE:.3g} % {'lower' if comparison.better == 'higher' else 'higher'} is allowed"


def rmse_words(row: RmseComparison) -> str:
    """Return a difference of RMSE, or of a metric, with its interval, such as `+0.0012 [+0.0010, +0.0014]`."""
    ends = "" if row.ci95 is None else f" [{row.ci95[0]:+.4f}, {row.ci95[1]:+.4f}]"
    return f"{row.difference:+.4f}{ends}"


def parity_words(result: ParityResult) -> str:
    """Return in words which pair is out of parity, where, and by how much."""
    rms = "not finite" if result.rms is None else f"{result.rms:.2g}"
    return (
        f"{result.a} and {result.b} at stage {result.stage}, rms {rms} beside {result.envelope:.2g} from rounding alone"
    )


def missing_cells(comparison: Comparison) -> list[str]:
    """Return a line for each cell that one side did not measure."""
    sides = (("base", comparison.only_in_base), ("new", comparison.only_in_new))
    return [
        f"Only in {where}: {cell}{f' ({reason})' if reason else ''}"
        for where, cells in sides
        for cell, reason in cells.items()
    ]


def undecided_words(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Return each reason for which rows are undecided, with the names of their cells."""
    reasons: dict[str, list[str]] = {}
    for row in comparison.step_time:
        if row.why_undecided:
            reasons.setdefault(row.why_undecided, []).append(row.cell)
    return list(reasons.items())
