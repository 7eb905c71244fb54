"""The page itself: style, filters, figures' data, and the script that draws and filters them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from bench.page.charts.drawing import libraries
from bench.page.charts.look import Look, config, plain
from bench.page.figure import inert
from bench.page.tables import text

SHAPE_PATHS = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "triangle-up": "M0 -4.5L5 4.5L-5 4.5z",
    "square": "M-4 -4h8v8h-8z",
    "diamond": "M0 -5.5L5 0L0 5.5L-5 0z",
    "cross": "M-5 -1.7h3.3v-3.3h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3z",
    "triangle-down": "M0 4.5L5 -4.5L-5 -4.5z",
    "triangle-right": "M4.5 0L-4.5 5L-4.5 -5z",
    "triangle-left": "M-4.5 0L4.5 5L4.5 -5z",
}


def document(title: str, heading: str, top: str, sections: str, plots: Mapping[str, str], look: Look) -> str:
    """Return a whole page that needs nothing but itself.

    Args:
        title: title of the window.
        heading: heading of the page.
        top: HTML before the filters, such as the answers.
        sections: HTML after the filters.
        plots: plots of all sections by key, as `bench.page.figure.plots_of` returns them.
        look: look of all figures; the filters choose from its cells.
    """
    here = files("bench.page")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    cells = {str(cell): [cell.backend, cell.device, cell.loop] for cell in look.cells}
    figures = ",".join(f"{inert(key)}:{plot}" for key, plot in plots.items())
    data = f'{{"config":{inert(config())},"cells":{inert(cells)},"figures":{{{figures}}}}}'
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{text(heading)}</h1>
{top}
</header>
{_filters(look)}
<main>
<noscript><p class="lead">Without JavaScript there are no plots; the tables below hold the same figures.</p></noscript>
{sections}
</main>
<footer>Written by movierank-bench. Every plot has its figures in a table below it; all raw samples are in
report.json.</footer>
<script type="application/json" id="data">{data}</script>
<script>{libraries()}</script>
<script>{script}</script>
</body>
</html>
"""


def _filters(look: Look) -> str:
    """Return a box for each backend, device and loop; they name the colours and shapes of the plots too."""
    if not look.cells:
        return ""
    colours, shapes = look.colours(), look.shapes()
    groups = [
        ("backend", "Backend", dict.fromkeys(cell.backend for cell in look.cells)),
        ("device", "Device", dict.fromkeys(cell.device for cell in look.cells)),
        ("loop", "Loop", [loop for loop in look.shapes() if loop in {plain(cell.loop) for cell in look.cells} - {""}]),
    ]
    boxes = []
    for key, title, values in groups:
        if not values:
            continue
        inputs = "".join(
            f'<label><input type="checkbox" data-filter="{key}" value="{text(value)}" checked> '
            f"{_sign(key, plain(value), colours, shapes)}{text(plain(value))}</label>"
            for value in values
        )
        boxes.append(f'<fieldset><legend>{title}</legend><div class="boxes">{inputs}</div></fieldset>')
    return f"""<form class="filters" aria-label="What plots and tables show">
{"".join(boxes)}
<output aria-live="polite">{len(look.cells)} of {len(look.cells)} cells</output>
</form>"""


def _sign(key: str, value: str, colours: dict[str, str], shapes: dict[str, str]) -> str:
    start = '<svg class="sign" viewBox="-7 -7 14 14" aria-hidden="true">'
    if key == "backend":
        return f'{start}<path d="{SHAPE_PATHS["circle"]}" fill="{colours[value]}" transform="scale(1.4)"></path></svg>'
    if key == "loop":
        return f'{start}<path d="{SHAPE_PATHS[shapes[value]]}" fill="currentColor"></path></svg>'
    filling = "currentColor" if value == "cpu" else "none"
    drawn = f'fill="{filling}" stroke="currentColor" stroke-width="1.5"'
    return f'{start}<path d="{SHAPE_PATHS["circle"]}" {drawn}></path></svg>'
