"""The result of `bench mutants` as a table, on the terminal and in Markdown: fault × stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Console
from rich.text import Text

from bench.studies.mutants.records import FaultResult, Mutants, StageRatio
from bench.text.table import FittingTable

WITHIN, OUTSIDE, KNOWN, NONE = "·", "X", "k", " "
HEADINGS: tuple[tuple[str, Literal["left", "right"]], ...] = (
    ("fault", "left"),
    ("first outside", "left"),
    ("× limit", "right"),
    ("test RMSE", "right"),
    ("stages", "left"),
)


def print_mutants(result: Mutants, console: Console) -> None:
    """Print a line for each fault, the verdicts on trainings without one, and what was not as expected."""
    columns = stage_groups(result)
    title = f"{result.backend}: {len(result.faults)} planted faults"
    table = FittingTable(title=title, collapse_padding=True)
    for heading, justify in HEADINGS:
        table.add_column(heading, justify=justify, no_wrap=True)
    for fault in result.faults:
        table.add_row(*map(Text, (fault.name, *_where(fault), _rmse(fault.test_rmse), "".join(_marks(fault, columns)))))
    console.print(table)
    legend = f"stages: {', '.join(columns)}; {WITHIN} within, {OUTSIDE} outside, {KNOWN} outside and known"
    for line in (legend, *summary_lines(result)):
        console.print(Text(line))


def as_markdown(result: Mutants) -> str:
    """Return the matrix fault × stage: the largest distance over its envelope at each stage, bold where outside."""
    columns = stage_groups(result)
    lines = [
        f"| fault | what it does | {' | '.join(columns)} | test RMSE | without |",
        f"|---|---|{'---:|' * (len(columns) + 2)}",
    ]
    for fault in result.faults:
        cells = (_cell(worst_stage(fault.stages, group)) for group in columns)
        rmses = map(_rmse, (fault.test_rmse, fault.clean_test_rmse))
        texts = (text.replace("|", "&#124;") for text in (fault.name, fault.what, *cells, *rmses))
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join([*lines, "", *(f"- {line}" for line in summary_lines(result))]) + "\n"


def summary_lines(result: Mutants) -> list[str]:
    """Return sentences on the result and on what was not as expected."""
    visible = [fault for fault in result.faults if fault.invisible is None]
    found = sum(fault.as_expected for fault in visible)
    lines = [f"{found} of {len(visible)} faults found at the earliest stage where they can be seen"]
    for fault in result.faults:
        if fault.error is not None:
            lines.append(f"{fault.name}: the training broke off: {fault.error}")
        elif fault.invisible is not None:
            lines.append(f"{fault.name}: {'invisible' if fault.as_expected else 'NOT invisible'}: {fault.invisible}")
        elif fault.first is None:
            lines.append(f"{fault.name}: NOT FOUND; it can be seen at {fault.earliest}")
        elif not fault.found:
            lines.append(f"{fault.name}: found at {fault.first.stage}; it can be seen at {fault.earliest}")
    clean = {fault.batch_size: fault.clean_test_rmse for fault in result.faults}
    lines += [f"test RMSE without a fault, batches of {size}: {rmse:.5f}" for size, rmse in clean.items()]
    trainings = sum(block.trainings for block in result.clean)
    lines.append(f"{trainings} trainings without a fault, false alarms: {result.false_alarms}")
    lines += [
        f"false alarm: {block.trained_by}, seed {block.seed}, {alarm.stage}: {_ratio(alarm)} × limit"
        for block in result.clean
        for alarm in block.alarms
    ]
    return lines


def stage_groups(result: Mutants) -> list[str]:
    """Return the kinds of stages in the order of training."""
    trainings = [*(fault.stages for fault in result.faults), *(block.stages for block in result.clean)]
    longest = max(trainings, key=len, default=[])
    return list(dict.fromkeys(stage.group for stage in longest))


def worst_stage(stages: Sequence[StageRatio], group: str) -> StageRatio | None:
    """Return the one of a kind that is furthest out; None where there is none."""
    inside = [stage for stage in stages if stage.group == group]
    return max(inside, key=lambda stage: (stage.alarms, _size(stage)), default=None)


def _size(stage: StageRatio) -> float:
    return float("inf") if stage.ratio is None else stage.ratio


def _marks(fault: FaultResult, columns: Sequence[str]) -> Iterator[str]:
    for group in columns:
        stage = worst_stage(fault.stages, group)
        if stage is None:
            yield NONE
        else:
            yield OUTSIDE if stage.alarms else WITHIN if stage.verdict == "within" else KNOWN


def _where(fault: FaultResult) -> tuple[str, str]:
    if fault.first is None:
        return ("–" if fault.invisible is None else "invisible", "")
    largest = worst_stage(fault.stages, fault.first.group)
    return fault.first.group, _ratio(largest or fault.first)


def _rmse(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"


def _ratio(stage: StageRatio) -> str:
    return "not finite" if stage.ratio is None else f"{stage.ratio:.2g}"


def _cell(stage: StageRatio | None) -> str:
    if stage is None:
        return ""
    text = _ratio(stage)
    return f"**{text}**" if stage.alarms else text if stage.verdict == "within" else f"{text} (known)"
