"""What a measurement shows while it runs: in a real pseudo-terminal, and in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from bench.measure.matrix import parse_cells
from bench.measure.progress import TimeLeft, in_words
from bench.report.file import load_report
from bench.schema.cell import Cell
from bench.schema.messages import Job, MeasureRound, Stop, Train, WarmUp
from bench.schema.run import Settings

pytestmark = pytest.mark.backend_free
FAKE_WORKER = Path(__file__).parents[1] / "fake_worker.py"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROGRAM = """
import sys; from pathlib import Path
from bench.measure.matrix import parse_cells; from bench.measure.options import Options
from bench.measure.run import measure
from bench.text.console import LastingConsole
measure(Options(
    cells=parse_cells('jax,torch', 'cpu', 'fit'), output=Path(sys.argv[1]) / 'report', dataset='synthetic:40x30x2000',
    batch_size=100, processes=3, seeds=2, rounds=2, parity=False, watch_s=0.0,
    worker_command=(sys.executable, sys.argv[2], sys.argv[3]),
), LastingConsole(stderr=True))
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Measures with scripted workers, of which torch's second one dies."""
    for seed in range(2):
        stages = ("forward", *(f"epoch {epoch}" for epoch in range(1, 6)))
        np.savez(tmp_path / f"seed{seed}.npz", **{stage: np.full(3, seed, np.float32) for stage in stages})
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({
            "jax": {"step_time_ms": [1.5], "round_s": 0.3},
            "torch": {"step_time_ms": [4.5], "round_s": 0.3},
            "torch:1": {"at": "MeasureRound", "how": "exit"},
        })
    )  # fmt: skip
    return [sys.executable, "-c", PROGRAM, str(tmp_path), str(FAKE_WORKER), str(script)]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[3]), "TERM": "xterm-256color", **changes}


def on_a_terminal(command: list[str], columns: int, **changes: str) -> str:
    """Runs a command whose stderr is a terminal, and returns what it writes there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**changes))
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0, written.decode(errors="replace")
    return written.decode()


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_a_table_that_fits_and_is_wiped(command: list[str], columns: int, tmp_path: Path) -> None:
    written = on_a_terminal(command, columns)
    lines = [line.rstrip() for line in CONTROL.sub("", written).replace("\r", "\n").split("\n")]
    assert max(map(len, lines)) <= columns
    assert any(re.fullmatch(r"process 1 of 3 of each cell; \d+ s gone", line) for line in lines), lines
    assert any(re.fullmatch(r"process 3 of 3 of each cell; \d+ s gone, some \d+ s left", line) for line in lines)
    assert any(re.fullmatch(r"jax +0/3 +– +starting", line) for line in lines)
    assert any(re.fullmatch(r"jax +1/3 +1\.50 +.*", line) for line in lines)
    assert any(re.fullmatch(r"torch +1/3 +4\.50 .*killed|torch +1/3 +4\.50 .*failed", line) for line in lines)
    assert "\x1b[?25h" in written  # the cursor is shown again
    assert len(load_report(tmp_path / "report").runs) == 6


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_pipe_gets_plain_lines(command: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(
        command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=True, env=environment(**variables)
    )
    assert not re.search(r"\x1b\[\d*[ABHJK]", done.stderr)  # the cursor is never moved
    written = CONTROL.sub("", done.stderr).splitlines()
    lines = [line for line in written if not line.startswith("Noise: ")]  # of the machine that this runs on
    assert sorted(lines[:2]) == ["jax/cpu/fit process 0: starting", "torch/cpu/fit process 0: starting"]
    assert re.fullmatch(r"ms/step so far: jax 1\.50, torch 4\.50; \d+ s gone, some \d+ s left", lines[2])
    assert any(line.startswith("torch/cpu/fit process 1: ") for line in lines)


def test_the_time_left_is_what_each_part_took_its_cell() -> None:
    cells = parse_cells("jax,torch", "cpu", "fit")
    left = TimeLeft(settings(processes=3, rounds=4), {str(cell): (Nothing(), cell) for cell in cells})
    fast, slow = map(str, cells)
    for seat, factor in ((fast, 1.0), (slow, 10.0)):
        assert left.seconds() is None
        left.note(seat, 0, Job, 5 * factor)
        left.note(seat, 0, Train, 2 * factor)
        left.note(seat, 0, WarmUp, 1 * factor)
        for _ in range(4):
            left.note(seat, 0, MeasureRound, 0.5 * factor)
        left.note(seat, 0, Stop, 0.1 * factor)
    assert left.seconds() == pytest.approx(2 * 10.1 + 2 * 101.0)
    left.give_up(slow, 1)
    left.give_up(slow, 2)
    assert left.seconds() == pytest.approx(2 * 10.1)
    left.note(fast, 1, Job, 15.0)
    assert left.seconds() == pytest.approx(2 * 10.1 - 5 + 5)  # starting takes 10 s on average now


def test_nobody_knows_the_end_of_a_measurement_with_a_precision() -> None:
    (cell,) = parse_cells("jax", "cpu", "fit")
    left = TimeLeft(settings(processes=1, rounds=1, precision=0.02), {str(cell): (Nothing(), cell)})
    for kind in (Job, Train, WarmUp, MeasureRound, Stop):
        left.note(str(cell), 0, kind, 1.0)
    left.note(str(cell), 7, Job, 1.0)  # more processes than were asked for at least
    assert left.seconds() is None


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (61, "2 min"), (3700, "1 h 2 min")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


class Nothing:
    """A recorder that has no runs."""

    runs: tuple[Cell, ...] = ()


def settings(*, processes: int, rounds: int, precision: float | None = None) -> Settings:
    return Settings(
        processes=processes, rounds=rounds, seeds=1, round_s=0.4, threads=1, order_seed=0, timeout_s=60.0,
        precision=precision,
    )  # fmt: skip
