"""Where the warm-up rule (bench/statistics/steady.py) ends on real series of rounds, and what was still to come.

    python docs/reproductions/warm_up.py measure BACKEND [ROUNDS] >> series.jsonl
    python docs/reproductions/warm_up.py report < series.jsonl
    python docs/reproductions/warm_up.py stored results/validation/jax.json    or the folder of a report

`measure` starts a worker as `bench validate` does, whose rounds begin after one single step: it warms up by the rule,
then times so many more rounds (40) of MovieLens 100K by `fit`, and prints all as a line of JSON. Run it several times
for each backend. `report` says where the rule, and others beside it, end the warm-up of these series, and how the
median of the five rounds after that point, which is what `bench run` takes, compares with the median of the last half.
Rounds timed with the cores apart (docs/machine-state.md) are left out of both medians; in the warm-up nobody looks.
`stored` asks many short series, those of a validation or a report, whether the first two rounds after the warm-up
differ from the last two.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from statistics import median

import msgspec

from bench.comparison.drift import Trial
from bench.measure.options import WORKER_COMMAND
from bench.measure.process import WorkerProcess
from bench.report.file import load_report
from bench.report.rounds import counted_rounds
from bench.schema.messages import MeasureRound, Ready, Rounded, Steady, Stop, Stopped, WarmUp
from bench.schema.report import Report
from bench.statistics.calm import calm, limit_of, marked
from bench.statistics.intervals import typical
from bench.statistics.steady import IMPROVEMENT, MOST_ROUNDS, PATIENCE, is_steady
from bench.studies.validate.options import Options
from bench.studies.validate.run import load_validation
from bench.studies.validate.sides import job_of
from bench.system.environment import usable_cores, worker_environment
from bench.system.watch import watch_of
from movierank.data.datasets import load_dataset

TAKEN = 5
RULES = [(IMPROVEMENT, PATIENCE), (0.02, 1), (0.02, 4), (0.01, 2), (0.01, 4)]


class Series(msgspec.Struct):
    """All rounds of one worker: step times in ms, with the handover ratio of those after the warm-up."""

    backend: str
    steady: bool
    warmup_ms: list[float]
    rounds_ms: list[float]
    handover: list[float | None]


def measured(backend: str, rounds: int) -> Series:
    """Return the series of a fresh worker."""
    dataset, threads = load_dataset("100k"), usable_cores()
    watch = watch_of(threads, 20.0)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(backend=backend, output=Path(folder) / "none.json", dataset=dataset.name, threads=threads)
        environment = worker_environment(backend, "cpu", threads)
        with WorkerProcess(WORKER_COMMAND, environment, Path(folder) / "log", 120.0) as worker:
            job = job_of(options, dataset.sha256, folder)
            worker.ask(msgspec.structs.replace(job, trains=False), Ready)
            watch.before_round()
            steady = worker.ask(WarmUp(), Steady)
            series = Series(backend, steady.steady, steady.warmup_ms, [], [])
            for _ in range(rounds):
                watch.before_round()
                series.rounds_ms.append(worker.ask(MeasureRound(), Rounded).step_time_ms)
                series.handover.append(watch.after_round())
            worker.ask(Stop(), Stopped)
    return series


def end_by(all_ms: list[float], improvement: float, patience: int) -> int | None:
    """Return after how many rounds a rule ends the warm-up; None where it says that it never settled."""
    for count in range(MOST_ROUNDS + 1):
        if is_steady(all_ms[:count], improvement=improvement, patience=patience):
            return count
    return None


def still_to_come(series: Series, limit: float, end: int) -> float | None:
    """Return the median of the rounds taken after `end`, over that of the last half of those after the warm-up."""
    looks = [None] * len(series.warmup_ms) + series.handover
    all_rounds = marked(series.warmup_ms + series.rounds_ms, looks, limit)
    taken = calm(all_rounds[end:])[:TAKEN]
    last = calm(all_rounds[len(series.warmup_ms) + len(series.rounds_ms) // 2 :])
    return median(taken) / median(last) if taken and last else None


def noise(several: list[Series], limit: float) -> float:
    """Return the standard deviation of the logarithm of such a ratio in the last halves, where nothing warms up."""
    logs = []
    for series in several:
        half = len(series.rounds_ms) // 2
        last = calm(marked(series.rounds_ms[half:], series.handover[half:], limit))
        blocks = [last[start : start + TAKEN] for start in range(0, len(last) - TAKEN + 1, TAKEN)]
        logs += [math.log(median(block) / median(last)) for block in blocks]
    return math.sqrt(sum(log * log for log in logs) / len(logs))


def report(found: list[Series]) -> None:
    """Print where the rules end the warm-up of these series."""
    limit = limit_of(ratio for series in found for ratio in series.handover)
    for backend in dict.fromkeys(series.backend for series in found):
        several = [series for series in found if series.backend == backend]
        never = sum(not series.steady for series in several)
        apart = sum(ratio is not None and ratio > limit for series in several for ratio in series.handover)
        print(f"{backend}: {len(several)} processes, {never} never steady, {apart} rounds left out")
        for series in several:
            shown = " ".join(f"{value:.2f}" for value in series.warmup_ms)
            print(f"  warm-up {shown}; last half {median(series.rounds_ms[len(series.rounds_ms) // 2 :]):.2f} ms")
        for improvement, patience in RULES:
            ends = [end_by(series.warmup_ms + series.rounds_ms, improvement, patience) for series in several]
            pairs = zip(several, ends, strict=True)
            ratios = [r for series, end in pairs if end is not None and (r := still_to_come(series, limit, end))]
            if not ratios:
                continue
            bias = typical(ratios)
            ci95 = "" if bias.ci95 is None else f" [{bias.ci95[0]:.3f}, {bias.ci95[1]:.3f}]"
            rounds = ", ".join("never" if end is None else str(end) for end in ends)
            print(
                f"  {improvement:.0%}, {patience} rounds: ends after {rounds}; then {bias.value:.3f}{ci95} of the last "
                "half"
            )
        print(f"  noise of one such ratio where nothing warms up: {noise(several, limit):.1%}")


def report_stored(path: Path) -> None:
    """Print how the first two rounds after the warm-up compare with the last two, over the processes of a result."""
    if path.is_dir():
        of_cells = of_report(load_report(path))
    else:
        result = load_validation(path)
        of_cells = {result.backend: of_validation(result.trials)}
    for cell, ratios in of_cells.items():
        found = typical(ratios)
        assert found.ci95 is not None
        low, high = found.ci95
        print(
            f"{cell}: first two rounds over last two {found.value:.3f} [{low:.3f}, {high:.3f}], {len(ratios)} processes"
        )


def of_report(report: Report) -> dict[str, list[float]]:
    """Return that ratio of each process with four rounds that count, by cell."""
    return {
        str(cell): [first_over_last(rounds) for rounds in counted.rounds.values() if len(rounds) >= 4]
        for cell, counted in counted_rounds(report.runs).items()
    }


def of_validation(trials: list[Trial]) -> list[float]:
    """Return that ratio of each process of a newer side, the geometric mean over its rounds with all slowdowns."""
    ratios = []
    for comparison in batched_by_comparison(trials):
        for lists in zip(*(trial.new for trial in comparison), strict=True):  # of one process, a slowdown each
            logs = [math.log(first_over_last(rounds)) for rounds in lists]
            ratios.append(math.exp(sum(logs) / len(logs)))
    return ratios


def first_over_last(rounds: list[float]) -> float:
    """Return the median of two rounds over that of two."""
    return median(rounds[:2]) / median(rounds[-2:])


def batched_by_comparison(trials: list[Trial]) -> list[list[Trial]]:
    """Return the trials of each comparison, whose newer sides are the same processes."""
    starts = [place for place, trial in enumerate(trials) if trial.slowdown == 0]
    return [trials[start:stop] for start, stop in zip(starts, [*starts[1:], len(trials)], strict=True)]


if sys.argv[1:2] == ["measure"]:
    print(msgspec.json.encode(measured(sys.argv[2], int((sys.argv[3:] or ["40"])[0]))).decode())
elif sys.argv[1:2] == ["stored"]:
    report_stored(Path(sys.argv[2]))
else:
    report([msgspec.json.decode(line, type=Series) for line in sys.stdin])
