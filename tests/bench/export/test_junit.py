from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from bench.commands.cli import main
from bench.comparison.drift import Drift
from bench.comparison.limits import Allowances
from bench.comparison.reports import compare_reports
from bench.export.junit import comparison_as_junit
from bench.report.file import load_report
from bench.schema.parity import ParityResult
from bench.schema.report import Report
from bench.text.numbers import with_interval

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

# The elements and attributes of Jenkins' junit-10.xsd that are used here: required first, then optional ones.
ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (set(), {"name", "tests", "failures", "errors"}),
    "testsuite": ({"name", "tests", "failures", "errors"}, {"skipped", "time", "timestamp"}),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name"}, {"classname"}),
    "failure": (set(), {"message"}),
    "error": (set(), {"message"}),
    "skipped": (set(), {"message"}),
    "system-out": (set(), set()),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}


def valid(text: str) -> ET.Element:
    """Reads JUnit XML by the schema, and checks that the counts are those of the cases."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        required, optional = ATTRIBUTES[element.tag]
        assert required <= set(element.keys()) <= required | optional
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for place in [root, *root.iter("testsuite")]:
        outcomes = Counter(outcome_of(case) for case in place.iter("testcase"))
        assert place.get("tests") == str(outcomes.total())
        assert (place.get("failures"), place.get("errors")) == (str(outcomes["failure"]), str(outcomes["error"]))
        assert place.get("skipped") in (None, str(outcomes["skipped"]))
    return root


def outcome_of(case: ET.Element) -> str:
    return next((child.tag for child in case if child.tag != "system-out"), "passed")


def outcomes(root: ET.Element) -> dict[tuple[str, str], str]:
    found = {}
    for case in root.iter("testcase"):
        key = (case.attrib["classname"].removeprefix("movierank-bench."), case.attrib["name"])
        assert key not in found
        found[key] = outcome_of(case)
    return found


def test_a_report_that_went_well_has_nothing_but_passed_cases(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(real), "--to", "junit", "-o", str(tmp_path / "new" / "report.xml")]) == 0
    assert capsys.readouterr().out == ""
    root = valid((tmp_path / "new" / "report.xml").read_text())
    found = outcomes(root)
    assert set(found.values()) == {"passed"}
    assert Counter(group for group, _ in found) == {"cell": 9, "parity": 45}
    words = " ".join(root.itertext())
    report = load_report(real)
    for row in report.step_time:
        assert f"{with_interval(row.median_ms, row.ci95_ms)} ms over 5 processes" in words
    assert "known deviation: tensorflow-indexed-slices" in words
    (suite,) = root
    assert report.created.startswith(suite.attrib["timestamp"])
    assert report.finished is not None
    started, ended = map(datetime.fromisoformat, (report.created, report.finished))
    assert float(suite.attrib["time"]) == (ended - started).total_seconds()


def test_failures_skips_and_broken_parity_are_distinct(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(broken), "--to", "junit"]) == 0
    root = valid(capsys.readouterr().out)
    assert outcomes(root) == {
        ("cell", "jax/cpu/fit"): "passed",
        ("cell", "torch/cpu/fit"): "passed",
        ("cell", "tensorflow/cpu/fit"): "failure",
        ("cell", "jax/gpu/fit"): "skipped",
        ("worker", "torch/cpu/fit process 2"): "error",
        ("worker", "tensorflow/cpu/fit process 0"): "error",
        ("parity", "jax/cpu/fit and oracle"): "passed",
        ("parity", "jax/cpu/fit and torch/cpu/fit"): "passed",
        ("parity", "torch/cpu/fit and oracle"): "failure",
    }
    messages = [element.get("message") or "" for element in root.iter() if element.get("message")]
    assert "failed: out of <memory>\N{REPLACEMENT CHARACTER}" in messages
    assert any("rms not finite beside 1e-06 from rounding alone" in message for message in messages)


def test_a_comparison_s_verdicts_are_cases(make_report: MakeReport) -> None:
    steady = (1.0, 1.01, 0.99, 1.0)
    fault = ParityResult(a="jax/cpu/fit", b="oracle", stage="rmse", rms=1.0, max_abs=1.0, envelope=1e-6,
                         verdict="outside")  # fmt: skip
    base = make_report({"jax": steady, "torch": steady, "tensorflow": steady})
    new = make_report({"jax": [1.2 * value for value in steady], "torch": steady}, rmse={"torch": 0.27}, parity=[fault])
    comparison = compare_reports(base, new, allowances=Allowances(drift=Drift(sd=0.0, origin="given")))
    root = valid(comparison_as_junit(comparison, "bench compare"))
    assert outcomes(root) == {
        ("step time", "jax/cpu/fit"): "failure",
        ("step time", "torch/cpu/fit"): "passed",
        ("step time", "tensorflow/cpu/fit"): "skipped",
        ("test RMSE", "jax/cpu/fit"): "passed",
        ("test RMSE", "torch/cpu/fit"): "failure",
        ("parity", "jax/cpu/fit and oracle, rmse"): "failure",
    }
    messages = [element.get("message") or "" for element in root.iter("failure")]
    assert re.match(r"more than 5 % longer: 1\.20 \[1\.1", messages[0])
    refused = compare_reports(base, make_report({"jax": steady}, cpu_model="Other"))
    step = outcomes(valid(comparison_as_junit(refused, "bench compare")))[("step time", "jax/cpu/fit")]
    assert step == "skipped"


def test_compare_writes_the_verdicts_beside_its_table(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "verdicts.xml"
    assert main(["compare", str(real), str(real), "--junit", str(file)]) == 0
    assert "new / base" in capsys.readouterr().out
    assert Counter(outcomes(valid(file.read_text())).values()) == {"passed": 18}
