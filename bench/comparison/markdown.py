"""A comparison as GitHub-flavoured Markdown, to be posted on a pull request."""

from __future__ import annotations

from bench.comparison.records import Comparison
from bench.comparison.words import (
    conclusion,
    drift_words,
    interval_words,
    margin_words,
    missing_cells,
    newly,
    not_judged_words,
    parity_groups,
    parity_words,
    rmse_words,
    undecided_words,
)
from bench.text.markdown import code, folded, plain, table
from bench.text.numbers import three_digits, with_interval


def as_markdown(comparison: Comparison) -> str:
    """Return the verdict in a line, the table of step times with what its verdicts rest on, and the rest folded.

    Names from the reports are shown as they are; nothing in them is read as Markdown or HTML, or notifies anyone.
    """
    parts = [f"**movierank-bench:** {_verdict(comparison)}"]
    if comparison.not_comparable:
        parts.append(f"Times are not comparable: {plain(comparison.not_comparable)}")
    if comparison.step_time:
        parts.append(_step_time(comparison))
        parts.append(
            f"{comparison.what_is_timed} in ms, ratio with {interval_words(comparison.step_confidence)}; "
            f"up to {comparison.margin_in_words} longer is fine."
        )
        parts += [plain(line) for line in [drift_words(comparison)] if line]
        parts += ["\n".join(f"- {plain(note)}" for note in comparison.notes)] if comparison.notes else []
    undecided = [f"{', '.join(map(code, cells))}: {why}." for why, cells in undecided_words(comparison)]
    parts += [*folded("Undecided", undecided), *folded(f"Test {plain(comparison.score_label)}", _scores(comparison))]
    for group in parity_groups(comparison):
        parts += folded(group.heading, map(code, group.lines))
    parts += folded("Measured on one side only", map(plain, missing_cells(comparison)))
    parts += folded("Changed", map(code, comparison.changes))
    return "\n\n".join(parts) + "\n"


def _verdict(comparison: Comparison) -> str:
    found = [
        f"{code(row.cell)} takes {with_interval(row.ratio, row.ci95)} × as long"
        for row in comparison.step_time
        if row.regression and row.ratio is not None
    ]
    found += [
        f"the test {plain(comparison.score_label)} of {code(row.cell)} is worse by {rmse_words(row)}"
        for row in comparison.scores
        if row.verdict == "worse"
    ]
    if comparison.parity:
        found.append(f"{newly(comparison)}: {code(parity_words(comparison.parity[0]))}")
        if others := len(comparison.parity) - 1:
            found.append(f"{others} more of that kind")
    if found:
        return f"regression: {'; '.join(filter(None, [*found, not_judged_words(comparison)]))}."
    undecided = sum(row.verdict == "undecided" for row in comparison.step_time)
    return plain(conclusion(comparison)) + (
        f" {undecided} of {len(comparison.step_time)} undecided." if undecided else ""
    )


def _step_time(comparison: Comparison) -> str:
    return table(
        ("cell", "base", "new", "new / base", "verdict"),
        [
            (
                code(row.cell),
                three_digits(row.base.median_ms),
                three_digits(row.new.median_ms),
                "-" if row.ratio is None else with_interval(row.ratio, row.ci95),
                f"**{row.verdict}, regression**" if row.regression else row.verdict,
            )
            for row in comparison.step_time
        ],
    )


def _scores(comparison: Comparison) -> list[str]:
    if comparison.rmse_not_comparable:
        return [f"Not comparable: {plain(comparison.rmse_not_comparable)}"]
    if not comparison.scores:
        return []
    rows = [(code(r.cell), f"{r.base:.4f}", f"{r.new:.4f}", rmse_words(r), r.verdict) for r in comparison.scores]
    words = f"{interval_words(comparison.rmse_confidence)}; {margin_words(comparison)}"
    return [f"{table(('cell', 'base', 'new', 'new - base', 'verdict'), rows)}\n\nMean over seeds, with {words}."]
