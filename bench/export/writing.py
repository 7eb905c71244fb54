"""Which exporter makes which format, and where its result goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.export import mllog, pytest_benchmark
from bench.export.folder import write_files
from bench.export.junit import as_junit
from bench.export.markdown import as_markdown
from bench.export.rounds_csv import as_csv
from bench.report.view import View
from bench.system.files import write_text

TEXTS: dict[str, Callable[[Sequence[View]], str]] = {
    "csv": as_csv,
    "junit": as_junit,
    "markdown": as_markdown,
    "mllog": mllog.as_one_file,
    "pytest-benchmark": pytest_benchmark.as_one_file,
}
FOLDERS: dict[str, Callable[[Sequence[View]], dict[str, str]]] = {
    "mllog": mllog.as_files,
    "pytest-benchmark": pytest_benchmark.as_files,
}


@dataclass(frozen=True)
class Written:
    """What an export has left behind.

    Attributes:
        format: name of the format, as in `bench.export.FORMATS`.
        reports: names of the reports that it holds.
        to: path of the file or folder, or MLflow's tracking URI; None for standard output.
        files: files that were written, by name; none for MLflow and standard output.
        message: a line on it for people; empty where there is nothing to say.
    """

    format: str
    reports: Sequence[str]
    to: str | None = None
    files: Sequence[Path] = ()
    message: str = ""

    def as_json(self) -> dict[str, object]:
        """Return plain dicts, lists and numbers for `export --json`; `bytes` is null where there are no files."""
        return {
            "format": self.format,
            "written": self.to,
            "files": [str(file) for file in self.files],
            "bytes": sum(file.stat().st_size for file in self.files) if self.files else None,
            "reports": list(self.reports),
        }


def write_export(
    reports: Sequence[View], name: str, output: Path | None, tracking_uri: str | None, experiment: str
) -> Written:
    """Write reports in a format, and return what was written where.

    Args:
        reports: at least one.
        name: name of the format, as in `bench.export.FORMATS`.
        output: a file, or a folder for formats that are made of files: one whose name has no ending, or that is there.
            None for standard output.
        tracking_uri: tracking URI of MLflow; None for MLflow's default.
        experiment: name of MLflow's experiment.

    Raises:
        BenchError: it cannot be written there, or what it needs is not installed.
    """
    names = [view.name for view in reports]
    if name == "mlflow":
        from bench.export.mlflow import log_runs

        if output is not None:
            raise BenchError("mlflow goes to --tracking-uri, not to -o")
        runs, uri = log_runs(reports, tracking_uri, experiment)
        return Written(name, names, uri, message=f"logged {runs} runs to experiment {experiment} at {uri}")
    if name == "tensorboard":
        from bench.export.tensorboard import write_events

        if output is None:
            raise BenchError("tensorboard needs a folder for its event files; give -o FOLDER")
        message = f"wrote {write_events(reports, output)} runs to {output}; tensorboard --logdir {output}"
        return Written(name, names, str(output), _files_in(output), message)
    if output is None:
        sys.stdout.write(TEXTS[name](reports))
        return Written(name, names)
    if name in FOLDERS and (output.is_dir() or not output.suffix):
        write_files(FOLDERS[name](reports), output)
        files = _files_in(output)
        return Written(name, names, str(output), files, f"wrote {len(files)} files to {output}")
    write_text(TEXTS[name](reports), output)
    return Written(name, names, str(output), [output], f"wrote {output}")


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
