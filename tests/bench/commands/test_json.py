"""`--json`: stdout is one JSON document, whatever else is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.commands.cli import main
from bench.commands.run import as_json
from bench.report.file import load_report
from bench.schema.report import Report

ROOT = Path(__file__).parents[3]
NO_PAGE = os.pathsep.join([str(ROOT / "tests/bench/no_page"), str(ROOT)])  # a page takes seconds
GOLDEN = Path(__file__).parents[1] / "golden" / "report-1.json"


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict]:
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.one_backend
def test_run_answers_a_script(tmp_path: Path) -> None:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    output = tmp_path / "out"
    command = [sys.executable, "-m", "bench", "run", "--json", "--backends", backend, "--output", str(output)]
    command += ["--dataset", "synthetic:50x40x2000", "--batch-size", "100", "--epochs", "1", "--processes", "2"]
    command += ["--seeds", "1", "--rounds", "2", "--round-seconds", "0.02", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": NO_PAGE, "MOVIERANK_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    found = json.loads(done.stdout)
    report = load_report(output)
    assert (done.returncode, found["exit_code"], found["report"]) == (0, 0, str(output))
    assert found["headline"].startswith("On this CPU")
    assert [row["median_ms"] for row in found["step_time"]] == [row.median_ms for row in report.step_time]
    assert (found["parity"]["judged"], found["parity"]["outside"]) == (len(report.parity), [])
    assert found["not_measured"] == []
    assert f"{backend}/cpu/fit process 1: starting" in done.stderr


@pytest.mark.backend_free
def test_failed_runs_are_listed_with_their_reason(make_report, tmp_path: Path) -> None:
    report: Report = make_report()
    lost = {"status": "killed", "error": "out of memory"}
    runs = [msgspec.structs.replace(report.runs[0], **lost), *report.runs[1:]]
    found = as_json(msgspec.structs.replace(report, runs=runs), tmp_path)
    assert found["exit_code"] == 3
    assert found["not_measured"] == [{"cell": "jax/cpu/fit", "process": 0, **lost}]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.backend_free
def test_commands_that_read_reports(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, found = said(capsys, "compare", GOLDEN, GOLDEN)
    assert (code, found["exit_code"]) == (0, 0)
    code, found = said(capsys, "history", GOLDEN)
    assert (code, list(found)) == (0, ["groups"])
    code, found = said(capsys, "validate", "--judge", ROOT / "results/validation/jax.json")
    assert (code, found["backend"]) == (0, "jax")
    assert [row["slowdown"] for row in found["outcomes"]][:2] == [0.0, 0.05]
    sweep = shutil.copytree(ROOT / "results/sweep/table-rows", tmp_path / "sweep")  # its picture is drawn anew
    code, found = said(capsys, "sweep", "--show", sweep)
    assert (code, found["settings"]["over"]) == (0, "table-rows")


@pytest.mark.backend_free
def test_an_export_lists_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    junit, lines = tmp_path / "new" / "report.xml", tmp_path / "lines"
    code, found = said(capsys, "export", GOLDEN, "--to", "junit", "-o", junit)
    assert code == 0
    assert found == {
        "format": "junit", "written": str(junit), "files": [str(junit)], "bytes": junit.stat().st_size,
        "reports": ["golden"],
    }  # fmt: skip
    code, found = said(capsys, "export", GOLDEN, GOLDEN, "--to", "mllog", "-o", lines)
    written = [path for path in lines.rglob("*") if path.is_file()]
    assert (code, found["reports"]) == (0, ["golden", "golden-2"])
    assert sorted(found["files"]) == sorted(map(str, written))
    assert found["bytes"] == sum(path.stat().st_size for path in written)


@pytest.mark.backend_free
def test_a_page_lists_its_inputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("altair")
    page, mutants = tmp_path / "new" / "page.html", ROOT / "results/mutants/jax.json"
    code, found = said(capsys, "page", GOLDEN, mutants, "-o", page)
    assert code == 0
    assert found == {
        "written": str(page), "format": "html", "bytes": page.stat().st_size, "left_out": "",
        "reports": [str(GOLDEN)], "sweeps": [], "scorings": [], "mutants": [str(mutants)],
    }  # fmt: skip


@pytest.mark.backend_free
def test_what_cannot_be_compared_has_the_exit_code_of_the_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = json.loads(GOLDEN.read_text())
    report["workload"]["epochs"] += 1
    report["parity"] = [record for record in report["parity"] if record["verdict"] == "within"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    code, found = said(capsys, "compare", GOLDEN, tmp_path)
    assert (code, found["exit_code"]) == (2, 2)


@pytest.mark.backend_free
def test_the_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    works = {("jax", "cpu"): (True, "0.10.2, cpu, imported in 1.0 s")}
    monkeypatch.setattr("bench.measure.doctor.probe", lambda *pair: works.get(pair, (False, "it is [not] installed")))
    code, found = said(capsys, "doctor")
    assert code == 0
    assert [row["works"] for row in found["backends"]] == [True, False, False, False, False, False]
    assert found["backends"][1] == {
        "backend": "jax", "device": "gpu", "works": False, "detail": "it is [not] installed",
    }  # fmt: skip
    assert main(["doctor"]) == 0
    words = capsys.readouterr().out
    assert "Ready: python -m bench run --backends jax\n" in words
    assert "it is [not] installed" in words
    monkeypatch.setattr("bench.measure.doctor.probe", lambda *pair: (False, "not installed"))
    assert main(["doctor"]) == 3
    assert "No backend works here" in capsys.readouterr().out
