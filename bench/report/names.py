"""Names of reports where several are shown: as short as distinguishes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from bench.errors import BenchError
from bench.report.file import REPORT_NAME
from bench.schema.report import SIDES


def short_names(reports: Iterable[str]) -> dict[str, str]:
    """Return for each report the shortest end of its path that no other one has, such as `upgrade/base`.

    Args:
        reports: path of each, its folder or file.
    """
    parts = {report: _parts(report) for report in reports}
    ends = Counter(each[-length:] for each in parts.values() for length in range(1, len(each) + 1))
    return {report: _short(of_report, ends) or report for report, of_report in parts.items()}


def _parts(report: str) -> tuple[str, ...]:
    parts = PurePath(report).parts
    return parts[:-1] if len(parts) > 1 and parts[-1] == REPORT_NAME else parts


def _short(parts: tuple[str, ...], ends: Counter[tuple[str, ...]]) -> str | None:
    # `base` and `new`, as `bench versus` calls its reports, say nothing without the folder that holds both.
    least = 2 if len(parts) > 1 and parts[-1] in SIDES else 1
    unique = (parts[-length:] for length in range(least, len(parts) + 1) if ends[parts[-length:]] == 1)
    found = next(unique, None)
    return None if found is None else str(PurePath(*found))


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return the last part of each path, or as many more parts as distinguish them.

    Raises:
        BenchError: two paths are the same.
    """
    for folder, times in Counter(folders).items():
        if times > 1:
            raise BenchError(f"{folder} was given {times} times; give each report once")
    names, parts = [folder.name for folder in folders], 1
    while len(set(names)) < len(names):
        parts += 1
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
    return names
