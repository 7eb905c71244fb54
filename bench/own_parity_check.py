"""Judge the parity of a workload of the user's own: train what it is judged by, in workers, and compare all runs.

On each backend and device that finished a training, for each seed: the same model in float64 is the oracle, and
float32 copies with the examples permuted inside each batch tell what rounding does (`bench.own_parity`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from bench.environment import worker_environment
from bench.errors import BenchError
from bench.own_messages import Described
from bench.own_parity import Mathematics, judge_own, reference_of
from bench.own_references import to_arrays
from bench.parity_check import Parity, trajectories
from bench.predictions import load_arrays
from bench.protocol import Job, Train, Trained, log_name
from bench.report import Cell
from bench.stages import BIAS_TRACE, Values
from bench.supervisor import Side
from bench.worker_process import WorkerLostError, WorkerProcess

COPIES = 6  # as of the oracle of the built-in workload (`bench.envelope`)
FLOAT64 = {"JAX_ENABLE_X64": "1"}


def check_own_parity(
    side: Side, described: Described, folder: Path, timeout_s: float, say: Callable[[str], None]
) -> Parity:
    """Compares every completed training with the oracle of its backend and with every other of its seed.

    Args:
        side: whose runs are judged; its jobs are what the references are trained by.
        described: the workload.
        folder: for files that are of no use afterwards.
        timeout_s: longest wait for one answer of a worker.
        say: is told in a sentence what takes time, and what could not be had.

    Raises:
        KeyboardInterrupt: passed on; no worker is left.
    """
    found = trajectories(side.recorder.runs, side.recorder.arrays)
    needed: dict[tuple[Mathematics, int], bool] = {}
    for trajectory in found:
        key = Mathematics.of(trajectory.cell, described.tables), trajectory.seed
        needed[key] = needed.get(key, False) or BIAS_TRACE in trajectory.values
    last = {"training": described.num_train, "test": described.num_test}
    examples = {f"{part} {described.metric}": count for part, count in last.items()}
    references = {}
    for (where, seed), early in sorted(needed.items()):
        say(f"Training {where} in float64 and {COPIES} float32 copies, seed {seed}")
        trained = _trained(side, where, seed, early, folder, timeout_s, say)
        if trained is not None:
            references[where, seed] = reference_of(where, seed, *trained, examples)
    results, divergences = judge_own(found, references, described)
    envelopes = [reference.stored for reference in references.values()]
    arrays = to_arrays({(str(where), seed): reference for (where, seed), reference in references.items()})
    return Parity(results=results, envelopes=envelopes, divergences=divergences, arrays=arrays)


def _trained(
    side: Side,
    where: Mathematics,
    seed: int,
    early: bool,
    folder: Path,
    timeout_s: float,
    say: Callable[[str], None],
) -> tuple[Values | None, Values | None, list[Values]] | None:
    """Returns the float64 run or in its place a float32 one, and the copies; None where there are no copies."""
    job = side.make_job(Cell(backend=where.backend, device=where.device, loop=where.loop), seed)
    job = replace(
        job,
        early_stages=early,
        compile_cache=None,
        predictions=str((folder / "reference.npz").absolute()),
        own=None if job.own is None else replace(job.own, tests_epochs=False),
    )
    try:
        copies = _trainings(side, job, range(COPIES), timeout_s)
    except WorkerLostError as error:
        say(f"{where}: its parity is not judged, since its copies could not be trained: {error.error}")
        return None
    try:
        (exact,) = _trainings(side, replace(job, precision="float64"), [None], timeout_s)
    except WorkerLostError as error:
        say(f"{where}: no oracle in float64, so that only pairs of cells are judged: {error.error}")
    else:
        return exact, None, copies
    try:
        (plain,) = _trainings(side, job, [None], timeout_s)
    except WorkerLostError as error:
        say(f"{where}: its parity is not judged, since it could not be trained again: {error.error}")
        return None
    return None, plain, copies


def _trainings(side: Side, job: Job, copies: Sequence[int | None], timeout_s: float) -> list[Values]:
    """Trains one worker again and again, and returns the values of each training.

    Raises:
        WorkerLostError: the worker cannot go on, or what it left cannot be read.
    """
    environment = worker_environment(job.backend, job.device, job.threads, side.variables)
    if job.precision == "float64":
        environment |= FLOAT64
    what = "oracle" if job.precision == "float64" else "copies"
    log = side.recorder.directory / log_name(job.backend, job.device, f"{job.loop}-{what}", job.process)
    process = WorkerProcess(side.worker_command, environment, log)
    found = []
    try:
        process.ask_to_go_on(job, timeout_s)
        for copy in copies:
            reply = process.ask_to_go_on(Train(copy=copy), timeout_s)
            if not isinstance(reply, Trained):
                raise WorkerLostError("failed", f"a worker answered {type(reply).__name__} when asked to train")
            found.append(load_arrays(Path(job.predictions)))
    except BenchError as error:
        raise WorkerLostError("failed", str(error)) from error
    finally:
        process.kill()
    return found
