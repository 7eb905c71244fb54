"""The page in a real browser: what it says on the console, what it asks for, and what its filters do."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.page.inputs import load_shown
from bench.page.write import write_page

pytestmark = [pytest.mark.backend_free, pytest.mark.browser]

ROOT = Path(__file__).parents[3]
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
    *("disable-component-update", "disable-sync", "disable-dev-shm-usage"),
)
DRAWN_WITHIN = 60  # s
LIGHT, DARK = "light", "dark"

Driver = Any
Open = Callable[..., Driver]


def _missing(reason: str) -> None:
    """Skips, but where the browser's tests are what is run for."""
    if os.environ.get("BENCH_BROWSER") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("altair")
    output = tmp_path_factory.mktemp("browser") / "page.html"
    names = ("loops-2cores", "cpu-2cores", "sweep/table-rows", "scoring/943x1682.json", "mutants/jax.json")
    write_page(load_shown([ROOT / "results" / name for name in names]), output)
    return output


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        _missing("no Chromium with its chromedriver here; Debian has them as chromium and chromium-driver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        _missing("Selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield opened
    opened.quit()


@pytest.fixture
def open_page(driver: Driver, page: Path) -> Open:
    """Opens the page at a width and in a colour scheme, and waits until its plots are drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    def opened(width: int = 1280, scheme: str = LIGHT, media: str = "screen") -> Driver:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        driver.get(page.as_uri())
        WebDriverWait(driver, DRAWN_WITHIN).until(
            lambda each: each.execute_script("return document.documentElement.dataset.drawn")
        )
        return driver

    return opened


def computed(driver: Driver, selector: str, name: str) -> tuple[int, ...]:
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    return tuple(map(int, re.findall(r"\d+", driver.execute_script(script, selector, name))[:3]))


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """WCAG 2.2's contrast ratio of two sRGB colours."""

    def luminance(colour: tuple[int, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def labels(driver: Driver, key: str) -> str:
    return str(driver.execute_script("return document.getElementById(arguments[0]).textContent", key))


def test_every_plot_is_drawn_without_an_error_or_a_request(open_page: Open, page: Path) -> None:
    driver = open_page()
    driver.get_log("browser")
    driver.get_log("performance")
    open_page()
    errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert [url for url in sent if url != page.as_uri() and not url.startswith("data:")] == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    marks = driver.execute_script(
        "return [...document.querySelectorAll('.plot')].map(e => [e.id, e.querySelectorAll('svg path').length,"
        " e.getAttribute('aria-label').length, e.closest('figure').querySelector('details, .scroll') !== null])"
    )
    assert len(marks) > 15
    for key, paths, words, table in marks:
        assert paths > 5, key
        assert words > 20, key
        assert table or key.endswith("memory"), key


def test_filters_leave_out_of_plots_and_tables_what_is_not_chosen(open_page: Open) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver = open_page()
    visible = (
        "return [...document.querySelectorAll('tr[data-cells]')].filter(row => !row.hidden).map(r => r.dataset.cells)"
    )
    assert "torch fit" in labels(driver, "r0-step-time")
    assert any("torch" in cells for cells in driver.execute_script(visible))
    for value in ("torch", "native"):
        driver.find_element(By.CSS_SELECTOR, f"[data-filter][value={value}]").send_keys(Keys.SPACE)
    keys = ("step-time", "final", "target", "floor", "profiles", "phases")
    for key in (*(f"r0-{key}" for key in keys), "together-step-time"):
        words = labels(driver, key)
        assert "jax fused" in words, key
        assert "torch" not in words, key
        assert "native" not in words, key
    cells = " ".join(driver.execute_script(visible))
    assert "jax/cpu/fused" in cells
    assert "torch" not in cells
    assert "native" not in cells
    assert "6 of 12 cells" in driver.find_element(By.TAG_NAME, "output").text
    driver.find_element(By.CSS_SELECTOR, "[data-filter][value=torch]").send_keys(Keys.SPACE)
    assert "torch fused" in labels(driver, "r0-step-time")


def test_with_nothing_chosen_nothing_breaks(open_page: Open) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver = open_page()
    driver.get_log("browser")
    driver.find_element(By.CSS_SELECTOR, "[data-filter][value=cpu]").send_keys(Keys.SPACE)
    assert "jax" not in labels(driver, "r0-step-time")
    driver.find_element(By.CSS_SELECTOR, "[data-filter][value=cpu]").send_keys(Keys.SPACE)
    assert "jax fit" in labels(driver, "r0-step-time")
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_hovering_shows_the_figures(open_page: Open) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    driver = open_page()
    mark = driver.find_element(By.CSS_SELECTOR, "#r0-step-time .mark-symbol path")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    ActionChains(driver).move_to_element(mark).perform()
    shown = WebDriverWait(driver, 10).until(
        lambda each: each.execute_script("return document.querySelector('#vg-tooltip-element.visible')?.textContent")
    )
    assert "process" in shown
    assert "ms/step" in shown


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_text_and_marks_stand_out_in_light_and_dark(open_page: Open, scheme: str) -> None:
    driver = open_page(scheme=scheme)
    ground = computed(driver, "body", "backgroundColor")
    assert (sum(ground) > 380) == (scheme == LIGHT)
    for selector, name in ((".lead", "color"), (".note", "color"), ("summary", "color"), ("td", "color"),
                           (".good", "color"), ("#r0-step-time .role-axis-label text", "fill")):  # fmt: skip
        assert contrast(ground, computed(driver, selector, name)) >= 4.5, selector
    colours = driver.execute_script(
        "return [...new Set([...document.querySelectorAll('#r0-step-time .mark-symbol path')]"
        ".map(mark => getComputedStyle(mark).stroke))]"
    )
    assert len(colours) == 3
    for colour in colours:
        assert contrast(ground, tuple(map(int, re.findall(r"\d+", colour)[:3]))) >= 3, colour


def test_a_phone_scrolls_down_and_not_aside(open_page: Open) -> None:
    driver = open_page(width=360)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    widest = driver.execute_script(
        "return Math.max(...[...document.querySelectorAll('.plot svg')].map(e => e.getBoundingClientRect().right))"
    )
    assert widest <= 360


def test_print_is_on_white_and_shows_what_is_chosen(open_page: Open) -> None:
    driver = open_page(scheme=DARK, media="print")
    assert computed(driver, "body", "backgroundColor") == (255, 255, 255)
    assert computed(driver, "#r0-step-time .role-axis-label text", "fill") == (0, 0, 0)
    assert driver.execute_script("return getComputedStyle(document.querySelector('.filters')).position") == "static"
