"""The options of a measurement, checked."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.measure.option_table import DEFAULTS
from bench.schema.cell import Cell
from bench.schema.parity import FEWEST_COPIES, Judge
from bench.schema.run import Settings
from bench.system.conditions import SAMPLE_S
from bench.system.environment import usable_cores

WORKER_COMMAND = (sys.executable, "-m", "bench.worker")
DEFAULT_ROUND_S: float = DEFAULTS["round_s"]
DEFAULT_PATIENCE_S: float = DEFAULTS["patience_s"]
DEFAULT_BUDGET_S = 300.0  # where a precision is asked for: a noisy machine may never reach it


@dataclass(frozen=True)
class Options:
    """What to measure and how; further attributes are as in `bench.schema.run.Workload` and `Settings`.

    Five processes are the default, because with three a cell of two modes looks like one mode in a quarter of all runs.
    Five rounds are, because processes and rounds scatter alike (some 10 % each, on two shared cores) and a process
    costs as much as fifteen rounds: another process adds more than further rounds (`bench.statistics.scatter`).

    Attributes:
        cells: cells to measure.
        output: directory of the report.
        data_source: source of the ratings, as for `movierank.data.datasets.load_dataset`.
        data_path: file or folder of the ratings, as for `movierank.data.datasets.load_dataset`.
        split: `tutorial` or `FRACTION:SEED`; None for the default of the dataset.
        workload: `module:object` of a custom workload (`bench.Workload`), which names the data, the batch size and the
            epochs; None for the built-in workload.
        target_rmse: test RMSE, in label units, up to which training time is reported.
        trains: whether each process first trains the epochs whose RMSE is reported; a sweep only times steps.
        parity: whether to judge parity; None to judge it if the oracle takes seconds, as on MovieLens 100K, or if
            `envelope` is `backend`.
        copies: number of permuted copies of each cell and seed, if `envelope` is `backend`.
        profile: whether a worker of each cell traces some more steps, to show where their time goes.
        existing: what to do when `output` already holds a report.
        patience_s: longest time in all, in seconds, to wait for the machine to return to its usual state and to repeat
            rounds that were timed outside it (`bench.system.watch`).
        watch_s: time, in seconds, to watch the load of other processes before the first worker starts.
        worker_command: program and arguments of a worker.
    """

    cells: Sequence[Cell]
    output: Path
    dataset: str = DEFAULTS["dataset"]
    data_source: str = DEFAULTS["data_source"]
    data_path: Path | None = None
    split: str | None = None
    batch_size: int = DEFAULTS["batch_size"]
    epochs: int = DEFAULTS["epochs"]
    embedding_dimension: int = DEFAULTS["embedding_dimension"]
    learning_rate: float = DEFAULTS["learning_rate"]
    init: Literal["shared", "backend"] = DEFAULTS["init"]
    workload: str | None = None
    target_rmse: float = DEFAULTS["target_rmse"]
    processes: int = DEFAULTS["processes"]
    seeds: int = DEFAULTS["seeds"]
    rounds: int = DEFAULTS["rounds"]
    round_s: float = DEFAULT_ROUND_S
    threads: int = field(default_factory=usable_cores)
    order_seed: int = DEFAULTS["order_seed"]
    timeout_s: float = DEFAULTS["timeout_s"]
    precision: float | None = None
    budget_s: float | None = None
    trains: bool = True
    parity: bool | None = None
    profile: bool = False
    envelope: Judge = DEFAULTS["envelope"]
    copies: int = DEFAULTS["copies"]
    existing: Literal["refuse", "resume", "overwrite"] = "refuse"
    worker_command: Sequence[str] = WORKER_COMMAND
    patience_s: float = DEFAULT_PATIENCE_S
    watch_s: float = SAMPLE_S

    def __post_init__(self) -> None:
        """Check that all numbers are possible.

        Raises:
            BenchError: a number is not; the message names the option.
        """
        counts = ("batch_size", "epochs", "embedding_dimension", "processes", "seeds", "rounds", "threads")
        for name in counts:
            if getattr(self, name) < 1:
                raise BenchError(f"--{name.replace('_', '-')} must be at least 1; received {getattr(self, name)}")
        for name, option in (
            ("learning_rate", "--learning-rate"),
            ("target_rmse", "--target-rmse"),
            ("round_s", "--round-seconds"),
            ("timeout_s", "--timeout"),
            ("precision", "--precision"),
            ("budget_s", "--budget"),
        ):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise BenchError(f"{option} must be above 0 and finite; received {getattr(self, name)}")
        if self.copies < FEWEST_COPIES:
            raise BenchError(f"--copies must be at least {FEWEST_COPIES}; received {self.copies}")
        if self.envelope == "backend" and (self.init == "backend" or self.parity is False):
            option = "--init backend" if self.init == "backend" else "--no-parity"
            raise BenchError(f"--envelope backend is for judging parity, which {option} rules out; drop one of them")
        require_patience(self.patience_s)

    def settings(self) -> Settings:
        """Return the part that the report stores."""
        settings = {name: getattr(self, name) for name in Settings.__struct_fields__}
        if self.budget_s is None and self.precision is not None:
            settings["budget_s"] = DEFAULT_BUDGET_S
        return Settings(**{**settings, "processes": max(self.processes, self.seeds)})  # a process trains one seed


def require_patience(patience_s: float) -> None:
    """Check a patience, in seconds.

    Raises:
        BenchError: it is negative or not finite.
    """
    if not 0 <= patience_s < math.inf:
        raise BenchError(f"--patience must be 0 or more and finite; received {patience_s}")
