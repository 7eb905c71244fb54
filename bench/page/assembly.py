"""A page put together from its parts; one that would be too large draws less, and says so.

First all is drawn. Where that makes more than `MOST_BYTES`, reports are thinned (`bench.page.thinning`); where that is
not enough, the plots and tables of the last reports are left out, and their answers stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from bench.comparison.history import group_reports
from bench.page import other_figures
from bench.page.charts.look import Look, look_of
from bench.page.document import document
from bench.page.figure import Figure, plots_of, section
from bench.page.inputs import Shown
from bench.page.report_section import answer_html, left_out_section, report_section
from bench.page.tables import text
from bench.page.thinning import thinned_words
from bench.report.view import View
from bench.text.numbers import listed

MIB = 2**20
MOST_BYTES = 3 * MIB


@dataclass(frozen=True)
class Part:
    """A section of a page.

    Attributes:
        html: HTML of the section.
        plots: plots of its figures, by key, as `bench.page.figure.plots_of` returns them.
    """

    html: str
    plots: dict[str, str]

    @classmethod
    def of(cls, title: str, key: str, figures: Sequence[Figure]) -> Part:
        """Return a section that holds only figures."""
        return cls(section(title, key, figures), plots_of(figures))


def assemble(shown: Shown) -> tuple[bytes, str]:
    """Return the page of at least one thing, and in a sentence or two what it does not draw."""
    look = look_of(shown.cells())
    answers = [answer_html(view, f"r{place}") for place, view in enumerate(shown.reports)]
    around = _together(shown.reports, look), _others(shown, look)

    def page(reports: Sequence[Part], left_out: str) -> bytes:
        parts = [*around[0], *reports, *around[1]]
        note = [f'<p class="note long">{text(left_out)}</p>'] if left_out else []
        names = chain(*shown.names.values())
        plots = {key: plot for part in parts for key, plot in part.plots.items()}
        title, top = f"movierank-bench: {', '.join(names)}", "\n".join([*answers, *note])
        html = document(title, "movierank-bench", top, "\n".join(part.html for part in parts), plots, look)
        return html.encode(errors="replace")

    whole = page(_reports(shown, look, thin=False), "")
    if len(whole) <= MOST_BYTES:
        return whole, ""
    return _fitted(shown, _reports(shown, look, thin=True), page)


def _fitted(shown: Shown, reports: list[Part], page: Callable[[Sequence[Part], str], bytes]) -> tuple[bytes, str]:
    """Return a page of thinned reports, without those at the end that do not fit; the first one stays."""
    names = shown.names["reports"]
    kept = len(reports)
    while True:
        said = _left_out_words(shown, names[kept:])
        found = page(reports, said)
        if len(found) <= MOST_BYTES:
            return found, said
        if kept <= 1:
            said = f"This page is {len(found) / MIB:.1f} MiB large, more than it should be. {said}".rstrip()
            return page(reports, said), said
        kept -= 1
        reports = [*reports[:kept], Part(left_out_section(f"r{kept}", names[kept]), {}), *reports[kept + 1 :]]


def _left_out_words(shown: Shown, without: Sequence[str]) -> str:
    kept = shown.reports[: len(shown.reports) - len(without)]
    phrases = thinned_words([view.report for view in kept])
    sentences = [f"Not drawn, and not in the tables below the plots: {'; '.join(phrases)}."] if phrases else []
    if without:
        sentences.append(f"Without plots and tables: {listed(without)}.")
    if not sentences:
        return ""
    large = f"All of this would make a page of more than {MOST_BYTES / MIB:g} MiB."
    return f"{large} {' '.join(sentences)} The report.json of each holds everything."


def _together(views: Sequence[View], look: Look) -> list[Part]:
    if len(views) < 2:
        return []
    figures = [other_figures.side_by_side_figure(views, look)]
    figures += other_figures.trend_figures("trend", group_reports(views), look, apart=False)
    return [Part.of("Reports together", "together", figures)]


def _reports(shown: Shown, look: Look, *, thin: bool) -> list[Part]:
    parts = []
    for place, view in enumerate(shown.reports):
        html, figures = report_section(f"r{place}", view, look, thin=thin)
        parts.append(Part(html, plots_of(figures)))
    return parts


def _others(shown: Shown, look: Look) -> list[Part]:
    parts = [
        Part.of(f"Sweep {name}", f"s{place}", list(other_figures.sweep_figures(f"s{place}", sweep, look)))
        for place, (name, sweep) in enumerate(shown.sweeps)
    ]
    parts += [
        Part.of(f"Scoring {name}", f"c{place}", [other_figures.scoring_figure(f"c{place}", scoring, look)])
        for place, (name, scoring) in enumerate(shown.scorings)
    ]
    return parts + [
        Part.of(f"Planted faults {name}", f"m{place}", [other_figures.mutants_figure(f"m{place}", result, look)])
        for place, (name, result) in enumerate(shown.mutants)
    ]
