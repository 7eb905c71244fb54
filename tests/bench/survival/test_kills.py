"""Kills measurements at random moments. BENCH_KILLS sets how many; the seed of each is its number."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress

import pytest

from bench.report.file import load_report
from bench.schema.report import Report
from bench.schema.run import Run

pytestmark = pytest.mark.backend_free

KILLS = int(os.environ.get("BENCH_KILLS", "27"))
ROUNDS = 3
PLACES = ("Job", "Train", "WarmUp", *(f"MeasureRound:{turn}" for turn in range(ROUNDS)), "Stop")
KILLED, STOPPED = {0, -signal.SIGKILL}, {0, 3}
ENDS = {  # the exit codes that may follow; 0 where it came too late
    "kill supervisor": KILLED,
    "kill worker": STOPPED,
    "term": {*STOPPED, -signal.SIGTERM},  # before the command line could take it, it ends at once
    "interrupt": STOPPED,
    "interrupt twice": STOPPED,
    "worker exits": STOPPED,
    "kill supervisor and the resumed one": KILLED,
    "worker hangs": STOPPED,
    "kill supervisor beside a hung worker": KILLED,
}
ENDS_ORPHANS = sys.platform == "linux"  # elsewhere a worker ends by itself once it has answered


class Watch:
    """Reads the report whenever it has changed, and holds it against what it was before."""

    def __init__(self, scene) -> None:
        self.scene = scene
        self.seen: Report | None = None
        self.stamp: tuple[int, int] | None = None

    def look(self) -> None:
        with suppress(FileNotFoundError):
            found = (self.scene.report / "report.json").stat()
            if (found.st_ino, found.st_mtime_ns) != self.stamp:
                self.stamp = (found.st_ino, found.st_mtime_ns)
                state = load_report(self.scene.report)
                if self.seen is not None:
                    assert_nothing_lost(self.seen, state)
                self.seen = state
        time.sleep(0.001)

    def until(self, started, lines: int) -> None:
        """Watches until the workers have written `lines` lines, or the measurement has ended."""
        while started.poll() is None and self.scene.count() < lines:
            self.look()

    def until_hung(self, started, process: str, place: str) -> None:
        name, _, turn = place.partition(":")
        while started.poll() is None:
            self.look()
            asked = [e for e in self.scene.events() if e["event"] == "asked" and e["what"] == name]
            if [f"{e['backend']}:{e['process']}" for e in asked].count(process) > int(turn or 0):
                return


def answers(run: Run) -> int:
    return len(run.step_time_ms) + sum(value is not None for value in (run.first_step_s, run.test_rmse, run.steady))


def assert_nothing_lost(before: Report, after: Report) -> None:
    """Every run is as it was and perhaps longer, or replaced by another process that has measured no less."""
    assert before.created == after.created
    later = {(run.cell, run.process): run for run in after.runs}
    for run in before.runs:
        now = later[run.cell, run.process]
        if run.status == "ok":
            assert now == run
        if now.test_rmse == run.test_rmse:
            assert now.step_time_ms[: len(run.step_time_ms)] == run.step_time_ms
        assert answers(now) >= answers(run)


def assert_acknowledged_is_kept(log: list[dict], report: Report) -> None:
    """Whatever was answered before the last question to any worker is in the report: it is recorded first."""
    last_question = max((place for place, event in enumerate(log) if event["event"] == "asked"), default=0)
    kept = {(run.backend, run.process): run for run in report.runs}
    for event in log[:last_question]:
        if event["event"] == "answered":
            run = kept[event["backend"], event["process"]]
            if event["what"] == "MeasureRound":
                assert event["value"] in run.step_time_ms
            if event["what"] == "Train":
                assert run.test_rmse == event["pid"]
            if event["what"] == "Stop":
                assert run.status == "ok"


def strike(kind: str, started, log: list[dict], chance: random.Random) -> None:
    if kind.startswith("kill supervisor"):
        started.signal(signal.SIGKILL)
    elif kind == "kill worker" and log:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(log[-3:])["pid"], signal.SIGKILL)
    elif kind == "term":
        started.signal(signal.SIGTERM)
    elif kind.startswith("interrupt"):
        started.signal(signal.SIGINT)
        if kind == "interrupt twice":
            time.sleep(chance.uniform(0, 0.01))
            started.signal(signal.SIGINT)


@pytest.mark.parametrize("number", range(KILLS))
def test_nothing_is_lost_whatever_is_killed_whenever(scene, number: int) -> None:
    chance = random.Random(number)
    kind = list(ENDS)[number % len(ENDS)]
    processes = chance.choice((1, 2))
    lines = 2 * 2 * processes * len(PLACES)  # that the workers of a whole run write
    place, victim = chance.choice(PLACES), f"torch:{chance.randrange(processes)}"
    if kind == "worker exits":
        scene.script(**{victim: {"at": place, "how": "exit"}})
    if "hang" in kind or "hung" in kind:
        scene.script(**{victim: {"at": place, "how": "hang"}})
    watch = Watch(scene)

    # Under load a healthy worker may miss a short deadline too; the resumed run measures it again.
    first = scene.start("--timeout", "0.7" if kind == "worker hangs" else "60", processes=processes)
    if kind == "kill supervisor beside a hung worker":
        watch.until_hung(first, victim, place)
    elif kind not in ("worker exits", "worker hangs"):
        watch.until(first, chance.randrange(lines))
        time.sleep(chance.uniform(0, 0.01))
    strike(kind, first, scene.events(), chance)
    watch.until(first, sys.maxsize)
    assert first.wait() in ENDS[kind], scene.output.read_text()
    assert "Traceback" not in scene.output.read_text()
    if ENDS_ORPHANS or not kind.startswith("kill supervisor"):
        scene.assert_no_worker_left()
    watch.look()
    if (scene.report / "report.json").exists():
        assert_acknowledged_is_kept(scene.events(), scene.load())
    else:
        assert scene.events() == []

    scene.script()
    if kind == "kill supervisor and the resumed one":
        second = scene.start("--resume", processes=processes)
        watch.until(second, scene.count() + chance.randrange(lines))
        second.signal(signal.SIGKILL)
        second.wait()
        scene.assert_no_worker_left()
        watch.look()
        scene.load()
    done = {(run.backend, run.process): run for run in watch.seen.runs if run.status == "ok"} if watch.seen else {}
    before = scene.count()
    assert scene.start("--resume", processes=processes).wait() == 0, scene.output.read_text()
    watch.look()
    final = {(run.backend, run.process): run for run in scene.assert_finished(processes).runs}
    assert done == {key: final[key] for key in done}
    assert {(event["backend"], event["process"]) for event in scene.events()[before:]} == set(final) - set(done)
