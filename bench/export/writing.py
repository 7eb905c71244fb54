"""Which exporter makes which format, and where its result goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.export import mllog, pytest_benchmark
from bench.export.exported import Exported
from bench.export.folder import write_files
from bench.export.junit import as_junit
from bench.export.markdown import as_markdown
from bench.export.rounds_csv import as_csv
from bench.report_file import write_text

TEXTS: dict[str, Callable[[Sequence[Exported]], str]] = {
    "csv": as_csv,
    "junit": as_junit,
    "markdown": as_markdown,
    "mllog": mllog.as_one_file,
    "pytest-benchmark": pytest_benchmark.as_one_file,
}
FOLDERS: dict[str, Callable[[Sequence[Exported]], dict[str, str]]] = {
    "mllog": mllog.as_files,
    "pytest-benchmark": pytest_benchmark.as_files,
}


def write_export(
    reports: Sequence[Exported], name: str, output: Path | None, tracking_uri: str | None, experiment: str
) -> str | None:
    """Writes reports in a format, and returns a line on what was written; None where it went to standard output.

    Args:
        reports: at least one.
        name: of the format, as in `bench.export.FORMATS`.
        output: a file, or a folder for formats that are made of files: one whose name has no ending, or that is there.
            None for standard output.
        tracking_uri: of MLflow; None for its own default.
        experiment: MLflow's, by name.

    Raises:
        BenchError: it cannot be written there, or what it needs is not installed.
    """
    if name == "mlflow":
        from bench.export.mlflow import log_runs

        if output is not None:
            raise BenchError("mlflow goes to --tracking-uri, not to -o")
        return log_runs(reports, tracking_uri, experiment)
    if name == "tensorboard":
        from bench.export.tensorboard import write_events

        if output is None:
            raise BenchError("tensorboard needs a folder for its event files; give -o FOLDER")
        return f"wrote {write_events(reports, output)} runs to {output}; tensorboard --logdir {output}"
    if output is None:
        sys.stdout.write(TEXTS[name](reports))
        return None
    if name in FOLDERS and (output.is_dir() or not output.suffix):
        files = FOLDERS[name](reports)
        write_files(files, output)
        return f"wrote {len(files)} files to {output}"
    write_text(TEXTS[name](reports), output)
    return f"wrote {output}"
