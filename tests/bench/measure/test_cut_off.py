"""A measurement that is cut off, and what another may do meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from bench.report.file import load_report

pytestmark = pytest.mark.backend_free

DRIVER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from rich.console import Console
    from bench.measure.matrix import parse_cells
    from bench.measure.run import measure
    from bench.measure.options import Options
    script, worker, output = sys.argv[1:]
    try:
        measure(
            Options(cells=parse_cells("jax,torch", "cpu", "fit"), output=Path(output), dataset="synthetic:40x30x2000",
                    batch_size=100, processes=2, seeds=1, rounds=50, parity=False,
                    worker_command=(sys.executable, worker, script)),
            Console(stderr=True))
    except KeyboardInterrupt:
        sys.exit(3)
""")


@pytest.fixture
def in_the_middle(tmp_path, fake):
    """Starts a measurement in a process of its own and waits until its rounds are under way."""
    fake({}, cells=parse_cells("jax", "cpu", "fit"), processes=1, output=tmp_path / "prepared")  # prepares the data
    (tmp_path / "script.started").unlink()
    (tmp_path / "script.json").write_text(json.dumps({name: {"round_s": 0.05} for name in ("jax", "torch")}))
    arguments = [tmp_path / "script.json", fake.worker, tmp_path / "cut"]
    supervisor = subprocess.Popen([sys.executable, "-c", DRIVER, *map(str, arguments)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (tmp_path / "cut" / "report.json").exists():
            runs = load_report(tmp_path / "cut").runs
            if runs and min(len(run.step_time_ms) for run in runs) >= 3:
                break
        time.sleep(0.05)
    yield supervisor
    supervisor.kill()
    supervisor.wait()


def test_ctrl_c_leaves_what_was_measured_and_resume_goes_on(fake, tmp_path, in_the_middle):
    in_the_middle.send_signal(signal.SIGINT)
    assert in_the_middle.wait(30) == 3
    cut = load_report(tmp_path / "cut")
    assert {run.status for run in cut.runs} == {"interrupted"}
    assert all(len(run.step_time_ms) >= 3 for run in cut.runs)
    assert fake.no_worker_is_left()
    resumed = fake(
        {},
        cells=parse_cells("jax,torch", "cpu", "fit"),
        output=tmp_path / "cut",
        processes=2,
        seeds=1,
        existing="resume",
    )
    assert {run.status for run in resumed.runs} == {"ok"}


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel ends orphans on Linux only; elsewhere they end by themselves"
)
def test_sigkill_of_the_supervisor_leaves_a_valid_report_and_no_worker(fake, tmp_path, in_the_middle):
    in_the_middle.send_signal(signal.SIGKILL)
    in_the_middle.wait(30)
    cut = load_report(tmp_path / "cut")
    assert all(len(run.step_time_ms) >= 3 for run in cut.runs)
    assert cut.conditions is not None, "what was known before the first worker started"
    assert cut.conditions.others_cpu_percent is not None
    assert fake.no_worker_is_left()


def test_two_runs_into_one_folder_the_second_is_refused(fake, tmp_path, in_the_middle):
    with pytest.raises(BenchError, match="another run is writing"):
        fake({}, output=tmp_path / "cut", existing="resume")
    assert in_the_middle.poll() is None
