"""Formulas as MathML: browsers draw it by themselves, so that the site needs no script and no network for them.

The documents hold LaTeX in fences named `math`, which GitHub draws, too.
"""

from __future__ import annotations

from typing import Any

from latex2mathml.converter import convert


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **other: Any) -> str:
    """Return one formula a line; called by pymdownx.superfences."""
    formulas = [convert(line, display="block") for line in source.splitlines() if line.strip()]
    return f'<div class="{css_class}">{"".join(formulas)}</div>'
