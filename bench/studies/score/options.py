"""What to score and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.measure.options import DEFAULT_PATIENCE_S, WORKER_COMMAND, require_patience
from bench.schema.cell import Cell
from bench.studies.score.records import ScoreSettings
from bench.system.environment import usable_cores

SEED = 0
ROUND_PAIRS = {"cpu": 4_000_000, "gpu": 400_000_000}  # half a second on two cores, some tenths on a large GPU


@dataclass(frozen=True)
class Options:
    """What to score and how.

    Attributes:
        cells: backends and devices; their loop means nothing here.
        output: JSON file of the result.
        num_users: highest user id.
        num_movies: highest movie id.
        users: whose best movies a round searches; None for as many as make a round long enough to time.
        round_pairs: about as many pairs make a round long enough on the CPU.
        k: movies kept for each user.
        processes: for each cell.
        rounds: of a process, of each kind.
        threads: of a worker.
        order_seed: of the rounds' order.
        patience_s: as in `bench.measure.options.Options`.
        timeout_s: longest wait for one answer of a worker, in seconds.
        worker_command: program and arguments of a worker.
    """

    cells: Sequence[Cell]
    output: Path
    num_users: int = 943
    num_movies: int = 1682
    users: int | None = None
    round_pairs: int = ROUND_PAIRS["cpu"]
    k: int = 10
    processes: int = 3
    rounds: int = 5
    threads: int = field(default_factory=usable_cores)
    order_seed: int = 0
    patience_s: float = DEFAULT_PATIENCE_S
    timeout_s: float = 600.0
    worker_command: Sequence[str] = WORKER_COMMAND

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            BenchError: naming the option.
        """
        for name in ("users", "k", "processes", "rounds", "threads"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise BenchError(f"--{name if name != 'k' else 'top'} must be at least 1; received {value}")
        if self.users is not None and self.users > self.num_users:
            raise BenchError(f"--users {self.users} is more than --size has ({self.num_users:,})")
        if not self.timeout_s > 0:
            raise BenchError(f"--timeout must be above 0; received {self.timeout_s}")
        require_patience(self.patience_s)

    def users_on(self, device: str) -> int:
        """Return how many users' best movies a round searches."""
        pairs = self.round_pairs if device == "cpu" else ROUND_PAIRS["gpu"]
        return self.users or max(1, min(self.num_users, pairs // self.num_movies))

    def settings(self) -> ScoreSettings:
        """Return the settings that the result stores."""
        return ScoreSettings(
            num_users=self.num_users,
            num_movies=self.num_movies,
            k=self.k,
            processes=self.processes,
            rounds=self.rounds,
            threads=self.threads,
            seed=SEED,
            order_seed=self.order_seed,
            timeout_s=self.timeout_s,
        )
