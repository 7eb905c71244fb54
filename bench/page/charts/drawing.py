"""Charts as a picture or as what a page embeds; the libraries that draw them there."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import Any

import vl_convert

from bench.page.charts.look import CONTROL, config

VERSION = "6.4"  # of Vega-Lite, the one that Altair 6.3 writes for
SCALE = 2.0  # px of a PNG for each px of the plot
PICTURE_STYLE = (
    "<style>svg{color:#1f2328;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>"
)


def spec(chart: Any) -> dict[str, Any]:
    """Return the chart as Vega-Lite, without what a page holds once for all of them."""
    content: dict[str, Any] = json.loads(chart.to_json(validate=True))
    content.pop("config", None)
    return content


@cache
def libraries() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script that asks nobody for anything."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VERSION)
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def picture(chart: Any, suffix: str, description: str) -> bytes:
    """Return the chart as `.svg` or `.png`, on a ground of its own; an SVG is dark for those who read in the dark.

    Args:
        chart: chart with a width in px.
        suffix: suffix of the file.
        description: content in words, for those who cannot see it.
    """
    content = spec(chart)
    if suffix == ".png":
        look = {**config("#1f2328", "sans-serif"), "background": "#ffffff"}
        data: bytes = vl_convert.vegalite_to_png(content, vl_version=VERSION, config=look, scale=SCALE)
        return data
    drawn: str = vl_convert.vegalite_to_svg(content, vl_version=VERSION, config=config(font="sans-serif"))
    label = escape(CONTROL.sub("\N{REPLACEMENT CHARACTER}", description), quote=True)
    head, _, rest = drawn.partition(">")
    return f'{head} role="img" aria-label="{label}">{PICTURE_STYLE}{rest}'.encode()
