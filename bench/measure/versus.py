"""Two environments in one measurement: workers of both Pythons side by side, their rounds interleaved.

Two reports taken one after the other differ by what the machine did in between. Here a generation holds a process of
either environment, and the pairs of processes are compared, so that this cancels. The harness is the same on both
sides, this one; an environment need only hold what a worker imports.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

import bench
from bench.errors import BenchError
from bench.measure.opening import Environment
from bench.measure.options import Options
from bench.measure.run import measure_sides
from bench.report.file import REPORT_NAME, load_report
from bench.schema.machine import Software
from bench.schema.report import SIDES, Report, Together
from bench.system.environment import shared_environment
from bench.system.software import describe_software

HARNESS = ("bench", "movierank")
NEEDED = ("filelock", "msgspec", "numpy", "platformdirs", "psutil", "rich", "scipy", "keras")
PROBE_TIMEOUT_S = 120.0


def measure_versus(
    options: Options, pythons: tuple[str, str], console: Console, *, slowdown: float = 0.0
) -> tuple[Report, Report]:
    """Measure two environments against each other; the reports lie in `options.output`, in `base` and `new`.

    Args:
        options: for both; `worker_command` is not theirs and its interpreter alone is exchanged.
        pythons: interpreters, or folders of virtual environments: the older and the newer one.
        console: where progress is shown.
        slowdown: share by which to prolong the newer one's rounds on purpose, so that the true ratio is known.

    Raises:
        BenchError: bad input, an environment that cannot run a worker, or the output cannot be written.
        KeyboardInterrupt: passed on; what was measured lies in the output, valid.
    """
    found = [python_of(python) for python in pythons]
    marked = _id_of(options)
    variables = _with_harness(options.output, os.environ)
    asked = []
    for side, python, longer in zip(SIDES, found, (0.0, slowdown), strict=True):
        own = replace(options, output=options.output / side, worker_command=(python, *options.worker_command[1:]))
        environment = Environment(
            software=describe_other(python, shared_environment(own.cells[0].device, own.threads, variables)),
            variables=variables,
            together=Together(id=marked, side=side, interpreter=hashlib.sha256(python.encode()).hexdigest()[:12]),
            slowdown=longer,
        )
        asked.append((own, environment))
    base, new = measure_sides(asked, console)
    return base, new


def python_of(given: str) -> str:
    """Return the path of an interpreter with its links kept: a virtual environment's is a link to another one's.

    Raises:
        BenchError: there is none.
    """
    path = Path(given)
    for inside in (path / "bin" / "python", path / "Scripts" / "python.exe"):
        if inside.exists():
            return str(inside.absolute())
    executable = shutil.which(given)
    if executable is None or path.is_dir():
        raise BenchError(
            f"{given} is neither a Python nor a virtual environment; give for example .venv/new/bin/python"
        )
    return str(Path(executable).absolute())


def describe_other(python: str, variables: Mapping[str, str]) -> Software:
    """Return the packages of another interpreter, by running it.

    Raises:
        BenchError: it cannot import what a worker needs.
    """
    try:
        done = subprocess.run(
            [python, "-m", "bench.system.software"],
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{python} cannot be run: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise BenchError(
            f"{python} cannot run a worker: {said}\n"
            f"it needs a backend, and beside it: {python} -m pip install {' '.join(NEEDED)}"
        )
    software = msgspec.json.decode(done.stdout, type=Software)
    # Whatever release of the harness lies there, this one is what runs.
    own = describe_software({})
    packages = {name: version for name, version in software.packages.items() if name != "movierank-bench"}
    packages |= {name: version for name, version in own.packages.items() if name == "movierank-bench"}
    return msgspec.structs.replace(
        software, packages=dict(sorted(packages.items())), git_commit=own.git_commit, git_dirty=own.git_dirty
    )


def _with_harness(output: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return variables with which another Python finds this harness and nothing else of this environment.

    A folder of two links: the folder that they lie in may be this environment's site-packages.
    """
    folder = (output / ".harness").absolute()
    source = Path(bench.__file__).absolute().parents[1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in HARNESS:
            link = folder / name
            if not (link.is_symlink() and link.readlink() == source / name):
                link.unlink(missing_ok=True)
                link.symlink_to(source / name, target_is_directory=True)
    except OSError as error:
        raise BenchError(f"cannot write to {output}: {error.strerror or error}; choose another --output") from error
    paths = [str(folder), *filter(None, [inherited.get("PYTHONPATH")])]
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths)}


def _id_of(options: Options) -> str:
    """Return the mark of both reports: a new one, or that of the measurement that is resumed.

    Raises:
        BenchError: what is there are not two reports measured together.
    """
    if options.existing != "resume":
        return uuid.uuid4().hex
    stored = [
        load_report(options.output / side).together if (options.output / side / REPORT_NAME).exists() else None
        for side in SIDES
    ]
    there = [mark for mark in stored if mark is not None]
    reports = sum((options.output / side / REPORT_NAME).exists() for side in SIDES)
    if len(there) < reports or len({mark.id for mark in there}) > 1:
        raise BenchError(f"cannot resume: {options.output} does not hold two reports measured together")
    return there[0].id if there else uuid.uuid4().hex
