"""The supervisor's side of one worker: start it, ask it, notice its death, end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.schema.messages import Command, Failed, Reply, Unavailable, decode_reply, encode
from bench.schema.run import Status
from bench.system.interrupts import interruptible

GRACE_S = 5.0
LOG_TAIL_BYTES = 4096


class WorkerLostError(Exception):
    """A worker died, hung, spoke nonsense, or said that it cannot go on.

    Attributes:
        status: what its run is to be recorded as.
        error: one line on what happened.
    """

    def __init__(self, status: Status, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class WorkerProcess:
    """One started worker.

    Args:
        command: program and arguments; the two file descriptors of the pipes are appended.
        environment: all its variables.
        log: file for its stdout and stderr.

    Raises:
        BenchError: it cannot be started, or its log cannot be written.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._buffer = b""
        command_read, self._commands = os.pipe()
        self._replies, reply_write = os.pipe()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    [*command, str(command_read), str(reply_write)],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(command_read, reply_write),
                    start_new_session=True,  # Ctrl-C reaches the supervisor alone
                )
        except OSError as error:
            os.close(self._commands)
            os.close(self._replies)
            raise BenchError(f"cannot start a worker that logs to {log}: {error.strerror or error}") from error
        finally:
            os.close(command_read)
            os.close(reply_write)
        self._end = _opened_end(self.process)

    def ask(self, message: Command, timeout_s: float) -> Reply:
        """Sends a command and waits, without using the processor, for its answer.

        Raises:
            WorkerLostError: no valid answer came in time, or the worker ended without one.
        """
        # A dead worker is told by the answer that does not come, which says more than a broken pipe.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, encode(message))
        line = self._read_line(timeout_s)
        try:
            reply: Reply = decode_reply(line)
        except msgspec.MsgspecError as error:
            self.kill()
            raise WorkerLostError("failed", f"the worker's answer cannot be read: {error}") from error
        return reply

    def ask_to_go_on(self, message: Command, timeout_s: float) -> Reply:
        """Does what `ask` does, and takes `Unavailable` and `Failed` for the loss that they tell of.

        Raises:
            WorkerLostError: as `ask`, or the worker said that it is skipped or has failed.
        """
        match self.ask(message, timeout_s):
            case Unavailable(reason=reason):
                raise WorkerLostError("skipped", reason)
            case Failed(error=error):
                raise WorkerLostError("failed", error)
            case reply:
                return reply

    def close(self) -> None:
        """Tells the worker that no more will come, waits a moment for its end, then ends it."""
        self._close_commands()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        self.kill()

    def kill(self) -> None:
        """Ends the worker and all that it started, at once; harmless when called again."""
        if self._replies == -1:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close_commands()
        os.close(self._replies)
        self._replies = -1
        if self._end is not None:
            os.close(self._end)

    def _close_commands(self) -> None:
        if self._commands != -1:
            os.close(self._commands)
            self._commands = -1

    def _read_line(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        sources = [self._replies] if self._end is None else [self._replies, self._end]
        while b"\n" not in self._buffer:
            with interruptible():
                readable, _, _ = select.select(sources, [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                self.kill()
                raise WorkerLostError("timeout", f"no answer within {timeout_s:g} s; --timeout allows more")
            if self._replies not in readable:
                raise self._lost()
            chunk = os.read(self._replies, 65_536)
            if not chunk:
                raise self._lost()
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _lost(self) -> WorkerLostError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        code = self.process.poll()
        self.kill()
        if code is not None and code < 0:
            hint = " (out of memory?)" if code == -signal.SIGKILL else ""
            return WorkerLostError("killed", f"the worker was ended by {signal.Signals(-code).name}{hint}")
        last_words = self._log_tail()
        return WorkerLostError("failed", f"the worker ended with exit code {code}" + (last_words and f": {last_words}"))

    def _log_tail(self) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:300] if lines else ""
        return ""


def _opened_end(process: subprocess.Popen[bytes]) -> int | None:
    """Returns a descriptor that is readable once `process` has ended; None where the system has none.

    A process that the worker started may hold the worker's pipe open, which then says nothing of its death.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(OSError):
        return os.pidfd_open(process.pid)
    return None
