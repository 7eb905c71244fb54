"""A worker process: one backend on one device and nothing else loaded.

The supervisor starts it as `python -m bench.worker COMMAND_FD REPLY_FD`; the protocol is in `bench.schema.messages`. It
replies on a pipe of its own, so that a framework's output on stdout cannot corrupt a reply.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bench.errors import UnavailableError, WorkloadError
from bench.schema import messages
from bench.schema.messages import Command, Reply
from bench.system.child import die_with_supervisor
from bench.system.compile_cache import holds_code, temperature
from bench.worker.backend import import_backend, peak_rss_mib, set_precision

if TYPE_CHECKING:
    from bench.worker.scoring import ScoreSession
    from bench.worker.session import Session

CarryOut = Callable[[Command], Reply]


def main(command_fd: int, reply_fd: int) -> int:
    """Reply to commands until there are no more, or a failure, and return the exit code."""
    die_with_supervisor(reply_fd)
    with os.fdopen(command_fd, "rb") as commands, os.fdopen(reply_fd, "wb", buffering=0) as replies:

        def send(reply: Reply) -> None:
            replies.write(messages.encode(reply))

        try:
            match messages.decode_command(commands.readline()):
                case messages.Probe() as probe:
                    send(_probe(probe))
                case messages.Describe() as message:
                    send(_describe(message))
                case messages.Job() | messages.ScoreJob() as job:
                    ready, carry_out = _start(job) if isinstance(job, messages.Job) else _start_scoring(job)
                    send(ready)
                    for line in commands:
                        send(carry_out(messages.decode_command(line)))
                case other:
                    raise TypeError(f"expected a job, a probe or a description first; received {type(other).__name__}")
        except UnavailableError as error:
            send(messages.Unavailable(reason=str(error)))
        except Exception as error:
            traceback.print_exc()
            send(messages.Failed(error=_one_line(error)))
            return 1
    return 0


def _probe(probe: messages.Probe) -> messages.Available:
    started = time.perf_counter()
    device_name, _ = import_backend(probe.backend, probe.device, probe.threads)
    version = str(sys.modules[probe.backend].__version__)
    return messages.Available(version=version, device_name=device_name, import_s=time.perf_counter() - started)


def _describe(message: messages.Describe) -> messages.Described:
    import_backend(message.backend, message.device, message.threads)
    set_precision(message.backend, "float32")

    from bench.worker.workloads.describe import describe

    return describe(message)


def _start_scoring(job: messages.ScoreJob) -> tuple[messages.ScoreReady, CarryOut]:
    device_name, threads = import_backend(job.backend, job.device, job.threads)
    set_precision(job.backend, "float32")

    from bench.worker.scoring import ScoreSession

    session = ScoreSession(job)
    return session.start(device_name, threads), partial(_score, session)


def _score(session: ScoreSession, command: Command) -> Reply:
    match command:
        case messages.MeasureScoring(what=what):
            return session.measure(what)
        case messages.Stop():
            return messages.Stopped(peak_rss_mib=peak_rss_mib(), peak_device_mib=session.adapter.peak_device_mib())
        case other:
            raise TypeError(f"a worker that scores received {type(other).__name__}")


def _start(job: messages.Job) -> tuple[messages.Ready, CarryOut]:
    """Import the backend and build the model, each phase timed separately.

    Raises:
        UnavailableError: the backend is not installed, does not see the device, or the device lacks the precision.
    """
    cache = None if job.compile_cache is None else Path(job.compile_cache)
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    held_code = cache is not None and holds_code(cache)
    started = time.perf_counter()
    device_name, threads = import_backend(job.backend, job.device, job.threads)
    set_precision(job.backend, job.precision)
    import_s = time.perf_counter() - started

    from bench.worker import faults
    from bench.worker.session import Session
    from bench.worker.workloads import custom, ranking

    opened = time.perf_counter()
    workload = ranking.load(job) if job.custom is None else custom.load(job, job.custom)
    data_s = time.perf_counter() - opened
    session = Session(job, workload)
    session.start(None if job.fault is None else partial(faults.plant, job.fault))
    ready = messages.Ready(
        compile_mode=session.compile_mode,
        device_name=device_name,
        threads=threads,
        import_s=import_s,
        data_s=data_s,
        build_s=session.build_s,
        first_step_s=session.first_step_s,
        compile_cache=None if cache is None else temperature(session.compile_mode, held_code),
    )
    return ready, partial(_train, session)


def _train(session: Session, command: Command) -> Reply:
    match command:
        case messages.Train():
            return session.train(command.copy)
        case messages.WarmUp():
            return session.warm_up()
        case messages.MeasureRound():
            return session.measure_round(command.slowdown)
        case messages.Stop():
            return _stop(session, command)
        case messages.TakeProfile():
            from bench.worker.profiler.take import take_profile

            return messages.Profiled(profile=take_profile(session, Path(command.trace), command.file))
        case other:
            raise TypeError(f"a worker that trains received {type(other).__name__}")


def _stop(session: Session, stop: messages.Stop) -> messages.Stopped:
    # The limits are measured on large arrays, which are no part of the training's peak.
    peaks = messages.Stopped(peak_rss_mib=peak_rss_mib(), peak_device_mib=session.adapter.peak_device_mib())
    try:
        return replace(peaks, **session.measure_limits()) if stop.limits else peaks
    except Exception:
        traceback.print_exc()  # without limits the other measurements remain
        return peaks


def _one_line(error: BaseException) -> str:
    if isinstance(error, WorkloadError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    # TensorFlow's first line is "Graph execution error:", and the cause is in its last.
    first = f"{lines[0]} {lines[-1]}"[:300] if lines[0].endswith(":") and len(lines) > 1 else lines[0][:300]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
