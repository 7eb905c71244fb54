"""Reports and comparisons as JUnit XML, which a CI shows as tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.comparison.records import Comparison
from bench.comparison.words import conclusion, interval_words, not_judged_words, parity_words, rmse_words
from bench.report.scores import metric_label
from bench.report.view import View
from bench.schema.cell import Cell
from bench.schema.parity import ParityResult, breaks_parity, counts
from bench.schema.run import Run
from bench.text.numbers import three_digits, with_interval

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # https://www.w3.org/TR/xml/#charsets

Outcome = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True)
class Case:
    """One test case.

    Attributes:
        group: subject, such as `step time`; a CI shows cases by it.
        name: name of a cell, a pair or a worker.
        outcome: `error` is for a worker that did not finish.
        message: reason where it did not pass.
        output: further text.
    """

    group: str
    name: str
    outcome: Outcome = "passed"
    message: str = ""
    output: str = ""


@dataclass(frozen=True)
class Suite:
    """Test cases with what they have in common; `timestamp` is ISO 8601 in UTC without an offset."""

    name: str
    cases: Sequence[Case]
    properties: dict[str, str]
    timestamp: str | None = None
    seconds: float | None = None


def as_junit(reports: Sequence[View]) -> str:
    """Return a suite a report.

    Its cases are the cells (skipped on this machine, or a failure where no process finished), the workers that did not
    finish (errors), and the pairs whose parity was compared (a failure where they are outside; known deviations and
    reduced precision pass, and say so).
    """
    return _document([_suite(view) for view in reports])


def comparison_as_junit(comparison: Comparison, name: str) -> str:
    """Return a suite with the verdicts of a comparison.

    A regression, a worse RMSE, a pair newly out of parity and one of `bench versus` whose sides lie apart are failures;
    what cannot be compared, or is measured or judged on one side only, is skipped; undecided passes, and says why.
    """
    cases = [*_compared_times(comparison), *_compared_scores(comparison), *_compared_parity(comparison)]
    for side, cells in (("base", comparison.only_in_base), ("new", comparison.only_in_new)):
        for cell, reason in cells.items():
            cases.append(Case("step time", cell, "skipped", f"only in {side}{f': {reason}' if reason else ''}"))
    properties = {
        "conclusion": conclusion(comparison),
        "changes": ", ".join(comparison.changes),
        "notes": "\n".join(comparison.notes),
    }
    return _document([Suite(name, cases, {key: value for key, value in properties.items() if value})])


def _suite(view: View) -> Suite:
    report = view.report
    cells = dict.fromkeys(run.cell for run in report.runs)
    pairs: dict[tuple[str, str], list[ParityResult]] = {}
    for result in report.parity:
        pairs.setdefault((result.a, result.b), []).append(result)
    cases = [_cell(view, cell) for cell in cells]
    cases += [_worker(run) for run in report.runs if run.status not in ("ok", "skipped")]
    cases += [_pair(a, b, results) for (a, b), results in pairs.items()]
    properties = {
        "dataset": report.workload.dataset,
        "cpu": report.machine.cpu_model,
        "python": report.software.python,
        **report.software.packages,
    }
    seconds = None if view.finished is None else (view.finished - view.started).total_seconds()
    return Suite(view.name, cases, properties, view.started.strftime("%Y-%m-%dT%H:%M:%S"), seconds)


def _cell(view: View, cell: Cell) -> Case:
    runs = [run for run in view.report.runs if run.cell == cell]
    ok = sum(run.status == "ok" for run in runs)
    lines = [f"{ok} of {len(runs)} processes finished"]
    lines += [
        f"step time {with_interval(row.median_ms, row.ci95_ms)} ms over {row.processes} processes"
        for row in view.summary.step_time
        if row.cell == cell
    ]
    label = metric_label(view.report.workload)
    lines += [f"test {label} {row.mean:.5f}" for row in view.summary.scores if row.cell == cell]
    reason = next((run.error for run in runs if run.error), "") or ""
    if all(run.status == "skipped" for run in runs):
        return Case("cell", str(cell), "skipped", reason)
    if not ok:
        return Case("cell", str(cell), "failure", f"no process finished: {reason}", "\n".join(lines))
    return Case("cell", str(cell), output="\n".join(lines))


def _worker(run: Run) -> Case:
    log = f"log: {run.log}" if run.log else ""
    return Case("worker", run.name, "error", f"{run.status}: {run.error or 'no reason was recorded'}", log)


def _pair(a: str, b: str, results: Sequence[ParityResult]) -> Case:
    broken = [result for result in results if breaks_parity(result)]
    known = dict.fromkeys(result.known for result in results if result.known)
    lines = [f"{len(results)} stages, {sum(result.verdict == 'within' for result in results)} within rounding"]
    lines += [f"known deviation: {name} (docs/deviations.md)" for name in known]
    if any(result.verdict == "outside" and not counts(result) for result in results):
        lines.append("of reduced precision: outside float32's rounding, and does not count")
    if not broken:
        return Case("parity", f"{a} and {b}", output="\n".join(lines))
    more = f"; {len(broken) - 1} more of its stages are outside" if len(broken) > 1 else ""
    return Case("parity", f"{a} and {b}", "failure", f"{parity_words(broken[0])}{more}", "\n".join(lines))


def _compared_times(comparison: Comparison) -> Iterable[Case]:
    words = interval_words(comparison.step_confidence)
    for row in comparison.step_time:
        base, new = (three_digits(side.median_ms) for side in (row.base, row.new))
        output = f"{base} ms before, {new} ms now"
        if row.ratio is None:
            yield Case("step time", row.cell, "skipped", comparison.not_comparable or "not comparable", output)
            continue
        output += f"; {with_interval(row.ratio, row.ci95)} × as long ({words}); {row.verdict}"
        output += f": {row.why_undecided}" if row.why_undecided else ""
        if row.regression:
            limit = f"more than {comparison.margin_in_words} longer"
            yield Case("step time", row.cell, "failure", f"{limit}: {with_interval(row.ratio, row.ci95)} ×", output)
        else:
            yield Case("step time", row.cell, output=output)


def _compared_scores(comparison: Comparison) -> Iterable[Case]:
    group = f"test {comparison.score_label}"
    for row in comparison.scores:
        output = f"{row.base:.5f} before, {row.new:.5f} now; {rmse_words(row)}; {row.verdict}"
        if row.verdict == "worse":
            yield Case(group, row.cell, "failure", f"worse by {rmse_words(row)}", output)
        else:
            yield Case(group, row.cell, output=output)


def _compared_parity(comparison: Comparison) -> Iterable[Case]:
    for result in [*comparison.parity, *(comparison.parity_between or [])]:
        yield Case("parity", _fault(result), "failure", parity_words(result))
    for result in comparison.parity_kept:
        yield Case("parity", _fault(result), output=f"out of parity in base and in new: {parity_words(result)}")
    for result in comparison.parity_mended:
        yield Case("parity", _fault(result), output=f"no longer out of parity: {parity_words(result)}")
    if len(comparison.parity_not_judged) == 1:
        yield Case("parity", comparison.parity_not_judged[0], "skipped", not_judged_words(comparison))


def _fault(result: ParityResult) -> str:
    return f"{result.a} and {result.b}, {result.stage}"


def _document(suites: Sequence[Suite]) -> str:
    root = ET.Element("testsuites", name="movierank-bench")
    outcomes = Counter(case.outcome for suite in suites for case in suite.cases)
    _count(root, outcomes)
    for suite in suites:
        root.append(_suite_element(suite))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite_element(suite: Suite) -> ET.Element:
    element = ET.Element("testsuite", name=_clean(suite.name))
    outcomes = Counter(case.outcome for case in suite.cases)
    _count(element, outcomes)
    element.set("skipped", str(outcomes["skipped"]))
    if suite.timestamp is not None:
        element.set("timestamp", suite.timestamp)
    if suite.seconds is not None:
        element.set("time", f"{suite.seconds:.3f}")
    properties = ET.SubElement(element, "properties")
    for name, value in suite.properties.items():
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for case in suite.cases:
        classname = _clean(f"movierank-bench.{case.group}")
        child = ET.SubElement(element, "testcase", classname=classname, name=_clean(case.name))
        if case.outcome != "passed":
            ET.SubElement(child, case.outcome, message=_clean(case.message))
        if case.output:
            ET.SubElement(child, "system-out").text = _clean(case.output)
    return element


def _count(element: ET.Element, outcomes: Counter[Outcome]) -> None:
    element.set("tests", str(outcomes.total()))
    element.set("failures", str(outcomes["failure"]))
    element.set("errors", str(outcomes["error"]))


def _clean(text: str) -> str:
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
