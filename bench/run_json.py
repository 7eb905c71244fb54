"""What `run --json` prints: a report's answer for a script; the raw samples are in `report.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.headline import headline
from bench.outcome import breaks_parity, exit_code
from bench.report import Report


def as_json(report: Report, output: Path) -> dict[str, Any]:
    """Returns plain dicts, lists and numbers; what was not measured is null or an empty list.

    Args:
        report: as it was measured.
        output: its directory.
    """
    derived = (
        *("step_time", "ratios", "rmse", "metrics", "first_steps", "floors", "time_to_target", "reference_rmse"),
        "profiles",
    )
    outside = [row for row in report.parity if breaks_parity(row)]
    return {
        "report": str(output),
        "schema": report.schema,
        "exit_code": exit_code(report),
        "headline": headline(report),
        "workload": msgspec.to_builtins(report.workload),
        **{name: msgspec.to_builtins(getattr(report, name)) for name in derived},
        "parity": {
            "judged": len(report.parity),
            "outside": msgspec.to_builtins(outside),
            "known": sorted({row.known for row in report.parity if row.known is not None}),
        },
        "not_measured": [
            {"cell": str(run.cell), "process": run.process, "status": run.status, "error": run.error}
            for run in report.runs
            if run.status != "ok"
        ],
        "warnings": list(report.conditions.warnings) if report.conditions else [],
    }
