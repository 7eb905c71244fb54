"""A report's page, drawn by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def write_page_beside(output: Path) -> None:
    """Writes `report.html` into the report's directory where Altair is there to draw it.

    In a process of its own: what draws would double the supervisor's memory. A page that cannot be written
    takes nothing from the report, so its error is only shown.
    """
    from bench.page.write import can_draw

    if can_draw():
        from bench.report.file import PAGE_NAME

        command = [sys.executable, "-m", "bench", "page", str(output), "-o", str(output / PAGE_NAME)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
