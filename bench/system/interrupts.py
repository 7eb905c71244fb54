"""Ctrl-C and similar signals, raised once, and where it matters only while no operation is half done.

Python raises `KeyboardInterrupt` between any two instructions: between starting a worker and remembering it, or in
the middle of the clean-up after an earlier Ctrl-C. Within `interrupts_held` it is raised only within `interruptible`,
which is where the supervisor waits for a worker.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a job scheduler, a closed terminal


class _Gate:
    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self.asked = False
        self.raised = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.is_open:
            self.let_through()

    def let_through(self) -> None:
        if self.asked and not self.raised:
            self.raised = True
            raise KeyboardInterrupt


_gates: list[_Gate] = []  # the innermost last, as signal handlers belong to the whole process


@contextlib.contextmanager
def interrupts_once() -> Iterator[None]:
    """Raise the first signal that asks to end as `KeyboardInterrupt` at once, and ignore further ones.

    A signal that this process was started to ignore, as by `nohup`, stays ignored. Outside the main thread this changes
    nothing.
    """
    with _gate(is_open=True):
        yield


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold the first signal back until `interruptible` or the end of this block, and ignore further ones.

    Raises:
        KeyboardInterrupt: at the end, if a signal arrived and has not been raised.
    """
    with _gate(is_open=False) as gate:
        yield
    if gate is not None:
        gate.let_through()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal through that `interrupts_held` holds back; without one, change nothing.

    Raises:
        KeyboardInterrupt: a signal arrived before or within.
    """
    if not _gates or _gates[-1].is_open:
        yield
        return
    gate = _gates[-1]
    gate.is_open = True
    try:
        gate.let_through()
        yield
    finally:
        gate.is_open = False


@contextlib.contextmanager
def _gate(*, is_open: bool) -> Iterator[_Gate | None]:
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    gate = _Gate(is_open=is_open)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # A handler that was not installed from Python reads as None and could not be put back.
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    _gates.append(gate)
    for number in taken:
        signal.signal(number, gate.ask)
    try:
        yield gate
    finally:
        _gates.remove(gate)
        if gate.raised and _gates:
            _gates[-1].raised = True
        for number in taken:
            signal.signal(number, before[number])
