"""Ask a worker for a profile; whatever becomes of that takes nothing from what it has measured."""

from __future__ import annotations

from pathlib import Path

from bench.measure.process import WorkerLostError, WorkerProcess
from bench.schema.cell import Cell
from bench.schema.messages import Job, Profiled, TakeProfile
from bench.schema.profile import Profile

FOLDER = "profiles"


def ask_for_profile(process: WorkerProcess, job: Job, directory: Path, timeout_s: float) -> Profile:
    """Returns what a worker's profile says, with the trace in the report's directory, or why there is none.

    Args:
        process: which has said its peaks; after this it may have ended.
        job: its job.
        directory: of the report.
        timeout_s: longest wait for the profile, in seconds.
    """
    file = profile_name(job)
    passing = Path(job.predictions).with_suffix(".trace.json.gz")
    try:
        reply = process.ask_to_go_on(TakeProfile(trace=str(passing), file=str(file)), timeout_s)
    except WorkerLostError as error:
        return _none(job, error.error)
    if not isinstance(reply, Profiled):
        return _none(job, f"the worker answered {type(reply).__name__}")
    try:
        (directory / FOLDER).mkdir(exist_ok=True)
        passing.replace(directory / file)
    except OSError as error:
        return _none(job, f"cannot write {directory / file}: {error.strerror or error}")
    return reply.profile


def profile_name(cell: Job | Cell) -> Path:
    """Returns where a cell's trace lies, relative to the report's directory."""
    return Path(FOLDER) / f"{cell.backend}-{cell.device}-{cell.loop}.json.gz".replace(":", "-")


def _none(job: Job, error: str) -> Profile:
    return Profile(backend=job.backend, device=job.device, loop=job.loop, process=job.process, error=error)
