from __future__ import annotations

import importlib.util
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import BenchError
from bench.page.inputs import load_shown
from bench.page.write import write_page
from bench.report.file import load_report
from bench.report.view import View
from bench.schema.parity import ParityResult
from bench.schema.profile import Profile
from bench.schema.report import Report
from bench.schema.run import Run
from bench.text.headline import answer
from bench.text.numbers import three_digits
from movierank.install_hint import install_hint

pytest.importorskip("altair")
pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

ROOT = Path(__file__).parents[3]
VOID = {"meta", "br", "link", "img", "hr", "input"}
HOSTILE = """</title></svg></script><script src=https://evil.example/x.js>alert("1")</script>'$\\frac{$<b>&\x00\x1b_"""


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data: dict[str, Any] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            if self.elements[-1][1].get("id") == "data":
                self.data = json.loads(data)
        else:
            self.text += data


def page_of(tmp_path: Path, *reports: tuple[str, Report]) -> Page:
    output = tmp_path / "page.html"
    write_page(reports, output)
    return Page(output.read_text())


def data_of(page: Page, key: str) -> list[dict[str, Any]]:
    """Returns the rows of all data of a plot."""
    found = [row for rows in page.data["figures"][key].get("datasets", {}).values() for row in rows]

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            data = part.get("data")
            if isinstance(data, dict) and isinstance(data.get("values"), list):
                found.extend(data["values"])
            for inner in part.values():
                collect(inner)
        elif isinstance(part, list):
            for inner in part:
                collect(inner)

    collect(page.data["figures"][key])
    return found


@pytest.fixture(scope="module")
def page(make_report: MakeReport, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(tmp_path_factory.mktemp("page"), ("results/first", make_report()))


def test_the_page_answers_first_and_then_gives_every_number(page: Page, make_report: MakeReport) -> None:
    said = answer(View(make_report()))
    assert page.text.index(said.speed[0]) < page.text.index("Step time")
    assert said.agreement in page.text
    for words in ("results/first", "AMD EPYC 9554", "epoch 5", "OMP_NUM_THREADS", "5f" * 32, "3.15.1"):
        assert words in page.text
    for number in ("0.25776", "3.84 [3.55, 4.15]", "0.820, 0.790, 0.850"):
        assert number in page.text


def test_each_plot_has_a_text_and_a_table_for_those_who_cannot_see_it(page: Page) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "div" and attributes.get("class") == "plot"]
    labels = {plot["id"]: plot["aria-label"] or "" for plot in plots}
    assert (
        set(labels)
        == set(page.data["figures"])
        == {f"r0-{key}" for key in ("step-time", "final", "epochs", "parity", "phases")}
    )
    assert "jax 0.820 [0.748, 0.898]" in labels["r0-step-time"]
    assert "0 of 21 comparisons are outside" in labels["r0-parity"]
    assert page.text.count("The same as a table") == len(plots)


def test_ids_are_unique_and_references_resolve(make_report: MakeReport, tmp_path: Path) -> None:
    page = page_of(tmp_path, *((name, make_report({"jax": (1.0, 1.1)})) for name in "ab"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "href"):
            value = (attributes.get(name) or "").removeprefix("#")
            assert not value or value in ids or value == "data:,"


def test_hostile_names_stay_text(make_report: MakeReport, tmp_path: Path) -> None:
    run = Run(
        **{"backend": HOSTILE, "device": HOSTILE, "loop": "fit", "process": 0, "seed": 0, "status": "ok"},  # type: ignore[arg-type]
        error=HOSTILE,
        device_name=HOSTILE,
        step_time_ms=[1.0],
        train_rmse=[0.3],
        test_rmse=0.26,
    )
    parity = ParityResult(
        a=str(run.cell),
        b=HOSTILE,
        stage=HOSTILE,
        rms=1e-3,
        max_abs=1.0,
        envelope=1e-5,
        verdict="outside",
        known=HOSTILE,
    )
    report = make_report(
        extra_runs=[run], parity=[parity], cpu_model=HOSTILE, gpus=[HOSTILE], packages={HOSTILE: HOSTILE}
    )
    page = page_of(tmp_path, (HOSTILE, report))
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert len(scripts) == 3
    assert not any("src" in attributes for attributes in scripts)
    assert 'alert("1")</script>' in page.text
    assert "\x00" not in page.text
    assert "\x1b" not in page.text
    write_page([(HOSTILE, report)], tmp_path / "picture.svg")
    ET.parse(tmp_path / "picture.svg")


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_reports_with_holes_still_give_a_page(make_report: MakeReport, tmp_path: Path, suffix: str) -> None:
    failed = Run(backend="torch", device="cpu", loop="fit", process=0, seed=0, status="timeout", error="no answer")
    skipped = Run(backend="jax", device="gpu", loop="fit", process=0, seed=0, status="skipped", error="no GPU")
    lost = ParityResult(
        a="jax/cpu/fit", b="oracle", stage="epoch 1", rms=None, max_abs=None, envelope=1e-5, verdict="outside"
    )
    reports = [
        ("nothing", make_report({}, parity=[])),
        ("failed", make_report({}, extra_runs=[failed, skipped], parity=[])),
        ("one process", make_report({"jax": (1.0,)}, parity=[lost])),
        ("far apart", make_report({("jax", "gpu"): (0.01, 0.011), "jax": (5.0,)}, parity=[])),
    ]
    output = tmp_path / f"page{suffix}"
    write_page(reports, output)
    assert output.stat().st_size > 1000
    if suffix == ".html":
        text = Page(output.read_text()).text
        for words in ("no answer", "no GPU", "No step time was measured", "one process, no interval", "not finite"):
            assert words in text


def test_several_reports_stand_side_by_side_and_in_order_of_time(make_report: MakeReport, tmp_path: Path) -> None:
    reports = [
        (name, msgspec.structs.replace(make_report(), created=f"2025-11-0{day}T12:00:00Z"))
        for name, day in (("new", 2), ("old", 1))
    ]
    page = page_of(tmp_path, *reports)
    assert {"together-step-time", "trend0-0"} <= set(page.data["figures"])
    words = page.text[page.text.index("Step time over time") :]
    assert words.index("2025-11-01T") < words.index("2025-11-02T")
    other = make_report(cpu_model="another machine")
    page = page_of(tmp_path, reports[0], ("elsewhere", other))
    assert "together-step-time" in page.data["figures"]
    assert "trend0-0" not in page.data["figures"]


def test_whatever_was_measured_finds_its_place(tmp_path: Path) -> None:
    results = ROOT / "results"
    names = ("loops-2cores", "cpu-2cores", "sweep/table-rows", "scoring/943x1682.json", "mutants/jax.json")
    output = tmp_path / "all.html"
    write_page(load_shown([results / name for name in names]), output)
    assert output.stat().st_size < 3 * 2**20
    page = Page(output.read_text())
    expected = {"r0-target", "r0-floor", "r0-profiles", "r1-step-time", "s0-time", "s0-memory", "c0-pairs", "m0-faults"}
    assert expected <= set(page.data["figures"])


def test_a_profile_is_a_bar_of_shares_that_add_up_with_words_and_a_table(tmp_path: Path) -> None:
    report = load_report(ROOT / "results" / "loops-2cores")
    page = page_of(tmp_path, ("loops", report))
    drawn: dict[str, float] = {}
    for row in data_of(page, "r0-profiles"):
        drawn[row["cell"]] = drawn.get(row["cell"], 0) + row["value"]
    assert drawn == {str(profile.cell): pytest.approx(1) for profile in report.profiles}
    assert len(drawn) == 9
    (label,) = [a["aria-label"] for tag, a in page.elements if tag == "div" and a.get("id") == "r0-profiles"]
    jax = report.profiles[0]
    assert f"jax fit {jax.shares[0].group} {jax.shares[0].share:.0%}" in (label or "")
    assert f"{100 * jax.shares[0].share:.1f}" in page.text
    assert jax.operations[0].name in page.text


def test_a_profile_that_failed_is_reported_and_not_drawn(make_report: MakeReport, tmp_path: Path) -> None:
    failed = Profile(backend="jax", device="cpu", loop="fit", process=0, error="the profiler saw no step")
    page = page_of(tmp_path, ("a", msgspec.structs.replace(make_report(), profiles=[failed])))
    assert "no profile: the profiler saw no step" in page.text
    assert "r0-profiles" not in page.data["figures"]


def test_the_floor_says_what_binds_it_and_by_which_rates(tmp_path: Path) -> None:
    report = load_report(ROOT / "results" / "loops-2cores")
    page = page_of(tmp_path, ("loops", report))
    fastest = three_digits(max(run.matrix_gflop_s or 0 for run in report.runs))
    notes = [row["note"] for row in data_of(page, "r0-floor") if "note" in row]
    assert len(notes) == len(report.floors)
    assert all(words.startswith(f"arithmetic ({fastest} GFLOP/s, ") and words.endswith(" GB/s)") for words in notes)
    assert "Best rates on this device" in page.text
    assert f"{fastest} GFLOP/s" in page.text


def test_a_metric_of_one_s_own_is_called_by_its_name(make_report: MakeReport, tmp_path: Path) -> None:
    report = make_report()
    workload = msgspec.structs.replace(report.workload, metric="accuracy", workload="own:model")
    runs = [
        msgspec.structs.replace(run, train_rmse=[], test_rmse=None, train_metric=run.train_rmse, test_metric=0.9)
        for run in report.runs
    ]
    page = page_of(tmp_path, ("own", msgspec.structs.replace(report, runs=runs, rmse=[], workload=workload, parity=[])))
    assert "accuracy over epochs" in page.text
    assert "RMSE over epochs" not in page.text


def test_a_picture_shows_every_cell_in_three_plots(make_report: MakeReport, tmp_path: Path) -> None:
    write_page([("a", make_report())], tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert "trains fastest" in root.attrib["aria-label"]
    words = " ".join(root.itertext())
    for title in ("Step time", "RMSE at the end", "Parity by stage", "tensorflow"):
        assert title in words
    write_page([("a", make_report({"jax": (1.0,)}))], tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".html", ".svg", ".png"])
def test_the_same_report_gives_the_same_bytes(make_report: MakeReport, tmp_path: Path, suffix: str) -> None:
    report = make_report({"jax": (1.0, 1.1)})
    for name in "ab":
        write_page([("x", report)], tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_without_altair_the_extra_to_install_is_named(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "altair" else real(name))
    with pytest.raises(BenchError, match=re.escape(install_hint("page"))):
        write_page([("x", make_report())], tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_bad_outputs_and_bad_reports_are_clear_words(make_report: MakeReport, tmp_path: Path) -> None:
    good = [("x", make_report())]
    with pytest.raises(BenchError, match=r"\.html, \.svg or \.png"):
        write_page(good, tmp_path / "page.pdf")
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cannot write .*file is not a folder"):
        write_page(good, tmp_path / "file" / "page.html")
    with pytest.raises(BenchError, match="at least one"):
        write_page([], tmp_path / "page.html")
    runs = [msgspec.structs.replace(run, step_time_ms=[-1.0]) for run in good[0][1].runs]
    with pytest.raises(BenchError, match="impossible step time"):
        write_page([("x", msgspec.structs.replace(good[0][1], runs=runs))], tmp_path / "page.html")
