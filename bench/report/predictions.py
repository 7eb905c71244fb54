"""`predictions.npz`: the test predictions of every run at every stage, and what they are predictions of."""

from __future__ import annotations

import lzma
import math
import stat
import struct
import tokenize
import zipfile
import zlib
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

# What a damaged or hostile file makes zipfile, its decompressors and NumPy's reader of headers raise.
NOT_ARRAYS = (
    *(OSError, EOFError, LookupError, ArithmeticError, TypeError, ValueError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
)
MOST_EXPANDED = 20  # predictions hardly compress, and NumPy's `savez` does not try
MOST_STORED = 20_000  # test ratings; MovieLens 25M's five million would make gigabytes


def key_of(run: Run, stage: str) -> str:
    """Return the name of one array: `jax/cpu/fit/p0/s0/epoch 5`."""
    return f"{run.cell}/p{run.process}/s{run.seed}/{stage}"


def stages_of(run: Run, arrays: Arrays) -> Arrays:
    """Return the arrays of one run by stage, in the order in which they were made."""
    prefix = key_of(run, "")
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def load_arrays(path: Path) -> Arrays:
    """Read all arrays of an .npz file, which may have come from anybody.

    Sizes are checked before anything of that size is allocated.

    Raises:
        BenchError: the file is damaged, no regular file, or claims more than it can hold.
    """
    try:
        if not stat.S_ISREG((status := path.stat()).st_mode):
            raise ValueError("not a regular file")
        with zipfile.ZipFile(path) as stored:
            if sum(member.file_size for member in stored.infolist()) > MOST_EXPANDED * status.st_size:
                raise ValueError(f"its arrays would take more than {MOST_EXPANDED} times its size")
            return {member.filename.removesuffix(".npy"): _array(stored, member) for member in stored.infolist()}
    except NOT_ARRAYS as error:
        words = (str(error).splitlines() or [type(error).__name__])[0]
        raise BenchError(f"cannot read {path}: {words}") from error


def _array(stored: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with stored.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, kind = header[version](file)
        if min(shape, default=0) < 0 or kind.itemsize * math.prod(shape) > member.file_size:
            raise ValueError(f"{member.filename} holds less than the {shape} numbers that it names")
        file.seek(0)
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def save_predictions(arrays: Arrays, directory: Path) -> None:
    """Write `predictions.npz` atomically.

    Raises:
        BenchError: it cannot be written; the one before is untouched.
    """
    with atomic_write(directory / PREDICTIONS_NAME) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # numpy types the keywords too narrowly


class NamedReport(NamedTuple):
    """A report with its predictions.

    Attributes:
        name: name that distinguishes it from the others.
        report: content of `report.json`.
        arrays: content of `predictions.npz`.
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
    """Return the predictions that a directory already holds; none where there are none."""
    path = directory / PREDICTIONS_NAME
    return load_arrays(path) if path.exists() else {}
