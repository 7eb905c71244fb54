"""Two sides of pytest-benchmark's files: which benchmarks became slower, as of two reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.comparison.benchmark_files import THREADS, Benchmark, BenchmarkFile, Benchmarks, machine_of
from bench.comparison.drift import ASSUMED
from bench.comparison.drift import NONE as NO_DRIFT
from bench.comparison.limits import NO_ALLOWANCES, USUAL_LIMITS, Allowances, Limits
from bench.comparison.records import Comparison, choose, label_of
from bench.comparison.verdicts import TimedPair, compare_times
from bench.errors import BenchError
from bench.report.comparable import arrows, difference
from bench.statistics import intervals

MACHINE_FACTS = ("device", "device_name")  # of a benchmark's `extra_info`, as `bench/suite` writes it
# Share of a process's rounds that may be timed with cores apart. These are its slowest: with more of them, its median
# lies in the upper third of the others.
APART_SHARE = 0.25


def compare_benchmarks(
    base: Benchmarks,
    new: Benchmarks,
    limits: Limits = USUAL_LIMITS,
    allowances: Allowances = NO_ALLOWANCES,
    names: tuple[str, str] | None = None,
) -> Comparison:
    """Compare the benchmarks that both sides have, or one of each.

    Args:
        base: the older side.
        new: the newer side.
        limits: largest changes that are allowed.
        allowances: differences and noise in spite of which a verdict is given; the noise are rounds that were timed
            while the machine's cores shared no cache.
        names: a benchmark of each side, by name or full name; None for all of equal full name.

    Raises:
        BenchError: a side lacks its benchmark, or its short name means several.
    """
    sides = base.timed(), new.timed()
    if names is None:
        pairs = [(name, name) for name in sides[1] if name in sides[0]]
    else:
        pairs = [(_full_name(names[0], base, 0), _full_name(names[1], new, 1))]
    reason = difference("machine", machine_of(base.files[0]), machine_of(new.files[0]))
    reason = reason or next(filter(None, (_other_device(base, new, *pair) for pair in pairs)), None)
    medians = base.medians(), new.medians()
    ignored = allowances.ignore_noise
    drift = NO_DRIFT if base == new else allowances.drift or ASSUMED
    short = _short_names([*base.files, *new.files])
    pairs.sort(key=lambda pair: sides[1][pair[1]].median_ms)
    timed = [
        TimedPair(
            label=label_of(short[a], short[b]),
            base=medians[0][a],
            new=medians[1][b],
            shown=(sides[0][a], sides[1][b]),
            disturbed=None if ignored or (base == new and a == b) else _disturbed(base.of(a), new.of(b)),
            drift=drift,
        )
        for a, b in pairs
    ]
    rows, confidence = compare_times(timed, limits, refuse=reason is not None and not allowances.force)
    return Comparison(
        kind="benchmarks",
        not_comparable=reason,
        rmse_not_comparable=None,
        max_regression=limits.max_regression,
        rmse_margin=limits.rmse_margin,
        step_confidence=confidence,
        rmse_confidence=intervals.CONFIDENCE,
        step_time=rows,
        rmse=[],
        parity=[],
        only_in_base={} if names else dict.fromkeys(short[n] for n in sides[0] if n not in sides[1]),
        only_in_new={} if names else dict.fromkeys(short[n] for n in sides[1] if n not in sides[0]),
        changes=_changes(base, new, pairs),
        drift=drift,
    )


def _other_device(base: Benchmarks, new: Benchmarks, old_name: str, new_name: str) -> str | None:
    old, recent = base.facts(old_name), new.facts(new_name)
    # Two named benchmarks may well be of two devices. Files of an older suite lack their threads.
    names = [*_device_facts(old_name, new_name), *([THREADS] if THREADS in old and THREADS in recent else [])]
    pick = [{name: facts[name] for name in names if name in facts} for facts in (old, recent)]
    return difference(f"device or threads for {new_name}", *pick)


def _device_facts(old_name: str, new_name: str) -> tuple[str, ...]:
    return MACHINE_FACTS if old_name == new_name else ()


def _disturbed(base: Sequence[Benchmark], new: Sequence[Benchmark]) -> str | None:
    """Say in how many processes of each side too many rounds were timed with cores apart; None for neither."""
    words = []
    for name, processes in (("base", base), ("new", new)):
        if apart := sum(map(_is_apart, processes)):
            words.append(f"{apart} of {len(processes)} processes ({name})")
    if not words:
        return None
    return (
        f"in {' and '.join(words)} the machine's cores shared no cache for more than {100 * APART_SHARE:.0f} % of the "
        "rounds; measure again, or --ignore-noise"
    )


def _is_apart(process: Benchmark) -> bool:
    apart = process.extra_info.get("apart_rounds")  # None where nobody could look
    return isinstance(apart, int) and apart > APART_SHARE * process.stats.rounds


def _full_name(name: str, side: Benchmarks, place: int) -> str:
    known = {b.fullname: b.name for file in side.files for b in file.benchmarks}
    if name in known:
        return name
    meant = [full for full, short in known.items() if short == name]
    if len(meant) > 1:
        raise BenchError(f"{name} is the name of several benchmarks: {', '.join(meant)}; give one of these")
    return meant[0] if meant else choose(name, {full: full for full in known}, place)


def _short_names(files: Sequence[BenchmarkFile]) -> dict[str, str]:
    """Return by full name the name without its file, or the full name where several share the short one."""
    names = {b.fullname: b.name for file in files for b in file.benchmarks}
    shared = [name for name, count in Counter(names.values()).items() if count > 1]
    return {full: full if name in shared else name for full, name in names.items()}


def _changes(base: Benchmarks, new: Benchmarks, pairs: Sequence[tuple[str, str]]) -> list[str]:
    old, recent = base.files[0].machine_info, new.files[0].machine_info
    changes = arrows({"python": old.get("python_version")}, {"python": recent.get("python_version")})
    for a, b in pairs:
        named = _device_facts(a, b)  # as the reason why the two are not comparable
        texts = [
            {key: value for key, value in facts.items() if isinstance(value, str) and key not in named}
            for facts in (base.facts(a), new.facts(b))
        ]
        changes += arrows(*texts)
    return list(dict.fromkeys(changes))
