"""What a sweep goes over, and which workload each of its points is.

One curve has one workload, apart from what it goes over. Over the batch size that is made-up ratings in the shape of
MovieLens 100K, but so many that the largest batch leaves `STEPS` steps in an epoch: MovieLens 100K itself has one of
65,536, and what an epoch costs would pass for what a step costs. Over the tables' rows it is made-up ratings too,
half of the rows users'; there the data must change with the tables, as ids must reach all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from bench.errors import BenchError
from bench.system.environment import usable_cores

Over = Literal["batch-size", "table-rows", "embedding-dimension", "threads"]

OVER: tuple[Over, ...] = get_args(Over)
STEPS = 20  # in an epoch, at least
TRAIN_SHARE = 0.8  # of the default split of made-up ratings
FEWEST_ROWS = 10
FEWEST_RATINGS = 250_000
USERS, MOVIES = 943, 1682  # MovieLens 100K's

DEFAULTS: dict[Over, tuple[int, ...]] = {
    "batch-size": (64, 256, 1024, 4096, 16_384, 65_536),
    "table-rows": (1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
    "embedding-dimension": (8, 16, 32, 64, 128, 256),
}
QUICK: dict[Over, tuple[int, ...]] = {
    "batch-size": (64, 512, 4096, 32_768),
    "table-rows": (1_000, 10_000, 100_000, 1_000_000),
    "embedding-dimension": (8, 32, 128),
}
UNITS: dict[Over, str] = {
    "batch-size": "example",
    "table-rows": "row",
    "embedding-dimension": "dimension",
    "threads": "thread",
}


@dataclass(frozen=True)
class Point:
    """One value of what a sweep goes over.

    Attributes:
        value: of it.
        dataset: as for `movierank.data.datasets.load_dataset`.
        batch_size: examples a step.
        embedding_dimension: width of both tables.
        threads: of a worker.
    """

    value: int
    dataset: str
    batch_size: int
    embedding_dimension: int
    threads: int


def default_values(over: Over, *, quick: bool) -> list[int]:
    """Return sensible values; of threads, powers of two up to the cores that may be used, and these."""
    if over == "threads":
        cores = usable_cores()
        return sorted({*(2**power for power in range(cores.bit_length())), cores})
    return list((QUICK if quick else DEFAULTS)[over])


def parse_values(text: str) -> list[int]:
    """Read `64,256,1k,1M`, and return the numbers in ascending order without repeats.

    Raises:
        BenchError: one is not a whole number from 1 up.
    """
    values = set()
    for part in filter(None, map(str.strip, text.split(","))):
        digits, unit = (part[:-1], {"k": 10**3, "m": 10**6}[part[-1].lower()]) if part[-1] in "kKmM" else (part, 1)
        if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) * unit < 2**31):
            raise BenchError(f"--values {text}: {part!r} is not a whole number from 1 up, such as 64, 10k or 1M")
        values.add(int(digits) * unit)
    if not values:
        raise BenchError("--values names no value; separate them by commas, such as 64,256,1k")
    return sorted(values)


def size_of(over: Over, value: int) -> float:
    """Return what the cost model of `bench.statistics.cost_model` grows with: the value, or one over the threads."""
    return 1 / value if over == "threads" else float(value)


def points_of(over: Over, values: list[int], base: Point, dataset: str | None, ratings: int | None) -> list[Point]:
    """Return the points of a sweep.

    Args:
        over: what it goes over.
        values: of that, ascending.
        base: everything else; its value and dataset do not count.
        dataset: asked for by name; None for the one that suits.
        ratings: of made-up data; None for as many as suit.

    Raises:
        BenchError: tables cannot be as small, or `dataset` or `ratings` does not go with what is swept over.
    """
    if over == "table-rows":
        if dataset is not None:
            raise BenchError("--dataset does not go with --over table-rows, which makes ratings up for each size")
        if values[0] < FEWEST_ROWS:
            raise BenchError(f"--values: tables have at least {FEWEST_ROWS} rows; received {values[0]}")
    elif ratings is not None and (dataset is not None or over != "batch-size"):
        raise BenchError("--ratings is of made-up data: give it as --dataset synthetic:USERSxMOVIESxRATINGS")
    largest = values[-1] if over == "batch-size" else base.batch_size
    enough = ratings or max(FEWEST_RATINGS, round(STEPS * largest / TRAIN_SHARE))
    made_up = f"synthetic:{USERS}x{MOVIES}x{enough}"
    chosen = dataset or (made_up if over == "batch-size" else "100k")
    return [
        Point(
            value=value,
            dataset=_tables(value, enough) if over == "table-rows" else chosen,
            batch_size=value if over == "batch-size" else base.batch_size,
            embedding_dimension=value if over == "embedding-dimension" else base.embedding_dimension,
            threads=value if over == "threads" else base.threads,
        )
        for value in values
    ]


def _tables(rows: int, ratings: int) -> str:
    """Return the made-up dataset whose two tables have `rows` rows; each has one that no id uses."""
    users = rows // 2 - 1
    movies = rows - rows // 2 - 1
    return f"synthetic:{users}x{movies}x{max(ratings, users, movies)}"
