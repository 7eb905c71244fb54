"""Measure whether `bench versus`, with its defaults, sees a step that takes longer by a known share.

    python -m bench.studies.power FILE [--slowdowns 0.05,0] [--trials 10] [--backend jax]
    python -m bench.studies.power FILE --trials 0               # measure nothing, show what is there

A trial is what `python -m bench versus --no-parity` measures, between this environment and itself, with every round of
the newer side prolonged by a busy wait, as `bench validate` prolongs some. `validate` measures many short trials; this
measures few, each as long as a user's. Trials of all slowdowns take turns. FILE gets a line of JSON when a trial is
done, so Ctrl-C costs the one in progress, and the same command continues with what is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.measure.asked import versus_options_from
from bench.measure.versus import measure_versus
from bench.schema.outcome import BAD_INPUT, FINE, RUNS_FAILED, exit_code
from bench.schema.report import Report
from bench.system.files import add_line, read_lines
from bench.text.console import LastingConsole
from bench.text.table import FittingTable
from movierank.backends import BACKENDS


class Trial(msgspec.Struct, frozen=True):
    """A measurement whose answer is known.

    Attributes:
        backend: backend whose step was timed.
        slowdown: share by which the newer side was prolonged.
        ratio: ratio of step times, newer over older, as `compare` gives it; None without one.
        ci95: its 95 % interval.
        verdict: verdict of `compare`.
        regression: whether the gate of 5 % failed.
        processes: processes of either side.
        rounds: rounds of the older side in all.
        seconds: time that the measurement took.
        git_commit: commit of the harness.
        cpu_model: processor of the machine.
    """

    backend: str
    slowdown: float
    ratio: float | None
    ci95: tuple[float, float] | None
    verdict: str
    regression: bool
    processes: int
    rounds: int
    seconds: float
    git_commit: str | None
    cpu_model: str

    @property
    def holds_truth(self) -> bool:
        """Whether the interval holds the true ratio."""
        return self.ci95 is not None and self.ci95[0] <= 1 + self.slowdown <= self.ci95[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the trials that are missing, and print the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="lines of JSON, one a trial")
    parser.add_argument("--slowdowns", default="0.05", help="shares, such as 0.05,0 (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=10, help="of each, those in FILE included (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default="jax", help="(default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        slowdowns = [float(share) for share in arguments.slowdowns.split(",")]
    except ValueError:
        parser.error(f"--slowdowns are shares, such as 0.05,0; received {arguments.slowdowns}")
    try:
        measure_missing(arguments.file, arguments.backend, slowdowns, arguments.trials)
        LastingConsole().print(table(stored(arguments.file)))
    except KeyboardInterrupt:
        print("interrupted; the same command continues with what is missing", file=sys.stderr)
        return RUNS_FAILED
    except BenchError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return FINE


def measure_missing(file: Path, backend: str, slowdowns: Sequence[float], trials: int) -> None:
    """Add trials to a file until it holds this many of each slowdown.

    Raises:
        BenchError: a measurement failed, or the file holds no trials.
    """
    for at_least in range(1, trials + 1):
        for slowdown in slowdowns:
            done = [trial.slowdown for trial in stored(file) if trial.backend == backend]
            if done.count(slowdown) < at_least:
                add_line(measured(backend, slowdown), file)


def stored(file: Path) -> list[Trial]:
    """Return the trials that a file holds; none where there is no file.

    Raises:
        BenchError: the file holds something else.
    """
    return read_lines(file, Trial, "trials")


def measured(backend: str, slowdown: float) -> Trial:
    """Measure this environment against itself as `versus` does by default, the newer side prolonged by `slowdown`.

    Raises:
        BenchError: a run failed, so that nothing can be said.
    """
    with tempfile.TemporaryDirectory(prefix="versus-power-") as folder:
        options = versus_options_from(Path(folder) / "out", {"backends": backend, "parity": False})
        pythons = (sys.executable, sys.executable)
        started = time.monotonic()
        base, new = measure_versus(options, pythons, LastingConsole(stderr=True), slowdown=slowdown)
        seconds = time.monotonic() - started
    for report in (base, new):
        if exit_code(report) == RUNS_FAILED:
            failed = next((run for run in report.runs if run.status != "ok"), None)
            raise BenchError(f"a trial failed: {failed.error if failed else 'nothing was measured'}")
    return judged(base, new, backend, slowdown, seconds)


def judged(base: Report, new: Report, backend: str, slowdown: float, seconds: float) -> Trial:
    """Return the trial with the verdict that `compare` gives on two reports."""
    (row,) = compare_reports(base, new).step_time
    return Trial(
        backend=backend,
        slowdown=slowdown,
        ratio=row.ratio,
        ci95=row.ci95,
        verdict=row.verdict,
        regression=row.regression,
        processes=row.base.processes,
        rounds=row.base.rounds,
        seconds=seconds,
        git_commit=base.software.git_commit,
        cpu_model=base.machine.cpu_model,
    )


def table(trials: Sequence[Trial]) -> FittingTable:
    """Return a table with a row for each backend and slowdown."""
    shown = FittingTable(title="What `bench versus` says by default")
    for column in ("Backend", "True", "Trials", "Slower", "Gate fails", "Faster", "Same", "Undecided", "Holds true"):
        shown.add_column(column, justify="left" if column == "Backend" else "right")
    for column in ("Ratio", "Processes", "Seconds"):
        shown.add_column(column, justify="right")
    for backend, slowdown in sorted({(trial.backend, trial.slowdown) for trial in trials}):
        mine = [trial for trial in trials if (trial.backend, trial.slowdown) == (backend, slowdown)]
        verdicts = [trial.verdict for trial in mine]
        ratios = sorted(trial.ratio for trial in mine if trial.ratio is not None)
        shown.add_row(
            backend,
            f"{1 + slowdown:.2f}",
            str(len(mine)),
            str(verdicts.count("slower")),
            str(sum(trial.regression for trial in mine)),
            str(verdicts.count("faster")),
            str(verdicts.count("same")),
            str(verdicts.count("undecided")),
            str(sum(trial.holds_truth for trial in mine)),
            f"{ratios[0]:.3f} to {ratios[-1]:.3f}" if ratios else "–",
            f"{min(t.processes for t in mine)} to {max(t.processes for t in mine)}",
            f"{min(t.seconds for t in mine):.0f} to {max(t.seconds for t in mine):.0f}",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
