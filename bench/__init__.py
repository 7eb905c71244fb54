"""The harness: it runs the workload in worker processes, times it, and writes, compares and plots reports.

`from bench import run, compare, load_report` gives the commands as functions (docs/api.md). Importing this package
imports neither Keras nor a framework; only worker processes do.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import compare, judge_parity, load_report, run, versus, write_page
    from bench.errors import BenchError
    from bench.schema.workload import Arrays, Workload

__all__ = ["Arrays", "BenchError", "Workload", "compare", "judge_parity", "load_report", "run", "versus", "write_page"]


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` on its first use: a worker and `--help` need none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = {"BenchError": "bench.errors", "Arrays": "bench.schema.workload", "Workload": "bench.schema.workload"}
    return getattr(importlib.import_module(homes.get(name, "bench.api")), name)


def __dir__() -> list[str]:
    """Return the names of this module and those that can be imported from it."""
    return sorted({*globals(), *__all__})
