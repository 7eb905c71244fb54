"""The options that choose a model's file and its backend, and the import of Keras with that backend."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from movierank.backends import BACKENDS, extra_of
from movierank.errors import MovierankError
from movierank.install_hint import install_hint

DEFAULT_MODEL = Path("ranking_model.keras")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the model's file and the backend."""
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="file of the model (default: %(default)s)")
    parser.add_argument(
        "--backend", choices=BACKENDS, help="Keras backend (default: KERAS_BACKEND, then Keras's own choice)"
    )


def import_keras(backend: str | None) -> str:
    """Import Keras with a backend and return the backend's name.

    Args:
        backend: name of the backend; None for KERAS_BACKEND, or else Keras's default.

    Raises:
        MovierankError: KERAS_BACKEND names a backend that this package does not support, or Keras or the backend is not
            installed.
    """
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen and chosen not in BACKENDS:
        raise MovierankError(f"KERAS_BACKEND is {chosen!r}; set it to {', '.join(BACKENDS)}, or use --backend")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras  # the first import decides the backend, so failures appear here
    except ImportError as error:
        if not chosen:
            raise MovierankError(
                f"cannot import Keras ({error}); choose an installed backend with --backend"
            ) from error
        hint = install_hint(extra_of(chosen))
        raise MovierankError(f"cannot import Keras with {chosen} ({error}): {hint}") from error
    return str(keras.backend.backend())
