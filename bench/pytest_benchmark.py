"""pytest-benchmark's JSON: one file is one process, a folder of files is several.

Each benchmark gives one number a file, the median of its rounds: rounds of one process agree far better with
each other than with those of the next process, so an interval over them would be far too narrow.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench import statistics
from bench.comparable import arrows, difference
from bench.compare_reports import choose, label_of
from bench.comparison import Comparison, Timed
from bench.drift import ASSUMED, Drift
from bench.drift import NONE as NO_DRIFT
from bench.errors import BenchError
from bench.record import Record
from bench.report_file import REPORT_NAME
from bench.verdicts import Limits, TimedPair, compare_times

MACHINE_FACTS = ("device", "device_name")  # of a benchmark's `extra_info`, as `bench/suite` writes it


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
        path: what was given.
        files: one a process, oldest first.
    """

    path: Path
    files: Sequence[BenchmarkFile]

    def medians(self) -> dict[str, dict[int, float]]:
        """Returns each benchmark's median round in ms, by its full name and the index of its file."""
        found: dict[str, dict[int, float]] = {}
        for index, file in enumerate(self.files):
            for benchmark in file.benchmarks:
                found.setdefault(benchmark.fullname, {})[index] = 1e3 * benchmark.stats.median
        return found

    def timed(self) -> dict[str, Timed]:
        """Returns each benchmark as a table shows it."""
        return {
            name: Timed(
                name=name,
                median_ms=statistics.process_median(list(by_file.values())),
                ci95_ms=statistics.typical(list(by_file.values())).ci95,
                processes=len(by_file),
                rounds=sum(b.stats.rounds for file in self.files for b in file.benchmarks if b.fullname == name),
            )
            for name, by_file in self.medians().items()
        }


def is_benchmarks(path: Path) -> bool:
    """Says by their content whether a file, or the JSON files of a folder without a report, are pytest-benchmark's."""
    if not path.is_dir():
        return _is_benchmark_file(path)
    return not (path / REPORT_NAME).exists() and any(map(_is_benchmark_file, path.glob("*.json")))


def load_benchmarks(path: Path) -> Benchmarks:
    """Reads a file of pytest-benchmark, or all such files of a folder.

    Raises:
        BenchError: one is damaged, has a time that is not positive, is there twice, or is of another machine.
    """
    paths = [path] if not path.is_dir() else sorted(filter(_is_benchmark_file, path.glob("*.json")))
    loaded = sorted(((_load(each), each) for each in paths), key=lambda pair: (pair[0].datetime, pair[1]))
    first, of_first = loaded[0]
    for file, of_file in loaded[1:]:
        if other := difference("machines", _machine(first), _machine(file)):
            raise BenchError(f"{of_first} and {of_file} are of {other}; keep them in folders of their own")
    for (one, of_one), (two, of_two) in pairwise(loaded):
        if one == two:
            raise BenchError(f"{of_one} and {of_two} hold the same measurement; remove one of them")
    return Benchmarks(path, [file for file, _ in loaded])


def compare_benchmarks(
    base: Benchmarks,
    new: Benchmarks,
    limits: Limits,
    *,
    force: bool = False,
    names: tuple[str, str] | None = None,
    drift: Drift = ASSUMED,
) -> Comparison:
    """Compares the benchmarks that both sides have, or one of each.

    Args:
        base: the older side.
        new: the newer side.
        limits: what is still fine.
        force: compare times of different machines.
        names: a benchmark of each side, by name or full name; None for all of equal full name.
        drift: of the machine between the two sides; left out where both are the same files.

    Raises:
        BenchError: if a side lacks its benchmark, or its short name means several.
    """
    sides = base.timed(), new.timed()
    if names is None:
        pairs = [(name, name) for name in sides[1] if name in sides[0]]
    else:
        pairs = [(_full_name(names[0], base, 0), _full_name(names[1], new, 1))]
    reason = difference("machine", _machine(base.files[0]), _machine(new.files[0]))
    reason = reason or next(filter(None, (_other_device(base, new, *pair) for pair in pairs)), None)
    medians = base.medians(), new.medians()
    drift = NO_DRIFT if base == new else drift
    short = _short_names([*base.files, *new.files])
    pairs.sort(key=lambda pair: sides[1][pair[1]].median_ms)
    timed = [
        TimedPair(
            label=label_of(short[a], short[b]),
            base=medians[0][a],
            new=medians[1][b],
            shown=(sides[0][a], sides[1][b]),
            drift=drift,
        )
        for a, b in pairs
    ]
    rows, confidence = compare_times(timed, limits, refuse=reason is not None and not force)
    return Comparison(
        kind="benchmarks",
        not_comparable=reason,
        rmse_not_comparable=None,
        max_regression=limits.max_regression,
        rmse_margin=limits.rmse_margin,
        step_confidence=confidence,
        rmse_confidence=statistics.CONFIDENCE,
        step_time=rows,
        rmse=[],
        parity=[],
        only_in_base={} if names else dict.fromkeys(short[n] for n in sides[0] if n not in sides[1]),
        only_in_new={} if names else dict.fromkeys(short[n] for n in sides[1] if n not in sides[0]),
        changes=_changes(base, new, pairs),
        drift=drift,
    )


def _is_benchmark_file(path: Path) -> bool:
    try:
        msgspec.json.decode(path.read_bytes(), type=_Kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # whoever reads it as a report says what is wrong with it
    return True


def _load(path: Path) -> BenchmarkFile:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=BenchmarkFile)
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchError(f"{path} is no file of pytest-benchmark that can be read: {error}") from error
    for benchmark in file.benchmarks:
        if not (math.isfinite(benchmark.stats.median) and benchmark.stats.median > 0):
            raise BenchError(f"{path} holds an impossible time for {benchmark.name}: {benchmark.stats.median} s")
    return file


def _machine(file: BenchmarkFile) -> dict[str, object]:
    cpu = file.machine_info.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    return {
        "system": file.machine_info.get("system"),
        "machine": file.machine_info.get("machine"),
        "cpu": cpu.get("brand_raw"),
        "cores": cpu.get("count"),
    }


def _other_device(base: Benchmarks, new: Benchmarks, old_name: str, new_name: str) -> str | None:
    if old_name != new_name:
        return None  # two named benchmarks may well be of two devices
    old, recent = _facts(base, old_name), _facts(new, new_name)
    pick = [{name: facts[name] for name in MACHINE_FACTS if name in facts} for facts in (old, recent)]
    return difference(f"device for {new_name}", *pick)


def _facts(side: Benchmarks, fullname: str) -> dict[str, Any]:
    return next(b.extra_info for file in side.files for b in file.benchmarks if b.fullname == fullname)


def _full_name(name: str, side: Benchmarks, place: int) -> str:
    known = {b.fullname: b.name for file in side.files for b in file.benchmarks}
    if name in known:
        return name
    meant = [full for full, short in known.items() if short == name]
    if len(meant) > 1:
        raise BenchError(f"{name} is the name of several benchmarks: {', '.join(meant)}; give one of these")
    return meant[0] if meant else choose(name, {full: full for full in known}, place)


def _short_names(files: Sequence[BenchmarkFile]) -> dict[str, str]:
    """Returns by full name the name without its file, or the full name where several share the short one."""
    names = {b.fullname: b.name for file in files for b in file.benchmarks}
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    return {full: full if name in shared else name for full, name in names.items()}


def _changes(base: Benchmarks, new: Benchmarks, pairs: Sequence[tuple[str, str]]) -> list[str]:
    old, recent = base.files[0].machine_info, new.files[0].machine_info
    changes = arrows({"python": old.get("python_version")}, {"python": recent.get("python_version")})
    for a, b in pairs:
        texts = [
            {key: value for key, value in facts.items() if isinstance(value, str)}
            for facts in (_facts(base, a), _facts(new, b))
        ]
        changes += arrows(*texts)
    return list(dict.fromkeys(changes))
