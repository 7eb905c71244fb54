"""`python -m bench validate`: measure trials with a known answer on this machine and see what is said of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from bench.comparison.drift import NOT_OF_VALIDATE, Drift, Trial, chain_of, estimated
from bench.errors import BenchError
from bench.measure.conditions import print_conditions
from bench.measure.options import DEFAULT_ROUND_S
from bench.report.comparable import arrows, processor_key, software_changes
from bench.schema.machine import Machine, Software
from bench.schema.record import Record
from bench.studies.validate.judged import Outcome, Simulated, judge, judge_pooled, simulate_coverage
from bench.studies.validate.options import Options
from bench.studies.validate.sides import measured_trials
from bench.studies.validate.stopping import Stopped, simulate_stopping
from bench.system.conditions import SAMPLE_S
from bench.system.environment import worker_environment
from bench.system.files import claimed_file, read_json, write_json
from bench.system.interrupts import interrupts_held
from bench.system.machine import describe_machine
from bench.system.snapshot import take_snapshot
from bench.system.software import describe_software, lasting, now
from movierank.data.datasets import load_dataset

SIMULATED = [(n, *scatter) for n in (3, 5, 10) for scatter in ((0.03, 0.02), (0.10, 0.10))]


class Validation(Record, frozen=True, kw_only=True):
    """The result, as stored.

    Attributes:
        created: start, ISO 8601 in UTC.
        machine: where.
        software: with what.
        backend: whose step was timed.
        processes: fresh processes on either side of a trial.
        rounds: of a process, for each true difference.
        outcomes: what was said, one a true difference.
        pooled: what would have been said with more processes on either side, from the same samples; of sides measured
            together only, but for results of older versions.
        simulated: coverage on simulated cells.
        stopped: coverage on simulated measurements that end when they are narrow; empty in results of versions that
            did not simulate them.
        trials: raw samples.
        drift: what sides scatter beyond their own processes; None where there are too few of them.
        finished: end of it; None where it was cut off, and in results of versions that did not say.
        round_s: shortest wall time of a round, in seconds; None in results of versions that did not say.
    """

    created: str
    machine: Machine
    software: Software
    backend: str
    processes: int
    rounds: int
    outcomes: list[Outcome]
    pooled: list[Outcome]
    simulated: list[Simulated]
    trials: list[Trial]
    drift: Drift | None = None
    finished: str | None = None
    stopped: list[Stopped] = msgspec.field(default_factory=list)
    round_s: float | None = None


def load_validation(file: Path) -> Validation:
    """Read a stored result.

    Raises:
        BenchError: the file cannot be read.
    """
    return read_json(file, Validation, NOT_OF_VALIDATE)


def judge_anew(file: Path) -> Validation:
    """Return a stored result with its trials judged by today's code, and simulated ones that end when narrow.

    Raises:
        BenchError: the file cannot be read.
    """
    return msgspec.structs.replace(_judged(load_validation(file)), stopped=list(simulate_stopping()))


def validate(options: Options, console: Console) -> Validation:
    """Measure the trials that are missing, saving after each comparison, and return what was said of all.

    Ctrl-C ends it early: the result then holds the comparisons so far, saved like any, and its `finished` is None.

    Raises:
        BenchError: a worker cannot be started or is lost, or the output cannot be written, is being written by another
            run, or holds a result of something else to go on with. Where comparisons are saved, the message says so.
    """
    dataset = load_dataset(options.dataset, progress=console.print)
    with claimed_file(options.output):
        return _measured(options, _opened(options), dataset.sha256, console)


def _measured(options: Options, result: Validation, sha256: str, console: Console) -> Validation:
    """Add the trials that `result` lacks, as `validate` says."""
    try:
        with interrupts_held():
            print_conditions(take_snapshot(sample_s=SAMPLE_S), result.machine, options.threads, console)
            for trials in measured_trials(options, sha256, result.trials, console):
                longer = _judged(msgspec.structs.replace(result, trials=[*result.trials, *trials], finished=None))
                write_json(longer, options.output)
                result = longer  # holds what is saved, and no more
    except KeyboardInterrupt:
        # A stored result that was finished with fewer comparisons is not so with those asked for now.
        return msgspec.structs.replace(result, finished=None)
    except BenchError as error:
        if not result.trials:
            raise
        kept = f"what was measured is in {options.output}, --resume goes on with it"
        raise BenchError(f"{error}; {kept}") from error
    if result.finished is None:
        result = msgspec.structs.replace(result, finished=now())
        write_json(result, options.output)
    return result


def _opened(options: Options) -> Validation:
    """Return a result without trials, or the stored one that is gone on with."""
    fresh = Validation(
        created=now(),
        machine=describe_machine(),
        software=describe_software(worker_environment(options.backend, "cpu", options.threads)),
        backend=options.backend,
        processes=options.processes,
        rounds=options.rounds,
        outcomes=[],
        pooled=[],
        simulated=[],
        trials=[],
        round_s=options.round_s,
    )
    if options.resume and options.output.exists():
        stored = judge_anew(options.output)
        if different := _differences(stored, fresh, together=options.together):
            raise BenchError(f"cannot resume {options.output}: {'; '.join(different)}; choose another --output")
        return stored
    simulated = [simulate_coverage(n, options.rounds, *scatter) for n, *scatter in SIMULATED]
    return msgspec.structs.replace(fresh, simulated=simulated, stopped=list(simulate_stopping()))


def _differences(stored: Validation, fresh: Validation, *, together: bool) -> list[str]:
    """Return the differences that keep new trials from being added, such as `processes 5 -> 3`."""
    before, today = (
        {
            **{name: getattr(each, name) for name in ("backend", "processes", "rounds")},
            **processor_key(each.machine),
            "round seconds": DEFAULT_ROUND_S if each.round_s is None else each.round_s,
        }
        for each in (stored, fresh)
    )
    if stored.trials:
        ways = {True: "together", False: "one after the other"}
        before["sides"], today["sides"] = ways[stored.trials[0].together], ways[together]
    return [
        *arrows(before, today),
        *software_changes(stored.software, fresh.software),
        *arrows(lasting(stored.software.environment), lasting(fresh.software.environment)),
    ]


def _judged(result: Validation) -> Validation:
    return msgspec.structs.replace(
        result,
        outcomes=judge(result.trials),
        pooled=judge_pooled(result.trials),
        drift=estimated(chain_of(result.trials)),
    )
