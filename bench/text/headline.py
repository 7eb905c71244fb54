"""A report's answer in a few plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.scores import metric_label
from bench.report.summary import Summary
from bench.report.view import View
from bench.schema.cell import FULL, precision_of
from bench.schema.parity import ORACLE, ParityResult, counts
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.numbers import listed
from bench.text.reduced import reduced_lines
from bench.text.speed import is_slower, speed_sentences, times

MANY = 3  # cells; equal values of more are given once


@dataclass(frozen=True)
class Answer:
    """What a report says, each a sentence or some; an empty text where there is nothing to say.

    Attributes:
        speed: who is fastest on each device, and by how much; the first sentence is the one to read first.
        quality: final scores of the trainings.
        agreement: whether they are the same model.
        failures: runs that did not finish or were skipped.
        reduced: a line for each cell of reduced precision.
    """

    speed: Sequence[str]
    quality: str
    agreement: str
    failures: str
    reduced: Sequence[str]


def answer(view: View) -> Answer:
    """Return the report's answer.

    It names a fastest cell only where the interval of every ratio to it lies above 1, and says "too close to
    call" or that one process gives no interval where that is the truth. Cells of reduced precision have lines of their
    own, and are part of the rest only where nothing was measured in float32.
    """
    report, everything, names = view.report, view.summary, view.names
    summary = _in_float32(everything)
    devices = _unique(row.device for row in summary.step_time)
    speed = [
        sentence
        for device in devices
        for sentence in speed_sentences(
            f"On {_place(report, device)}",
            [row for row in summary.step_time if row.device == device],
            summary.ratios,
            names,
        )
    ]
    return Answer(
        speed=[*speed, *_across_devices(summary, devices, names)] if devices else ["No step time was measured."],
        quality=_quality(report, summary, names),
        agreement=_agreement(report, names),
        failures=_failures(report.runs, names),
        reduced=reduced_lines(
            {row.cell: row for row in everything.step_time},
            everything.ratios,
            {row.cell: row for row in everything.scores if report.workload.workload is None},
            report.parity,
            names,
        ),
    )


def headline(view: View) -> str:
    """Return the report's answer as one text, cells of reduced precision in a line each."""
    said = answer(view)
    parts = [*said.speed, said.quality, said.agreement, said.failures]
    return "\n".join([" ".join(part for part in parts if part), *said.reduced])


def _in_float32(summary: Summary) -> Summary:
    """Return the summary of float32 cells, or of all where no float32 step was timed."""
    step_time = [row for row in summary.step_time if precision_of(row.cell) == FULL]
    scores = [row for row in summary.scores if precision_of(row.cell) == FULL]
    return Summary(step_time=step_time, ratios=summary.ratios, scores=scores) if step_time else summary


def _across_devices(summary: Summary, devices: Sequence[str], names: dict[str, str]) -> list[str]:
    """Return how the fastest cell of each further device compares with the fastest of all."""
    best = {device: str(next(row.cell for row in summary.step_time if row.device == device)) for device in devices}
    pairs = [row for row in summary.ratios if row.b == best[devices[0]] and row.a in best.values()]
    decided = [row for row in pairs if is_slower(row)]
    return [f"{names[row.a]} takes {times(row)} as long as {names[row.b]}." for row in decided]


def _place(report: Report, device: str) -> str:
    if device == "cpu":
        return f"this CPU ({report.machine.cpu_model})"
    names = _unique(run.device_name for run in report.runs if run.device == device and run.device_name)
    return f"this {device.upper()} ({', '.join(names)})" if names else f"this {device.upper()}"


def _quality(report: Report, summary: Summary, names: dict[str, str]) -> str:
    rows = summary.scores
    if not rows:
        return ""
    label = metric_label(report.workload)
    means = [f"{row.mean:.4f}" for row in rows]
    if len(rows) > MANY and len(set(means)) == 1:
        return f"Test {label} {means[0]} in all {len(rows)} cells."
    values = ", ".join(f"{mean} ({names[str(row.cell)]})" for mean, row in zip(means, rows, strict=True))
    return f"Test {label} {values}."


def _agreement(report: Report, names: dict[str, str]) -> str:
    results: Sequence[ParityResult] = report.parity
    if not results and report.workload.not_judged is not None:
        return f"Whether the backends agree cannot be judged: {report.workload.not_judged}."
    if not results:
        return "Whether the backends agree was not measured."
    everything, results = results, [result for result in results if counts(result)]
    if not results:
        return ""
    of_what = "All" if len(results) == len(everything) else "All in float32"
    outside = [result for result in results if result.verdict == "outside"]
    if not outside:
        others = ["each other"] if any(row.b != ORACLE for row in results) else []
        others += ["the oracle"] if any(row.b == ORACLE for row in results) else []
        return f"{of_what} agree with {listed(others)} within rounding."
    known = _unique(row.known for row in outside if row.known)
    unknown: dict[tuple[str, str], ParityResult] = {}
    for row in outside:
        if row.known is None:
            unknown.setdefault((row.a, row.b), row)
    parts = [
        f"{names.get(a, a)} and {names.get(b, b)} lie further apart than rounding explains, first at stage {row.stage}."
        for (a, b), row in unknown.items()
    ]
    if known:
        parts.append(f"Known deviation: {listed(known)} (see docs/deviations.md).")
    if not unknown:
        parts.insert(0, f"{of_what.replace('All', 'All else')} agrees within rounding.")
    return " ".join(parts)


def _failures(runs: Sequence[Run], names: dict[str, str]) -> str:
    bad = [run for run in runs if run.status not in ("ok", "skipped")]
    skipped = _unique(names[str(run.cell)] for run in runs if run.status == "skipped")
    parts = []
    if bad:
        cells = listed(_unique(names[str(run.cell)] for run in bad))
        reason = next((f", the first with: {run.error}" for run in bad if run.error), "")
        parts.append(f"{len(bad)} of {len(runs)} runs did not finish ({cells}){reason}.")
    if skipped:
        parts.append(f"Skipped: {listed(skipped)}.")
    return " ".join(parts)


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
