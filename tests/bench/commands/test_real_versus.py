"""Two environments side by side, with real workers under the current backend."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bench.commands.cli import main
from bench.report.file import load_report

pytestmark = pytest.mark.one_backend

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")


def test_real_workers_of_two_pythons(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one twice, so that nothing differs."""
    monkeypatch.setattr("bench.page.beside.write_page_beside", lambda output: None)  # a page of either takes seconds
    output = tmp_path / "both"
    code = main(
        ["versus", sys.executable, sys.executable, "--backends", BACKEND, "--dataset", "synthetic:50x40x2000",
         "--batch-size", "100", "--quick", "--patience", "0", "--seeds", "1", "--processes", "1", "--rounds", "2",
         "--threads", "1", "--max-regression", "10000%", "--json", "--output", str(output)]
    )  # fmt: skip
    printed = capfd.readouterr()
    assert code == 0, printed.err
    found = json.loads(printed.out)
    assert "are the same model at all" in printed.err
    assert (found["together"], found["drift"]["origin"], found["changes"]) == (True, "none", [])
    assert [row["cell"] for row in found["step_time"]] == [f"{BACKEND}/cpu/fit"]
    base, new = load_report(output / "base"), load_report(output / "new")
    assert base.software == new.software
    assert base.software.packages["keras"]
    assert {run.status for report in (base, new) for run in report.runs} == {"ok"}
