"""Start the process that reads TFDS, and explain its failures in a line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

import movierank
from movierank.data.tfds_reader import ERROR_PREFIX, MISSING_PREFIX, SOFTWARE
from movierank.errors import MovierankError
from movierank.install_hint import install_hint


class ReaderMissingError(MovierankError):
    """TFDS or a package that it needs is not installed, so no MovieLens source can be read."""


def read_with_tfds(name: str, output: Path, scratch: Path, extracted: Path | None = None) -> dict[str, str]:
    """Let TFDS build MovieLens `name` and write its arrays to `output`.

    Args:
        name: `100k`, `latest-small`, `1m`, `20m` or `25m`.
        output: existing folder for the arrays.
        scratch: existing folder for TFDS's own files; the caller removes it.
        extracted: folder that holds `ml-NAME`; None lets TFDS download from GroupLens.

    Returns:
        Versions of TFDS and TensorFlow by name.

    Raises:
        MovierankError: TFDS is missing, GroupLens cannot be reached, or TFDS stops.
    """
    command = [sys.executable, "-m", "movierank.data.tfds_reader", name, f"--output={output}", f"--scratch={scratch}"]
    if extracted is not None:
        command.append(f"--extracted={extracted}")
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise _explained(done)
    versions = output / SOFTWARE
    software = msgspec.json.decode(versions.read_bytes(), type=dict[str, str])
    versions.unlink()
    return software


def _environment() -> dict[str, str]:
    package_parent = str(Path(movierank.__file__).parents[1])
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    search_path = os.pathsep.join(filter(None, [package_parent, os.environ.get("PYTHONPATH")]))
    return inherited | {
        "PYTHONPATH": search_path,
        "PYTHONUTF8": "1",  # TFDS reads MovieLens's CSV files in the locale's encoding
        "KERAS_BACKEND": "tensorflow",  # TensorFlow imports Keras, and the user's backend may not be installed
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _explained(done: subprocess.CompletedProcess[str]) -> MovierankError:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith(MISSING_PREFIX):
            reason = line.removeprefix(MISSING_PREFIX)
            return ReaderMissingError(
                f"Preparing MovieLens needs TensorFlow Datasets ({reason}): {install_hint('data')}"
            )
        if line.startswith(ERROR_PREFIX):
            return MovierankError(line.removeprefix(ERROR_PREFIX))
    ended = f"by signal {-done.returncode}" if done.returncode < 0 else f"with exit code {done.returncode}"
    return MovierankError(f"the TFDS process ended {ended}: {lines[-1][:200] if lines else 'it said nothing'}")
