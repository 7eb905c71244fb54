"""What to validate with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.measure.options import DEFAULT_PATIENCE_S, DEFAULT_ROUND_S, WORKER_COMMAND, require_patience
from bench.system.environment import usable_cores


@dataclass(frozen=True)
class Options:
    """What to validate with.

    Attributes:
        backend: whose step is timed, on the CPU.
        output: JSON file of the result.
        comparisons: trials for each true difference, those of a result that is gone on with included.
        processes: fresh processes for either side of a trial.
        rounds: of a process, for each true difference.
        together: whether sides are measured side by side, as by `bench versus`, and not one after the other.
        resume: whether to go on with the result that `output` holds, if it holds one, and not replace it.
        round_s: shortest wall time of a round, in seconds.
        patience_s: as in `bench.measure.options.Options`, for each side.
        dataset: as for `movierank.data.datasets.load_dataset`; prepared before.
        threads: of a worker.
        seed: of the order of rounds.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
    """

    backend: str
    output: Path
    comparisons: int = 40
    processes: int = 5
    rounds: int = 5
    together: bool = False
    resume: bool = False
    round_s: float = DEFAULT_ROUND_S
    patience_s: float = DEFAULT_PATIENCE_S
    dataset: str = "100k"
    threads: int = field(default_factory=usable_cores)
    seed: int = 0
    timeout_s: float = 120.0
    worker_command: Sequence[str] = WORKER_COMMAND

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            BenchError: naming the option.
        """
        for name, least in (("comparisons", 1), ("processes", 2), ("rounds", 1)):
            if getattr(self, name) < least:
                raise BenchError(f"--{name} must be at least {least}; received {getattr(self, name)}")
        require_patience(self.patience_s)
