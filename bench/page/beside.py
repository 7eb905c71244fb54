"""A report's page beside the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def write_page_beside(output: Path) -> None:
    """Write `report.html` into the report's directory if Altair is installed.

    A process of its own draws it, because Altair would double the supervisor's memory. The report is complete without
    its page, so an error of that process is only shown.
    """
    from bench.page.write import can_draw

    if can_draw():
        from bench.report.file import PAGE_NAME

        command = [sys.executable, "-m", "bench", "page", str(output), "-o", str(output / PAGE_NAME)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
