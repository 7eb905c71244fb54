"""Open a report: a new one, or the stored one that a measurement resumes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.measure.options import Options
from bench.measure.profile import FOLDER
from bench.measure.recorder import Recorder
from bench.report.comparable import processor_key
from bench.report.file import PAGE_NAME, PREDICTIONS_NAME, REPORT_NAME, load_report, save_report
from bench.report.predictions import stored_arrays
from bench.schema.machine import Software
from bench.schema.report import SCHEMA, Report, Together
from bench.schema.run import Workload
from bench.system.environment import shared_environment
from bench.system.machine import describe_machine
from bench.system.software import describe_software, lasting, now


@dataclass(frozen=True)
class Environment:
    """A Python whose packages are measured.

    Attributes:
        software: packages, and the variables that all workers have.
        variables: variables that a worker's environment starts from.
        together: mark of a report that is measured together with another.
        slowdown: share by which to prolong its rounds on purpose; for `bench.studies.power`.
    """

    software: Software
    variables: Mapping[str, str]
    together: Together | None = None
    slowdown: float = 0.0


def this_environment(options: Options) -> Environment:
    """Return the environment that this program runs in."""
    shared = shared_environment(options.cells[0].device, options.threads)
    return Environment(describe_software(shared), dict(os.environ))


def open_recorder(options: Options, workload: Workload, environment: Environment) -> Recorder:
    """Open the recorder of a new report, or of the stored one where `existing` is `resume`.

    Raises:
        BenchError: the stored one is of something else, or the output cannot be written.
    """
    fresh = Report(
        schema=SCHEMA,
        created=now(),
        machine=describe_machine(),
        software=environment.software,
        workload=workload,
        settings=options.settings(),
        together=environment.together,
    )
    if options.existing == "overwrite" or not (options.output / REPORT_NAME).exists():
        save_report(fresh, options.output, stored={})
        if options.existing == "overwrite":
            _remove_old_parts(options.output)  # after their report was replaced, so that a kill leaves one of the two
        return Recorder(options.output, fresh, {})
    stored = load_report(options.output)
    _refuse_other(stored, fresh)
    report = msgspec.structs.replace(
        fresh,
        created=stored.created,
        machine=stored.machine,
        software=stored.software,
        conditions=stored.conditions,
        together=stored.together,
        runs=stored.runs,
        profiles=[profile for profile in stored.profiles if profile.file is not None],
        own_envelopes=stored.own_envelopes,
    )
    return Recorder(options.output, report, stored_arrays(options.output))


def _remove_old_parts(directory: Path) -> None:
    for name in (PREDICTIONS_NAME, PAGE_NAME):
        (directory / name).unlink(missing_ok=True)
    for folder in ("logs", FOLDER):
        shutil.rmtree(directory / folder, ignore_errors=True)


def _refuse_other(stored: Report, fresh: Report) -> None:
    """Refuse to go on with a report of something else.

    Raises:
        BenchError: something differs; the message names it.
    """
    pairs = {
        "workload": (stored.workload, fresh.workload),
        "threads": (stored.settings.threads, fresh.settings.threads),
        "round length": (stored.settings.round_s, fresh.settings.round_s),
        "seeds": (stored.settings.seeds, fresh.settings.seeds),
        "training before timing": (stored.settings.trains, fresh.settings.trains),
        "processor": (processor_key(stored.machine), processor_key(fresh.machine)),
        "GPU or its driver": (stored.machine.gpus, fresh.machine.gpus),
        "Python version": (stored.software.python, fresh.software.python),
        "package versions": (stored.software.packages, fresh.software.packages),
        "environment": (lasting(stored.software.environment), lasting(fresh.software.environment)),
        "report it was measured together with": (_partner(stored), _partner(fresh)),
        "interpreter": (stored.together, fresh.together),
        "git commit": (stored.software.git_commit, fresh.software.git_commit),
    }
    for name, (before, today) in pairs.items():
        if before != today:
            raise BenchError(f"cannot resume: the {name} differs from the stored report's; choose another --output")


def _partner(report: Report) -> tuple[str, str] | None:
    return None if report.together is None else (report.together.id, report.together.side)
