from __future__ import annotations

import os
import signal
import threading

import pytest

from bench.system.interrupts import SIGNALS, interruptible, interrupts_held, interrupts_once

pytestmark = pytest.mark.backend_free


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    # Whatever started the tests may have them ignored, as `nohup` and a shell's `&` do.
    inherited = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    for number, handler in zip(SIGNALS, inherited, strict=True):
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_held_until_it_may_interrupt(number: int) -> None:
    done = []

    def measure() -> None:
        with interrupts_held():
            send(number)
            done.append("not torn apart")
            with interruptible():
                done.append("never reached")

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert done == ["not torn apart"]


def test_a_signal_that_never_may_interrupt_is_raised_at_the_end() -> None:
    done = []

    def measure() -> None:
        with interrupts_held():
            send(signal.SIGINT)
            done.append("finished")

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert done == ["finished"]


def test_a_signal_while_waiting_interrupts_at_once_and_a_second_one_not_the_cleaning_up() -> None:
    done = []

    def measure() -> None:
        with interrupts_once(), interrupts_held():
            try:
                with interruptible():
                    send(signal.SIGINT)
                    done.append("never reached")
            finally:
                send(signal.SIGINT)
                with interruptible():
                    send(signal.SIGTERM)
                    done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert done == ["cleaned up"]


def test_the_first_signal_is_raised_at_once_where_nothing_is_held_and_a_second_is_ignored() -> None:
    with interrupts_once():
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)


def test_a_signal_that_was_raised_inside_is_not_raised_again_outside() -> None:
    with interrupts_once():
        with pytest.raises(KeyboardInterrupt), interrupts_held(), interruptible():
            send(signal.SIGINT)
        send(signal.SIGINT)


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_held(), interruptible():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_holder_ctrl_c_is_as_ever() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        send(signal.SIGINT)


def test_outside_the_main_thread_nothing_changes() -> None:
    done = []

    def measure() -> None:
        with interrupts_held(), interruptible():
            done.append("measured")

    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
    assert done == ["measured"]
