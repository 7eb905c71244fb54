from __future__ import annotations

import builtins
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from bench.errors import BenchError
from bench.headline import headline
from bench.page import write_page
from bench.parity_records import ParityResult
from bench.report import Report, Run

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

VOID = {"meta", "br", "link", "img", "hr", "input"}
HOSTILE = """</title></svg><script src=https://evil.example/x.js>alert("1")</script>'$\\frac{$<b>&\x00\x1b_"""


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
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
        self.text += data


def page_of(tmp_path: Path, *reports: tuple[str, Report]) -> Page:
    output = tmp_path / "page.html"
    write_page(reports, output)
    return Page(output.read_text())


@pytest.fixture(scope="module")
def source(make_report: MakeReport, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("page") / "page.html"
    write_page([("results/first", make_report())], output)
    return output.read_text()


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_answers_first_and_then_gives_every_number(page: Page, make_report: MakeReport) -> None:
    assert headline(make_report()) in page.text
    for words in ("results/first", "jax/cpu/fit", "tensorflow/cpu/fit", "torch/cpu/fit", "AMD EPYC 9554", "epoch 5"):
        assert words in page.text
    for number in ("0.25776", "3.841", "[3.552, 4.153]", "3.15.1", "OMP_NUM_THREADS", "5f" * 32):
        assert number in page.text


def test_each_figure_is_there_with_a_text_for_those_who_cannot_see_it(page: Page) -> None:
    labels = [attributes.get("aria-label") or "" for tag, attributes in page.elements if tag == "svg"]
    assert [label.split()[0] for label in labels] == ["Step", "RMSE", "Distances"]
    assert "jax/cpu/fit 0.820 [0.748, 0.898]" in labels[0]
    assert "0 of 21 comparisons are outside" in labels[2]
    for title in ("Step time", "RMSE over epochs", "Parity by stage"):
        assert title in page.text


def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "image"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "style"):
                assert "//" not in (value or "")
    assert "@import" not in page.text


def test_ids_are_unique_over_all_figures_and_references_resolve(make_report: MakeReport, tmp_path: Path) -> None:
    page = page_of(tmp_path, *((name, make_report({"jax": (1.0, 1.1)})) for name in "ab"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = {
        match[1]
        for _, attributes in page.elements
        for value in attributes.values()
        for match in re.finditer(r"(?:^#|url\(#)([\w-]+)", value or "")
    }
    assert references
    assert references <= set(ids)


def test_plots_take_the_colour_of_the_page_s_text(source: str) -> None:
    assert "currentColor" in source
    assert "prefers-color-scheme: dark" in source
    assert "#010203" not in source
    assert not re.search(r"(fill|stroke): (#000000|black)", source)


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
    assert "script" not in {tag for tag, _ in page.elements}
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


def test_a_picture_shows_every_cell_in_three_plots(make_report: MakeReport, tmp_path: Path) -> None:
    write_page([("a", make_report())], tmp_path / "a.svg")
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert "trains fastest" in root.attrib["aria-label"]
    words = " ".join(root.itertext())
    for title in ("Step time", "RMSE over epochs", "Parity by stage"):
        assert title in words
    assert words.count("tensorflow/cpu/fit") == 3
    write_page([("a", make_report({"jax": (1.0,)}))], tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".html", ".svg", ".png"])
def test_the_same_report_gives_the_same_bytes_whatever_the_user_s_matplotlib_settings(
    make_report: MakeReport, tmp_path: Path, suffix: str
) -> None:
    import matplotlib as mpl

    report = make_report({"jax": (1.0, 1.1)})
    write_page([("x", report)], tmp_path / f"a{suffix}")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.hashsalt": None}):
        write_page([("x", report)], tmp_path / f"b{suffix}")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_without_matplotlib_the_extra_to_install_is_named(
    make_report: MakeReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: object, **options: object) -> object:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(BenchError, match=re.escape('pip install "movierank-bench[page]"')):
        write_page([("x", make_report())], tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_bad_outputs_and_bad_reports_are_clear_words(make_report: MakeReport, tmp_path: Path) -> None:
    good = [("x", make_report())]
    with pytest.raises(BenchError, match=r"\.html, \.svg or \.png"):
        write_page(good, tmp_path / "page.pdf")
    with pytest.raises(BenchError, match="cannot write"):
        write_page(good, tmp_path / "nowhere" / "page.html")
    with pytest.raises(BenchError, match="at least one"):
        write_page([], tmp_path / "page.html")
    runs = [msgspec.structs.replace(run, step_time_ms=[-1.0]) for run in good[0][1].runs]
    with pytest.raises(BenchError, match="impossible step time"):
        write_page([("x", msgspec.structs.replace(good[0][1], runs=runs))], tmp_path / "page.html")
