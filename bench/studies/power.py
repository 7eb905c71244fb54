"""Whether `bench versus`, as it is by default, sees a step that takes longer by a known share.

    python -m bench.studies.power FILE [--slowdowns 0.05,0] [--trials 10] [--backend jax]
    python -m bench.studies.power FILE --trials 0               # measure nothing, show what is there

A trial is one whole `python -m bench versus` between this environment and itself. The Python of the newer side is a
script that starts the same worker with every round prolonged by a busy wait, as `bench validate` prolongs some.
`validate` measures many short trials; this measures few, each as long as a user's. Trials of all slowdowns take turns.
Each is a line of JSON that FILE has once it is done, so Ctrl-C costs the one in progress, and the same command goes on
with what is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.comparison.reports import compare_reports
from bench.errors import BenchError
from bench.report.file import load_report
from bench.schema.outcome import BAD_INPUT, FINE, RUNS_FAILED, WORSE
from bench.schema.report import Report
from bench.system.files import add_line, read_lines
from bench.text.console import LastingConsole
from bench.text.table import FittingTable
from movierank.backends import BACKENDS

VERSUS = (sys.executable, "-m", "bench", "versus", "--no-parity")
SLOWED = """#!{python}
import runpy, sys
from msgspec.structs import replace

module, *rest = sys.argv[2:] if sys.argv[1] == "-m" else sys.exit("only python -m MODULE is slowed down")
sys.argv = [module, *rest]
if module == "bench.worker":
    from bench.schema.messages import MeasureRound
    from bench.worker import serve

    carry_out = serve._carry_out

    def slowed(command, session):
        longer = replace(command, slowdown={slowdown}) if isinstance(command, MeasureRound) else command
        return carry_out(longer, session)

    serve._carry_out = slowed
    sys.exit(serve.main(*map(int, rest)))
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Trial(msgspec.Struct, frozen=True):
    """One measurement with a known answer.

    Attributes:
        backend: whose step was timed.
        slowdown: of the newer side, as a share.
        ratio: of step times, newer over older, as `compare` gives it; None without one.
        ci95: its interval.
        verdict: of `compare`.
        regression: whether the gate of 5 % failed.
        processes: on either side.
        rounds: of the older side, all together.
        seconds: that the command took.
        git_commit: that measured.
        cpu_model: of the machine.
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
    """Measures what is missing, and prints what was said."""
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
        print("interrupted; the same command goes on with what is missing", file=sys.stderr)
        return RUNS_FAILED
    except BenchError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return FINE


def measure_missing(file: Path, backend: str, slowdowns: Sequence[float], trials: int) -> None:
    """Adds trials to a file until it holds so many of each slowdown.

    Raises:
        BenchError: `versus` failed, or the file is none of trials.
    """
    for at_least in range(1, trials + 1):
        for slowdown in slowdowns:
            done = [trial.slowdown for trial in stored(file) if trial.backend == backend]
            if done.count(slowdown) < at_least:
                add_line(measured(backend, slowdown), file)


def stored(file: Path) -> list[Trial]:
    """Returns the trials that a file holds; none where there is no file.

    Raises:
        BenchError: it holds something else.
    """
    return read_lines(file, Trial, "trials")


def measured(backend: str, slowdown: float) -> Trial:
    """Runs `versus` once, with its defaults.

    Raises:
        BenchError: it did not end with a verdict, and has said why on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="versus-power-") as folder:
        python = slowed_python(Path(folder), slowdown)
        started = time.monotonic()
        done = subprocess.run(
            [*VERSUS, sys.executable, str(python), f"--backends={backend}", f"--output={folder}/out"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        seconds = time.monotonic() - started
        if done.returncode not in (FINE, WORSE):
            raise BenchError(f"bench versus ended with {done.returncode}")
        base, new = (load_report(Path(folder) / "out" / side) for side in ("base", "new"))
    return judged(base, new, backend, slowdown, seconds)


def slowed_python(folder: Path, slowdown: float) -> Path:
    """Returns a program that is this Python, but for workers, whose rounds take longer by that share."""
    python = folder / "python"
    python.write_text(SLOWED.format(python=sys.executable, slowdown=slowdown))
    python.chmod(0o755)
    return python


def judged(base: Report, new: Report, backend: str, slowdown: float, seconds: float) -> Trial:
    """Returns what `compare` says of two reports."""
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
    """Returns a row a backend and slowdown."""
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
