"""Output that outlives its reader: further writes are discarded.

A command then still does all its work and ends with the exit code of its result. `movierank train` saves its model, and
under `set -o pipefail` `bench compare … | head -1` fails where `bench compare …` does, and only there.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import IO, Any


@contextlib.contextmanager
def lasting_output() -> Iterator[None]:
    """Let writes to standard output and standard error succeed even if their reader, such as `head`, has gone."""
    # A stream is None where it is closed, as by `>&-`.
    out, err = (_Lasting(stream or io.StringIO()) for stream in (sys.stdout, sys.stderr))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()  # here, since nobody can catch the errors of the interpreter's flush at its end


def send_nowhere(stream: IO[str]) -> None:
    """Discard the rest of a stream and all further writes, also at this program's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Lasting:
    """A stream whose reader may go away."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, words: str) -> int:
        try:
            return self._stream.write(words)
        except BrokenPipeError:
            send_nowhere(self._stream)
            return len(words)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            send_nowhere(self._stream)
