"""What differs between two reports beside what was measured: releases, variables, the harness, the machine's system.

A difference of step time has its cause in one of these, or in what keeps two reports from being compared at all
(`bench.report.comparable`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from bench.report.comparable import arrows, software_changes
from bench.schema.machine import Software
from bench.schema.report import Report
from bench.system.environment import DEVICE_VARIABLES, THREAD_VARIABLES
from bench.system.software import PACKAGE_PREFIXES, lasting

LONGEST_VALUE = 60  # characters of a value; a variable may hold dozens of flags
SAME_BEFORE = 20  # characters at most of what two long values have in common that are shown before they part
MOST_IN_A_LINE = 12
PLACES = frozenset({"MOVIERANK_CACHE", "TORCH_HOME", "TORCH_EXTENSIONS_DIR", "CUDA_CACHE_PATH"})  # of files; no cause


def changes_between(old: Report, new: Report) -> list[str]:
    """Return the differences, the likelier cause first, such as `keras 3.15.1 -> 3.16.0`.

    Long values are shown from where they part.
    """
    packages = software_changes(old.software, new.software)
    companions = [change for change in packages if change.startswith(PACKAGE_PREFIXES)]
    before, after = ({key: value for key, value in _system(report).items() if value} for report in (old, new))
    both = [key for key in before if key in after]
    return [
        *(change for change in packages if change not in companions),
        *_variables(old, new),
        *companions,
        *filter(None, (_change(key, before[key], after[key]) for key in both)),
    ]


def first_changes(changes: Sequence[str]) -> list[str]:
    """Return as many changes as fit on a line, and the number of the others."""
    left = len(changes) - MOST_IN_A_LINE
    if left <= 1:  # to say so would take the place of the last one
        return list(changes)
    return [*changes[:MOST_IN_A_LINE], f"{left} more (--json lists all)"]


def _variables(old: Report, new: Report) -> list[str]:
    before, after = lasting(old.software.environment), lasting(new.software.environment)
    left_out = set(PLACES)
    if old.settings.threads != new.settings.threads:
        left_out |= set(THREAD_VARIABLES)  # they follow from the number of threads, which is reported
    if _devices(old) != _devices(new):
        left_out |= set(DEVICE_VARIABLES)
    found = []
    for name in sorted({*before, *after} - left_out):
        one, other = (side[name] or "empty" if name in side else "unset" for side in (before, after))
        found.append(_change(name, one, other))
    return [change for change in found if change]


def _devices(report: Report) -> set[str]:
    return {run.device.partition(":")[0] for run in report.runs}


def _system(report: Report) -> dict[str, str | None]:
    """Return what else may change a step time; None, or nothing, where it is unknown."""
    machine, conditions = report.machine, report.conditions
    return {
        "GPU driver": " and ".join(dict.fromkeys(gpu.driver for gpu in machine.gpus if gpu.driver)),
        "harness commit": _commit(report.software),
        "system": machine.system,
        "transparent huge pages": None if conditions is None else conditions.transparent_hugepages,
        "frequency governor": machine.governor or "unknown",
        "hypervisor or container": (machine.virtual or "none seen").replace(", ", " and "),
    }


def _commit(software: Software) -> str:
    if software.git_commit is None:
        return "unknown"
    return software.git_commit[:7] + ("-dirty" if software.git_dirty else "")


def _change(name: str, old: str, new: str) -> str | None:
    """Return `NAME OLD -> NEW` on one line, both cut where they are long; None where they are equal."""
    one, other = (" ".join(value.split()) for value in (old, new))
    start = 0
    if max(len(one), len(other)) > LONGEST_VALUE:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        word = max(one.rfind(separator, 0, same) + 1 for separator in " :,")
        start = max(0, word, same - SAME_BEFORE)
    return next(iter(arrows({name: _cut(one, start)}, {name: _cut(other, start)})), None)


def _cut(value: str, start: int) -> str:
    text = f"{'…' if start else ''}{value[start:]}"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
