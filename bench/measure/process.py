"""The conversation with a worker process: start it, ask it, notice its death, end it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

import msgspec

from bench.errors import BenchError
from bench.schema.messages import Command, Failed, Unavailable, decode_reply, encode
from bench.schema.record import Message
from bench.schema.run import Status
from bench.system.interrupts import interruptible

ReplyT = TypeVar("ReplyT", bound=Message)

GRACE_S = 5.0
LOG_TAIL_BYTES = 4096


class WorkerLostError(Exception):
    """A worker died, hung, sent an invalid reply, or reported that it cannot go on.

    Attributes:
        status: status to record for its run; `skipped` where it reported that its backend, device or loop is missing.
        error: one line on what happened.
    """

    def __init__(self, status: Status, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class WorkerProcess:
    """A started worker. As a context manager, it ends the worker on the way out.

    Args:
        command: program and arguments; the two file descriptors of the pipes are appended.
        environment: all variables of the process.
        log: file for its stdout and stderr.
        timeout_s: longest wait for a reply, in seconds.

    Raises:
        BenchError: the worker cannot be started, or its log cannot be written.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, timeout_s: float) -> None:
        self.log = log
        self.timeout_s = timeout_s
        self._buffer = b""
        command_read, self._commands = os.pipe()
        self._replies, reply_write = os.pipe()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with _new_log(log) as output:
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

    def __enter__(self) -> Self:
        """Return this process."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the worker at once."""
        self.kill()

    def ask(self, command: Command, expected: type[ReplyT]) -> ReplyT:
        """Send a command and return the reply, waiting for it without using the processor.

        Args:
            command: command to send.
            expected: type of the reply to this command.

        Raises:
            WorkerLostError: no valid reply came in time, the worker ended without one, or it replied `Unavailable`,
                `Failed` or something else than `expected`.
        """
        # A reply that does not come shows that a worker is dead, and its log says more than a broken pipe.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, encode(command))
        line = self._read_line()
        try:
            reply = decode_reply(line)
        except msgspec.MsgspecError as error:
            self.kill()
            raise WorkerLostError("failed", f"the worker's answer cannot be read: {error}") from error
        match reply:
            case Unavailable():
                raise WorkerLostError("skipped", reply.reason)
            case Failed():
                raise WorkerLostError("failed", reply.error)
            case expected():
                return reply
        asked, answered = type(command).__name__, type(reply).__name__
        raise WorkerLostError("failed", f"the worker answered {asked} with {answered}")

    def close(self) -> None:
        """Close the pipe of commands, wait a moment for the worker to end, then end it."""
        self._close_commands()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        self.kill()

    def kill(self) -> None:
        """End the worker and all processes that it started, at once; a second call changes nothing."""
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

    def _read_line(self) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        sources = [self._replies] if self._end is None else [self._replies, self._end]
        while b"\n" not in self._buffer:
            with interruptible():
                readable, _, _ = select.select(sources, [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                self.kill()
                raise WorkerLostError("timeout", f"no answer within {self.timeout_s:g} s; --timeout allows more")
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


def _new_log(log: Path) -> BinaryIO:
    """Return an empty file that is no link, in a folder that is none: a report's folder may be somebody else's."""
    folder = os.open(log.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        return os.fdopen(os.open(log.name, flags, 0o666, dir_fd=folder), "wb")
    finally:
        os.close(folder)


def _opened_end(process: subprocess.Popen[bytes]) -> int | None:
    """Return a descriptor that is readable once `process` has ended; None where the system has no such descriptors.

    A process that the worker started may hold the worker's pipe open, so the pipe alone does not show its death.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(OSError):
        return os.pidfd_open(process.pid)
    return None
