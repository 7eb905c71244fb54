"""pytest-benchmark's JSON: one file is one process, a folder of files is several of one thing.

Each benchmark gives one number a file, the median of its rounds: rounds of one process agree far better with
each other than with those of the next process, so an interval over them would be far too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.comparison.records import Timed
from bench.errors import BenchError
from bench.report.comparable import difference
from bench.report.file import REPORT_NAME
from bench.schema.record import Record
from bench.statistics import intervals
from bench.system.files import NOT_SUCH_JSON, read_json

THREADS = "threads"  # of `extra_info`, as `bench/suite` writes it; pytest-benchmark stores only the machine's cores
PYTHON = ("python_implementation", "python_version")  # of `machine_info`


class Stats(Record, frozen=True, kw_only=True):
    """Of the rounds of one benchmark: seconds an iteration."""

    median: float
    rounds: int


class Benchmark(Record, frozen=True, kw_only=True):
    """One benchmark of a file."""

    name: str
    fullname: str
    stats: Stats
    extra_info: dict[str, Any] = msgspec.field(default_factory=dict)


class BenchmarkFile(Record, frozen=True, kw_only=True):
    """What is read of a file that `pytest --benchmark-json` or `--benchmark-save` wrote."""

    machine_info: dict[str, Any]
    benchmarks: list[Benchmark]
    datetime: str


class _Kind(Record, frozen=True, kw_only=True):
    machine_info: msgspec.Raw
    benchmarks: msgspec.Raw


@dataclass(frozen=True)
class Benchmarks:
    """The same benchmarks, run by one process or several.

    Attributes:
        path: file or folder that was given.
        files: one file a process, the oldest first.
    """

    path: Path
    files: Sequence[BenchmarkFile]

    def medians(self) -> dict[str, dict[int, float]]:
        """Return each benchmark's median round in ms, by its full name and the index of its file."""
        found: dict[str, dict[int, float]] = {}
        for index, file in enumerate(self.files):
            for benchmark in file.benchmarks:
                found.setdefault(benchmark.fullname, {})[index] = 1e3 * benchmark.stats.median
        return found

    def of(self, fullname: str) -> list[Benchmark]:
        """Return one benchmark, from each process that ran it."""
        return [benchmark for file in self.files for benchmark in file.benchmarks if benchmark.fullname == fullname]

    def facts(self, fullname: str) -> dict[str, Any]:
        """Return the `extra_info` of a benchmark, from the last process where processes differ."""
        return {key: value for benchmark in self.of(fullname) for key, value in benchmark.extra_info.items()}

    def timed(self) -> dict[str, Timed]:
        """Return each benchmark as a table shows it."""
        return {
            name: Timed(
                name=name,
                median_ms=intervals.process_median(list(by_file.values())),
                ci95_ms=intervals.typical(list(by_file.values())).ci95,
                processes=len(by_file),
                rounds=sum(benchmark.stats.rounds for benchmark in self.of(name)),
            )
            for name, by_file in self.medians().items()
        }


def is_benchmarks(path: Path) -> bool:
    """Return whether the content of a file, or of a folder's JSON files beside no report, is pytest-benchmark's."""
    if not path.is_dir():
        return _is_benchmark_file(path)
    return not (path / REPORT_NAME).exists() and any(map(_is_benchmark_file, path.glob("*.json")))


def load_benchmarks(path: Path) -> Benchmarks:
    """Read a file of pytest-benchmark, or all such files of a folder.

    Raises:
        BenchError: one is damaged, has a time that is not positive, is there twice, or is of another machine, Python
            or number of threads, or has another text in `extra_info`, such as a version.
    """
    paths = [path] if not path.is_dir() else sorted(filter(_is_benchmark_file, path.glob("*.json")))
    loaded = sorted(((_load(each), each) for each in paths), key=lambda pair: (pair[0].datetime, pair[1]))
    first, of_first = loaded[0]
    for file, of_file in loaded[1:]:
        if other := difference("machines", machine_of(first), machine_of(file)):
            raise BenchError(f"{of_first} and {of_file} are of {other}; keep them in folders of their own")
    for (one, of_one), (two, of_two) in pairwise(loaded):
        if one == two:
            raise BenchError(f"{of_one} and {of_two} hold the same measurement; remove one of them")
    _refuse_mixed(loaded)
    return Benchmarks(path, [file for file, _ in loaded])


def _refuse_mixed(loaded: Sequence[tuple[BenchmarkFile, Path]]) -> None:
    """Refuse files of different measurements, as where one folder holds files from before and after an upgrade.

    What a file does not state, as one of an older suite may not, is not compared.

    Raises:
        BenchError: naming two files, and in what they differ.
    """
    known: dict[tuple[str, str], tuple[str, Path]] = {}
    for file, path in loaded:
        facts = _same_in_all(file)
        other = [fact for fact, value in facts.items() if fact in known and known[fact][0] != value]
        if other:
            before = known[other[0]][1]
            parts = dict.fromkeys(f"{key} {known[name, key][0]} -> {facts[name, key]}" for name, key in other)
            raise BenchError(
                f"{before} and {path} differ: {'; '.join(parts)}. The files of a folder count as processes of one "
                "side: keep these in folders of their own, as --benchmark-json FOLDER/FILE.json does"
            )
        known = {**{fact: (value, path) for fact, value in facts.items()}, **known}


def _same_in_all(file: BenchmarkFile) -> dict[tuple[str, str], str]:
    """Return the facts that must not differ between processes, by their benchmark (empty for all) and name."""
    facts = {("", key): str(file.machine_info[key]) for key in PYTHON if key in file.machine_info}
    for benchmark in file.benchmarks:
        for key, value in benchmark.extra_info.items():
            if isinstance(value, str) or key == THREADS:
                facts[benchmark.fullname, key] = str(value)
    return facts


def machine_of(file: BenchmarkFile) -> dict[str, object]:
    """Return what distinguishes machines; the cores are all of the machine's, however many were used."""
    cpu = file.machine_info.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    return {
        "system": file.machine_info.get("system"),
        "machine": file.machine_info.get("machine"),
        "cpu": cpu.get("brand_raw"),
        "cores": cpu.get("count"),
    }


def _is_benchmark_file(path: Path) -> bool:
    try:
        msgspec.json.decode(path.read_bytes(), type=_Kind)
    except (OSError, *NOT_SUCH_JSON):
        return False  # whoever reads it as a report says what is wrong with it
    return True


def _load(path: Path) -> BenchmarkFile:
    file = read_json(path, BenchmarkFile, "is no file of pytest-benchmark that can be read")
    for benchmark in file.benchmarks:
        if not (math.isfinite(benchmark.stats.median) and benchmark.stats.median > 0):
            raise BenchError(f"{path} holds an impossible time for {benchmark.name}: {benchmark.stats.median} s")
    return file
