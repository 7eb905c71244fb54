"""A scripted worker: plays a real one's part of the protocol, or breaks it where the script says so.

Usage: fake_worker.py SCRIPT COMMAND_FD REPLY_FD. SCRIPT is JSON: for each backend, optionally for one process as
"jax:1", of one of two sides as "new:jax:1", or for one precision as "jax:bfloat16", an object with `step_time_ms` or
`cost` and, to break, `at` (a command's name, "MeasureRound:2" for the third round, or "Copy:1" for the second
permuted copy) and `how` (exit, kill, hang, orphan, garbage, unavailable or nan). Beside it lie the predictions that
it hands out, seed0.npz and so on: without NumPy it starts in a moment. With `own`, what it answers tells the process:
every step time is another one, the predictions and the test RMSE hold the process id. In SCRIPT.events it writes down
what it was asked and, before it does so, what it answers.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from bench.schema.messages import (
    Failed,
    Job,
    MeasureRound,
    Ready,
    Rounded,
    Steady,
    Stop,
    Stopped,
    Train,
    Trained,
    Unavailable,
    WarmUp,
    decode_command,
    encode,
)
from bench.system.child import die_with_supervisor


def main() -> None:
    die_with_supervisor(int(sys.argv[3]))
    script_path = Path(sys.argv[1])
    script = json.loads(script_path.read_text())
    with os.fdopen(int(sys.argv[2]), "rb") as commands, os.fdopen(int(sys.argv[3]), "wb", buffering=0) as replies:
        job = decode_command(commands.readline())
        assert isinstance(job, Job)
        side = Path(job.predictions).parents[1].name  # the report's folder
        here = f"{job.backend}:{job.process}"
        keys = (f"{side}:{here}", here, f"{job.backend}:{job.precision}", job.backend)
        part = next((script[key] for key in keys if key in script), {})
        with script_path.with_suffix(".started").open("a") as started:
            started.write(f"{job.backend}:{job.process}:{os.getpid()}\n")
        rounds = 0
        command = job

        def note(event: str, what: str, value: float | None = None) -> None:
            line = {"event": event, "what": what, "value": value, "pid": os.getpid()}
            with script_path.with_suffix(".events").open("a") as events:
                events.write(json.dumps({**line, "backend": job.backend, "process": job.process}) + "\n")

        while True:
            copy = command.copy if isinstance(command, Train) else None
            name = type(command).__name__ if copy is None else f"Copy:{copy}"
            place = f"MeasureRound:{rounds}" if isinstance(command, MeasureRound) else name
            note("asked", name)
            if part.get("at") in (place, name):
                misbehave(part["how"], replies)
            reply = answer(command, job, part, rounds)
            note("answered", name, getattr(reply, "step_time_ms", None))
            replies.write(encode(reply))
            rounds += isinstance(command, MeasureRound)
            line = commands.readline()
            if not line:
                return
            command = decode_command(line)


def misbehave(how: str, replies) -> None:
    if how == "exit":
        print("ImportError: libsomething.so.1 is missing")
        sys.exit(1)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(600)
    if how == "orphan":  # leaves a process behind that holds its pipes open
        subprocess.Popen(["sleep", "600"], close_fds=False)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "garbage":
        replies.write(b"{not json\n")
    if how == "unavailable":
        replies.write(encode(Unavailable(reason="no such device here")))
    if how == "nan":
        replies.write(encode(Failed(error="NotFiniteError: the loss is nan after epoch 1")))
    sys.exit(0)


def answer(command, job: Job, part: dict, rounds: int):
    match command:
        case Job():
            return Ready(
                compile_mode="eager",
                device_name="fake",
                threads=job.threads,
                import_s=0.5,
                data_s=0.01,
                build_s=0.1,
                first_step_s=0.2,
            )
        case Train():
            if part.get("own"):
                write_own_predictions(Path(job.predictions), ["forward", f"epoch {job.epochs}"])
            else:
                shutil.copyfile(Path(sys.argv[1]).with_name(f"seed{job.seed}.npz"), job.predictions)
            return Trained(
                train_rmse=[0.3] * job.epochs,
                test_rmse=float(os.getpid()) if part.get("own") else 0.25 + job.seed / 1000,
                train_s=1.0,
                evaluate_s=0.1,
                predict_s=0.1,
            )
        case WarmUp():
            return Steady(warmup_ms=[1.3, 1.0, 1.0], steady=True, steps_per_round=8)
        case MeasureRound():
            time.sleep(part.get("round_s", 0))
            own = [1 + time.monotonic_ns() % 10**9 / 10**9] if part.get("own") else [1.0]
            if "cost" in part:  # a fixed part in ms, and one an example
                own = [part["cost"][0] + part["cost"][1] * job.batch_size]
            step_times = part.get("step_time_ms", own)
            step_time = step_times[rounds % len(step_times)] * (1 + command.slowdown)
            return Rounded(step_time_ms=step_time, fit_setup_ms=30.0)
        case Stop(limits=True) if "limits" in part:
            return Stopped(peak_rss_mib=100.0, peak_device_mib=None, **part["limits"])
        case _:
            return Stopped(peak_rss_mib=100.0, peak_device_mib=None)


def write_own_predictions(path: Path, stages: list[str]) -> None:
    # One float32, the process id, in the format of numpy.lib.format.
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack("<f", os.getpid())
    with zipfile.ZipFile(path, "w") as archive:
        for stage in stages:
            archive.writestr(f"{stage}.npy", array)


main()
