"""Ask a worker for a profile; if that fails, what it has measured stays."""

from __future__ import annotations

from pathlib import Path

from bench.measure.process import WorkerLostError, WorkerProcess
from bench.schema.cell import Cell
from bench.schema.messages import Job, Profiled, TakeProfile
from bench.schema.profile import Profile

FOLDER = "profiles"


def ask_for_profile(worker: WorkerProcess, job: Job, directory: Path) -> Profile:
    """Return a worker's profile, with the trace in the report's directory, or a profile that says why there is none.

    Args:
        worker: worker that has reported its peaks; after this it may have ended.
        job: its job.
        directory: directory of the report.
    """
    file = profile_name(job)
    passing = Path(job.predictions).with_suffix(".trace.json.gz")
    try:
        profile = worker.ask(TakeProfile(trace=str(passing), file=str(file)), Profiled).profile
        (directory / FOLDER).mkdir(exist_ok=True)
        passing.replace(directory / file)
    except WorkerLostError as error:
        return _none(job, error.error)
    except OSError as error:
        return _none(job, f"cannot write {directory / file}: {error.strerror or error}")
    return profile


def profile_name(cell: Job | Cell) -> Path:
    """Return the path of a cell's trace, relative to the report's directory."""
    return Path(FOLDER) / f"{cell.backend}-{cell.device}-{cell.loop}.json.gz".replace(":", "-")


def _none(job: Job, error: str) -> Profile:
    return Profile(backend=job.backend, device=job.device, loop=job.loop, process=job.process, error=error)
