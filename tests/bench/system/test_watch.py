from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.suite.state import StateBetweenRounds
from bench.system.handover import Handover
from bench.system.watch import FIRST_LOOKS, StateWatch

pytestmark = pytest.mark.backend_free

TOGETHER, APART = 1.35, 3.3


class Clock:
    """A machine whose state is a function of time; only looking and sleeping take time."""

    def __init__(self, state_at: Callable[[float], float | None]) -> None:
        self.now = 0.0
        self.state_at = state_at

    def look(self) -> float | None:
        return self.state_at(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch_on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[StateWatch, Clock]]:
    def start(state_at: Callable[[float], float | None], patience_s: float) -> tuple[StateWatch, Clock]:
        clock = Clock(state_at)
        monkeypatch.setattr("bench.system.watch.time.monotonic", clock.monotonic)
        return StateWatch(clock.look, patience_s, clock.sleep), clock

    return start


def test_a_round_starts_at_once_while_the_cores_share_a_cache(watch_on):
    watch, clock = watch_on(lambda now: TOGETHER, 10)
    watch.before_round()
    assert clock.now == 0
    assert watch.after_round() == TOGETHER
    assert watch.patience_s == 10


def test_a_round_waits_until_the_cores_share_a_cache_again(watch_on):
    watch, clock = watch_on(lambda now: APART if 1 <= now < 4 else TOGETHER, 10)
    clock.now = 1
    watch.before_round()
    assert clock.now == pytest.approx(4, abs=0.1)
    assert watch.patience_s == pytest.approx(7, abs=0.1)
    assert not watch.is_apart(watch.after_round())


def test_patience_ends_and_the_round_counts_as_apart(watch_on):
    watch, clock = watch_on(lambda now: APART if now >= 1 else TOGETHER, 3)
    clock.now = 1
    watch.before_round()
    assert clock.now == pytest.approx(4, abs=0.1)
    assert watch.is_apart(watch.after_round())
    watch.before_round()
    assert clock.now == pytest.approx(4, abs=0.1)


def test_without_patience_nothing_waits(watch_on):
    watch, clock = watch_on(lambda now: APART if now >= 1 else TOGETHER, 0)
    clock.now = 1
    watch.before_round()
    assert clock.now == 1
    assert watch.is_apart(watch.after_round())


def test_a_state_that_begins_during_a_round_is_seen_by_the_look_after_it(watch_on):
    watch, clock = watch_on(lambda now: APART if now >= 1 else TOGETHER, 10)
    watch.before_round()
    clock.now = 2
    assert watch.is_apart(watch.after_round())


def test_cores_that_never_share_a_cache_are_in_their_usual_state(watch_on):
    watch, clock = watch_on(lambda now: APART, 10)
    watch.before_round()
    assert clock.now == 0
    assert not watch.is_apart(watch.after_round())


def test_where_it_cannot_be_measured_nothing_waits_and_nothing_is_reported(watch_on):
    watch, clock = watch_on(lambda now: None, 10)
    watch.before_round()
    assert clock.now == 0
    assert watch.after_round() is None
    assert not watch.is_apart(None)


def test_one_failed_look_says_nothing_of_the_state(watch_on):
    looks = iter([TOGETHER] * FIRST_LOOKS + [None, APART])
    watch, clock = watch_on(lambda now: next(looks), 10)
    watch.before_round()
    assert clock.now == 0
    assert watch.after_round() == APART


@pytest.mark.parametrize(("handovers", "apart"), [([1.3, 3.4, 1.4], 2), ([None] * 3, None)])
def test_the_suite_reports_the_state_of_the_last_benchmark_s_rounds(monkeypatch, handovers, apart):
    """Of two rounds, after ten of an earlier benchmark: the look between the two saw the cores apart."""
    usual = None if apart is None else 1.35
    ratios = iter([usual] * 10 + handovers)
    monkeypatch.setattr(Handover, "ratio", lambda handover: next(ratios))
    monkeypatch.setattr(Handover, "of_threads", lambda threads: Handover([0, 1]))
    state = StateBetweenRounds()
    for _ in range(12):
        state.look()
    seen = [None, None] if apart is None else [3.4, 3.4]
    assert state.described(2) == {"handover": seen, "apart_rounds": apart}
