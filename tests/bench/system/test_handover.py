from __future__ import annotations

import os

import numpy as np
import pytest

from bench.system import handover
from bench.system.handover import Handover
from bench.system.probing import allowed_cpus

pytestmark = pytest.mark.backend_free

needs_two_cpus = pytest.mark.skipif(
    len(allowed_cpus()) < 2 or not hasattr(os, "sched_setaffinity"), reason="needs two processors and pinning"
)


@needs_two_cpus
def test_a_ratio_is_measured_and_leaves_this_thread_where_it_may_run():
    before = allowed_cpus()
    ratio = Handover(before[:2]).ratio()
    assert ratio is not None
    assert 0.5 < ratio < 20
    assert allowed_cpus() == before


@needs_two_cpus
def test_each_reading_follows_a_writing_by_another_processor(monkeypatch):
    seen = []

    def spy(block):
        seen.append((sorted(os.sched_getaffinity(0)), float(np.unique(block).item())))
        return 1.0

    monkeypatch.setattr(handover, "_first_over_second", spy)
    cpus = allowed_cpus()[:2]
    assert Handover(cpus).ratio() == 1
    assert {cpu for (cpu,), _ in seen} == set(cpus)
    assert [value for _, value in seen] == [float(n) for n in range(handover.REPEATS)] * 2


def test_one_processor_hands_nothing_over():
    assert Handover.of_threads(1) is None


@needs_two_cpus
def test_a_processor_that_is_not_there_costs_no_measurement():
    assert Handover([allowed_cpus()[0], 4095]).ratio() is None
