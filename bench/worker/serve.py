"""A worker process: one backend on one device and nothing else loaded.

Started by the supervisor as `python -m bench.worker COMMAND_FD REPLY_FD`; the protocol is in
`bench.schema.messages`. It answers on a pipe of its own, so a framework's chatter on stdout cannot corrupt it.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bench.errors import UnavailableError, WorkloadError
from bench.schema.messages import (
    Available,
    Command,
    CustomJob,
    Describe,
    Described,
    Failed,
    Job,
    MeasureRound,
    MeasureScoring,
    Probe,
    Profiled,
    Ready,
    Reply,
    ScoreJob,
    Stop,
    Stopped,
    TakeProfile,
    Train,
    Unavailable,
    WarmUp,
    decode_command,
    encode,
)
from bench.system.child import die_with_supervisor
from bench.system.compile_cache import holds_code, temperature
from bench.worker.backend import import_backend, peak_rss_mib, set_precision

if TYPE_CHECKING:
    from bench.worker.session import Session


def main(command_fd: int, reply_fd: int) -> int:
    """Answers commands until there are no more, or a failure."""
    die_with_supervisor(reply_fd)
    with os.fdopen(command_fd, "rb") as commands, os.fdopen(reply_fd, "wb", buffering=0) as replies:

        def answer(reply: Reply) -> None:
            replies.write(encode(reply))

        try:
            first = decode_command(commands.readline())
            if isinstance(first, Probe):
                answer(_probe(first))
            elif isinstance(first, Describe):
                answer(_describe(first))
            elif isinstance(first, Job):
                _serve(first, commands, answer)
            elif isinstance(first, ScoreJob):
                _serve_scoring(first, commands, answer)
            else:
                raise TypeError(f"expected a job or a probe first; received {type(first).__name__}")
        except UnavailableError as error:
            answer(Unavailable(reason=str(error)))
        except Exception as error:
            traceback.print_exc()
            answer(Failed(error=_one_line(error)))
            return 1
    return 0


def _serve(job: Job, commands: Iterable[bytes], answer: Callable[[Reply], None]) -> None:
    session, ready = _start(job)
    answer(ready)
    for line in commands:
        answer(_carry_out(decode_command(line), session))


def _serve_scoring(job: ScoreJob, commands: Iterable[bytes], answer: Callable[[Reply], None]) -> None:
    device_name, threads = import_backend(job.backend, job.device, job.threads)
    set_precision(job.backend, "float32")

    from bench.worker.scoring import ScoreSession

    session = ScoreSession(job)
    answer(session.start(device_name, threads))
    for line in commands:
        match decode_command(line):
            case MeasureScoring(what=what):
                answer(session.measure(what))
            case Stop():
                answer(Stopped(peak_rss_mib=peak_rss_mib(), peak_device_mib=session.adapter.peak_device_mib()))
                return
            case other:
                raise TypeError(f"a {type(other).__name__} was sent to a worker that scores")


def _probe(probe: Probe) -> Available:
    started = time.perf_counter()
    device_name, _ = import_backend(probe.backend, probe.device, probe.threads)
    version = str(sys.modules[probe.backend].__version__)
    return Available(version=version, device_name=device_name, import_s=time.perf_counter() - started)


def _describe(message: Describe) -> Described:
    import_backend(message.backend, message.device, message.threads)
    set_precision(message.backend, "float32")

    from bench.worker.workloads.describe import describe

    return describe(message)


def _start(job: Job) -> tuple[Session, Ready]:
    """Imports the backend and builds the model, each phase timed apart.

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

    import bench.worker.workloads.custom  # noqa: F401  # what a model needs, before the clock is read

    opened = time.perf_counter()
    build = _opened(job) if job.custom is None else _opened_own(job, job.custom)
    data_s = time.perf_counter() - opened
    session = build()
    return session, Ready(
        compile_mode=session.compile_mode,
        device_name=device_name,
        threads=threads,
        import_s=import_s,
        data_s=data_s,
        build_s=session.build_s,
        first_step_s=session.first_step_s,
        compile_cache=None if cache is None else temperature(session.compile_mode, held_code),
    )


def _opened(job: Job) -> Callable[[], Session]:
    """Opens the prepared ratings; returns what builds the built-in workload's model."""
    from bench.worker.session import Session
    from bench.worker.workloads.ranking import ranking_model
    from movierank.data.datasets import load_dataset
    from movierank.data.splits import split_ratings

    data_path = None if job.data_path is None else Path(job.data_path)
    dataset = load_dataset(job.dataset, source=job.data_source, path=data_path)
    if dataset.sha256 != job.sha256:
        raise ValueError(f"the prepared data of {job.dataset} changed while it was being measured")
    split = split_ratings(dataset, job.split)
    return lambda: Session(job, split, lambda: ranking_model(job, dataset))


def _opened_own(job: Job, own: CustomJob) -> Callable[[], Session]:
    """Takes the arrays of the user's own workload; returns what builds its model."""
    from bench.worker.workloads.custom import OwnSession, start

    workload, parts = start(job, own)
    return lambda: OwnSession(job, own, workload, parts)


def _carry_out(command: Command, session: Session) -> Reply:
    match command:
        case Train():
            return session.train(command.copy)
        case WarmUp():
            return session.warm_up()
        case MeasureRound():
            return session.measure_round(command.slowdown)
        case Stop():
            return _last_words(session, command)
        case TakeProfile():
            from bench.worker.profiler.take import take_profile

            return Profiled(profile=take_profile(session, Path(command.trace), command.file))
        case Job() | Probe() | Describe() | ScoreJob() | MeasureScoring():
            raise TypeError(f"a {type(command).__name__} was sent to a worker that trains")


def _last_words(session: Session, stop: Stop) -> Stopped:
    # The limits are measured on large arrays, which are no part of what the training took.
    peaks = Stopped(peak_rss_mib=peak_rss_mib(), peak_device_mib=session.adapter.peak_device_mib())
    if not (stop.limits and session.has_floor):
        return peaks
    try:
        return replace(peaks, **session.told_limits())
    except Exception:
        traceback.print_exc()  # a limit that cannot be measured takes nothing from what was
        return peaks


def _one_line(error: BaseException) -> str:
    if isinstance(error, WorkloadError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    # TensorFlow's first line is "Graph execution error:", and its last says what it was.
    first = f"{lines[0]} {lines[-1]}"[:300] if lines[0].endswith(":") and len(lines) > 1 else lines[0][:300]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
