"""A measurement that ended early: what is said of it, and with which exit code."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.errors import NotWrittenError
from bench.schema.outcome import BAD_INPUT, RUNS_FAILED

ENDS_EARLY = (KeyboardInterrupt, NotWrittenError)


def cut_off(error: BaseException, output: Path, kept: Path) -> int:
    """Says on stderr why it ended and how it is gone on with, and returns the exit code.

    Args:
        error: one of `ENDS_EARLY`.
        output: of the command.
        kept: what is there once something was saved.
    """
    saved = kept.exists()
    why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
    how = f"; what was measured is in {output}, --resume goes on with it" if saved else ""
    print(f"bench: {why}{how}", file=sys.stderr)
    return RUNS_FAILED if saved or isinstance(error, KeyboardInterrupt) else BAD_INPUT
