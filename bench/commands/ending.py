"""Commands that end early: Ctrl-C, or a file that cannot be written, while results are saved after every reply."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.errors import BenchError, NotWrittenError
from bench.schema.outcome import BAD_INPUT, RUNS_FAILED
from movierank.errors import MovierankError

ERRORS = (BenchError, MovierankError, KeyboardInterrupt)  # reported in one line, without a traceback


@contextlib.contextmanager
def keeping(output: Path, kept: Path | None = None, *, resumes: bool = True) -> Iterator[None]:
    """Add to an early end where the results so far are, as a note of the exception.

    Args:
        output: output of the command.
        kept: file that exists once results are saved; by default `output`.
        resumes: whether the command has `--resume`.
    """
    try:
        yield
    except (KeyboardInterrupt, NotWrittenError) as error:
        if (kept or output).exists():
            how = ", --resume goes on with it" if resumes else ""
            error.add_note(f"what was measured is in {output}{how}")
        raise


def report_error(error: BaseException) -> int:
    """Print one of `ERRORS` on stderr and return the exit code."""
    interrupted, notes = isinstance(error, KeyboardInterrupt), getattr(error, "__notes__", [])
    print("bench: " + "; ".join(["interrupted" if interrupted else str(error), *notes]), file=sys.stderr)
    return RUNS_FAILED if interrupted or notes else BAD_INPUT
