"""`predictions.npz`: the test predictions of every run at every stage, and what they are predictions of."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError
from bench.report.file import PREDICTIONS_NAME
from bench.schema.report import Report
from bench.schema.run import Run
from bench.system.files import atomic_write

Arrays = dict[str, npt.NDArray[Any]]


MOST_STORED = 20_000  # test ratings; MovieLens 25M's five million would make gigabytes


def key_of(run: Run, stage: str) -> str:
    """Returns the name of one array: `jax/cpu/fit/p0/s0/epoch 5`."""
    return f"{run.cell}/p{run.process}/s{run.seed}/{stage}"


def stages_of(run: Run, arrays: Arrays) -> Arrays:
    """Returns the arrays of one run by stage, in the order in which they were made."""
    prefix = key_of(run, "")
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def load_arrays(path: Path) -> Arrays:
    """Reads all arrays of an .npz file.

    Raises:
        BenchError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise BenchError(f"cannot read {path}: {error}") from error


def save_predictions(arrays: Arrays, directory: Path) -> None:
    """Writes `predictions.npz` atomically.

    Raises:
        BenchError: it cannot be written; the one before is untouched.
    """
    with atomic_write(directory / PREDICTIONS_NAME) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy types the keywords too narrowly


class NamedReport(NamedTuple):
    """A report with its predictions.

    Attributes:
        name: by which it is told from the others.
        report: of `report.json`.
        arrays: of `predictions.npz`.
    """

    name: str
    report: Report
    arrays: Arrays

    @property
    def seeds(self) -> set[int]:
        """The seeds of the initial weights whose trainings are complete."""
        return {run.seed for run in self.report.runs if run.trained}

    @property
    def failed(self) -> list[tuple[str, str]]:
        """The cells without a finished training that were not skipped, each with the reason."""
        finished = {run.cell for run in self.report.runs if run.trained}
        lost = [run for run in self.report.runs if run.cell not in finished and run.status != "skipped"]
        return list({str(run.cell): run.error or run.status for run in lost}.items())


def stored_arrays(directory: Path) -> Arrays:
    """Returns the predictions that a directory already holds; none where there are none."""
    path = directory / PREDICTIONS_NAME
    return load_arrays(path) if path.exists() else {}
