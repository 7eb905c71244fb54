"""What two measurements must share before their times, or their RMSE, may be set side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.schema.machine import Machine, Software
from bench.schema.report import Report

# Equal checksums mean equal ratings in equal order, or the same model, wherever they came from. Initial weights move
# no step time, and the metric by what a seed does; they are drawn by a backend, which may be another one. A target
# moves nothing that is measured; a model's tables and its step follow from its checksum, where somebody looked.
MAY_DIFFER = ("source", "workload", "weights_sha256", "target", "tables", "step_operations", "step_bytes")


def workload_key(report: Report) -> dict[str, Any]:
    """Return the facts of what is trained; reports that differ here compare in nothing."""
    return {n: getattr(report.workload, n) for n in report.workload.__struct_fields__ if n not in MAY_DIFFER}


def machine_key(report: Report) -> dict[str, Any]:
    """Return the facts of the machine; reports that differ here compare in RMSE only."""
    return {
        **processor_key(report.machine),
        "gpus": ", ".join(gpu.name for gpu in report.machine.gpus) or "none",
        "threads": report.settings.threads,
    }


def processor_key(machine: Machine) -> dict[str, Any]:
    """Return what distinguishes processors; one name may stand for several, as where a virtual machine moves host."""
    return {
        "cpu_model": machine.cpu_model,
        "usable_cores": machine.usable_cores,
        "cpu_flags": " ".join(machine.cpu_flags),
        "caches": " ".join(f"{level} {size}" for level, size in machine.caches.items()),
    }


def difference(what: str, old: Mapping[str, object], new: Mapping[str, object]) -> str | None:
    """Return `different machine: threads 1 -> 2`, or None where all is equal; a key missing on one side is absent."""
    parts = arrows(old, new)
    return f"different {what}: {'; '.join(parts)}" if parts else None


def software_changes(old: Software, new: Software) -> list[str]:
    """Return the differences, such as `keras 3.15.1 -> 3.16.0`."""
    return arrows({"python": old.python}, {"python": new.python}) + sorted(arrows(old.packages, new.packages))


def arrows(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Return `NAME OLD -> NEW` for every key whose values differ; a missing value is called absent."""
    names = dict.fromkeys([*old, *new])
    pairs = {name: (old.get(name, "absent"), new.get(name, "absent")) for name in names}
    return [f"{name} {before} -> {after}" for name, (before, after) in pairs.items() if before != after]
