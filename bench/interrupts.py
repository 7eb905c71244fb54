"""Ctrl-C and its like, let in only where nothing is half done.

Python raises `KeyboardInterrupt` between any two instructions: between starting a worker and remembering it, or in
the middle of the clean-up that an earlier Ctrl-C asked for. Within `interrupts_held` it is raised only within
`interruptible`, which is where the supervisor waits for a worker, and only once.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a job scheduler, a closed terminal


class _Gate:
    def __init__(self) -> None:
        self.open = False
        self.asked = False
        self.raised = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.open:
            self.let_through()

    def let_through(self) -> None:
        if self.asked and not self.raised:
            self.raised = True
            raise KeyboardInterrupt


_gates: list[_Gate] = []


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds signals that ask to end back until `interruptible`, or else until the end of this block.

    The first one is raised as `KeyboardInterrupt`, further ones are ignored: they ask for what is being done. A signal
    that this process was told to ignore, as by `nohup`, stays ignored. Outside the main thread nothing is held.

    Raises:
        KeyboardInterrupt: at the end, if one was asked for and has not been raised.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    gate = _Gate()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # A handler that was not installed from Python reads as None and could not be put back.
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    _gates.append(gate)
    for number in taken:
        signal.signal(number, gate.ask)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
        _gates.remove(gate)
    gate.let_through()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets a signal in that `interrupts_held` holds back; without one, changes nothing.

    Raises:
        KeyboardInterrupt: one was asked for before or within.
    """
    if not _gates:
        yield
        return
    gate = _gates[-1]
    gate.open = True
    try:
        gate.let_through()
        yield
    finally:
        gate.open = False
