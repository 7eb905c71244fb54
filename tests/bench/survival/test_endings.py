from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import msgspec
import psutil
import pytest

from bench.report.file import load_report, save_report
from bench.report.predictions import load_arrays

pytestmark = pytest.mark.backend_free

EXIT_AT_START = {"at": "Job", "how": "exit"}


def torch_run(scene, process: int = 1):
    return next(run for run in scene.load().runs if (run.backend, run.process) == ("torch", process))


def forget_training(scene) -> None:
    """Leaves the folder as SIGKILL does after torch's predictions are written and before the report is."""
    report = load_report(scene.report)
    *others, last = report.runs
    started = msgspec.structs.replace(
        last, status="interrupted", error="cut off", test_rmse=None, train_rmse=[], train_s=None, steady=None
    )
    started = msgspec.structs.replace(started, step_time_ms=[], fit_setup_ms=[], turns=[])
    save_report(msgspec.structs.replace(report, runs=[*others, started]), scene.report)


def test_a_worker_that_is_killed_from_outside_may_have_run_out_of_memory(scene):
    scene.script(**{"torch:1": {"at": "MeasureRound:1", "how": "kill"}})
    assert scene.start().wait() == 3
    assert "out of memory?" in torch_run(scene).error
    assert "torch/cpu/fit process 1: killed: the worker was ended by SIGKILL" in scene.output.read_text()


def belongs_to(process: psutil.Process, group: int) -> bool:
    with suppress(ProcessLookupError):
        return process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group
    return False


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="nothing but its pipe tells of a process's end here")
def test_a_worker_whose_own_child_holds_the_pipe_open_is_noticed_and_the_child_ended(scene):
    scene.script(**{"torch:1": {"at": "MeasureRound:1", "how": "orphan"}})
    assert scene.start("--timeout", "30").wait() == 3
    assert torch_run(scene).status == "killed"
    worker = next(e["pid"] for e in scene.events() if (e["backend"], e["process"]) == ("torch", 1))
    assert [process for process in psutil.process_iter(["status"]) if belongs_to(process, worker)] == []


def test_a_reader_of_the_output_that_goes_away_ends_nothing(scene):
    pipe = scene.folder / "pipe"
    os.mkfifo(pipe)
    run = scene.start(output=pipe)
    with pipe.open("rb", buffering=0) as reader:
        assert reader.read(1)
    assert run.wait() == 0
    scene.assert_finished()


def test_of_two_runs_started_at_once_into_one_folder_one_is_refused(scene):
    outputs = [scene.folder / name for name in ("one.txt", "other.txt")]
    runs = [scene.start(output=output) for output in outputs]
    codes = [run.wait() for run in runs]
    assert sorted(codes) == [0, 2]
    assert "choose another --output" in outputs[codes.index(2)].read_text()
    scene.assert_finished()


def test_a_kill_between_predictions_and_report_mixes_no_two_processes(scene):
    assert scene.start().wait() == 0
    forget_training(scene)
    assert scene.start("--resume").wait() == 0, scene.output.read_text()
    scene.assert_finished()


def test_predictions_that_no_run_owns_up_to_are_removed(scene):
    assert scene.start().wait() == 0
    forget_training(scene)
    scene.script(torch=EXIT_AT_START)
    assert scene.start("--resume").wait() == 3
    assert torch_run(scene).test_rmse is None
    stored = load_arrays(scene.report / "predictions.npz")
    assert {key.partition("/s")[0] for key in stored} == {"jax/cpu/fit/p0", "jax/cpu/fit/p1", "torch/cpu/fit/p0"}


def test_what_a_killed_run_left_behind_is_removed_and_what_a_user_put_there_is_not(scene):
    scene.report.mkdir()
    (scene.report / ".parts-abc").mkdir()
    (scene.report / ".parts-abc" / "jax-cpu-fit-0.npz").write_bytes(b"half")
    (scene.report / ".report.json.abc.json").write_bytes(b"half")
    (scene.report / ".predictions.npz.abc.npz").write_bytes(b"half")
    mine = scene.report / ".notes"
    mine.write_text("mine")
    assert scene.start().wait() == 0
    mine.unlink()
    scene.assert_finished()


def test_a_second_try_that_fails_sooner_takes_nothing_away(scene):
    scene.script(**{"torch:1": {"at": "MeasureRound:2", "how": "kill"}})
    assert scene.start().wait() == 3
    first = torch_run(scene)
    assert len(first.step_time_ms) == 2
    scene.script(torch=EXIT_AT_START)
    for _ in range(2):
        assert scene.start("--resume").wait() == 3
        again = torch_run(scene)
        assert (again.step_time_ms, again.test_rmse, again.status) == (first.step_time_ms, first.test_rmse, "killed")
        assert again.error.startswith(f"{first.error}; tried again: failed: the worker ended with exit code 1")
        assert again.error.count("tried again") == 1
    scene.script()
    assert scene.start("--resume").wait() == 0
    scene.assert_finished()


def test_a_worker_whose_predictions_cannot_be_read_fails_alone(scene):
    scene.script(**{"torch:1": {"own": False}})
    (scene.folder / "seed0.npz").write_bytes(b"half")
    assert scene.start().wait() == 3
    assert "cannot read" in torch_run(scene).error
    assert [run.status for run in scene.load().runs] == ["ok", "ok", "ok", "failed"]


def test_a_kill_loses_what_disturbed_the_last_processes_alone_and_a_resumed_run_keeps_the_rest(scene):
    # So that a generation takes longer than the second below which no share is told.
    scene.script(jax={"round_s": 0.25}, torch={"round_s": 0.25})
    run = scene.start()
    while run.poll() is None and not any(event["process"] == 1 for event in scene.events()):
        time.sleep(0.01)
    run.signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    cut = scene.load()
    assert cut.conditions is not None
    assert cut.conditions.others_cpu_run_percent is not None
    busy = msgspec.structs.replace(cut.conditions, others_cpu_run_percent=77.0, warnings=["others were busy"])
    save_report(msgspec.structs.replace(cut, conditions=busy), scene.report)
    assert scene.start("--resume").wait() == 0, scene.output.read_text()
    found = scene.assert_finished().conditions
    assert found.others_cpu_run_percent >= 77.0
    assert "others were busy" in found.warnings


def is_running(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
def test_a_kill_while_parity_is_judged_leaves_no_process_and_all_runs(scene):
    run = scene.start("--parity")
    helpers = []
    while not helpers and run.poll() is None:
        with suppress(psutil.NoSuchProcess):
            helpers = [
                child for child in psutil.Process(run.pid).children() if "bench.parity.numpy_process" in child.cmdline()
            ]
    assert helpers
    run.signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    while any(is_running(helper) for helper in helpers):
        time.sleep(0.01)
    assert list(scene.report.glob(".parts-*/*.request.json")) != []
    assert list(scene.report.glob(".parts-*/reference-*.npz")) == [], "it did not go on to the end"
    assert scene.start("--resume").wait() == 0
    scene.assert_finished()


FILE_BYTES = 6_000  # more than the first report needs, less than that of a finished run


def test_a_write_that_fails_keeps_the_report_before_it(scene):
    assert scene.start(file_bytes=FILE_BYTES).wait() == 3, scene.output.read_text()
    assert f"bench: cannot write {scene.report / 'report.json'}: File too large" in scene.output.read_text()
    assert f"what was measured is in {scene.report}, --resume goes on with it" in scene.output.read_text()
    assert "Traceback" not in scene.output.read_text()
    scene.assert_no_worker_left()
    assert scene.load().runs != []
    assert scene.start("--resume").wait() == 0
    scene.assert_finished()


FULL_DISK = """
mount -t tmpfs -o size=512k none "$1" || exit 77
dd if=/dev/zero of="$1/ballast" bs=4k count="$2" status=none
"$3" "$4" < "$5" && cp -r "$1" "$6" || exit 1
rm "$1/ballast" "$6/ballast"
"$3" "$4" < "$7" && cp -r "$1" "$8"
"""
PAGES, PAGES_LEFT = 128, 7  # of 4 KiB: enough to begin with, not enough for a finished run


@pytest.mark.skipif(sys.platform != "linux", reason="a small file system of one's own takes Linux's namespaces")
def test_a_full_disk_keeps_the_report_before_it(scene):
    scene.report.mkdir()
    first, again, cut, end = (scene.folder / name for name in ("first.json", "again.json", "cut", "end"))
    first.write_text(json.dumps(scene.request()) + "\n")
    again.write_text(json.dumps(scene.request("--resume")) + "\n")
    paths = [scene.report, PAGES - PAGES_LEFT, sys.executable, scene.runners.program, first, cut, again, end]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK, "sh", *map(str, paths)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=scene.runners.environment)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode == 77 or "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    assert done.stdout.split()[1::2] == ["3", "0"], scene.output.read_text()
    assert f"bench: cannot write {scene.report / 'report.json'}: No space left on device" in scene.output.read_text()
    assert "Traceback" not in scene.output.read_text()
    scene.report = cut
    assert scene.load().runs != []
    assert not list(cut.glob(".*.*.*"))
    scene.report = end
    scene.assert_finished()
