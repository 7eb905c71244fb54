"""A model's file: written whole or not at all, and read with clear errors."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from movierank.errors import MovierankError

if TYPE_CHECKING:
    from movierank.model import RankingModel


def save_model(model: RankingModel, path: Path) -> None:
    """Write a model as `.keras`; on a full disk an older file stays.

    Raises:
        MovierankError: the file cannot be written.
    """
    temporary = path.with_name(f".{os.getpid()}.keras")  # a full disk must not cost an older model
    try:
        model.save(temporary)
        temporary.replace(path)
    except OSError as error:
        raise MovierankError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_model(path: Path) -> None:
    """Check that a file may be a model, without importing Keras.

    Raises:
        MovierankError: there is no file, or it is not a `.keras` file.
    """
    if not path.is_file():
        raise MovierankError(f"no model at {path}; train one with `python -m movierank train`")
    if not zipfile.is_zipfile(path):
        raise MovierankError(f"{path} is damaged or not a .keras file; train a model with `python -m movierank train`")


def load_model(path: Path) -> RankingModel:
    """Read a model that `save_model` wrote, under any backend.

    Raises:
        MovierankError: the file is not such a model, or cannot be read.
    """
    check_model(path)
    import keras

    from movierank.model import RankingModel

    try:
        model = keras.saving.load_model(path)
    except Exception as error:  # Keras passes on the exceptions of its parts
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MovierankError(f"cannot load {path}: {reason}") from error
    if not isinstance(model, RankingModel):
        raise MovierankError(f"{path} holds a {type(model).__name__}, not a RankingModel")
    return model
