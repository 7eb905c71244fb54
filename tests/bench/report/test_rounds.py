from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparison.disturbance import disturbed
from bench.report.rounds import counted_rounds, ratios_of, usual_ratio, which_count
from bench.report.summary import summarise
from bench.schema.cell import Cell
from bench.schema.run import Run
from bench.statistics.calm import calm, limit_of, marked
from bench.system.watch import FIRST_LOOKS, StateWatch

pytestmark = pytest.mark.backend_free

JAX = Cell(backend="jax", device="cpu", loop="fit")


def run_of(process: int, times: list[float], handover: list[float | None], backend: str = "jax") -> Run:
    return Run(
        backend=backend, device="cpu", loop="fit", process=process, seed=0, status="ok",
        step_time_ms=times, handover=handover,
    )  # fmt: skip


def test_rounds_with_cores_apart_are_left_out_and_reported():
    runs = [run_of(p, [1.0, 1.8, 1.0, 1.6], [1.35, 3.3, 1.4, 3.5]) for p in range(3)]
    (row,) = summarise(runs).step_time
    assert row.median_ms == 1.0
    assert (row.rounds, row.apart_rounds, row.calm) == (6, 6, True)
    assert row.apart_slowdown == pytest.approx(1.7)


def test_a_process_that_never_saw_the_usual_state_is_left_out():
    runs = [run_of(p, [1.0, 1.0], [1.35, 1.35]) for p in range(2)] + [run_of(2, [1.7, 1.7], [3.3, 3.3])]
    assert set(counted_rounds(runs)[JAX].rounds) == {0, 1}


def test_where_one_calm_process_is_left_of_several_all_rounds_count_and_the_row_says_so():
    runs = [run_of(0, [1.0, 1.0], [1.35, 1.35])] + [run_of(p, [1.7, 1.7], [3.3, 3.3]) for p in (1, 2)]
    (row,) = summarise(runs).step_time
    assert (row.calm, row.rounds, row.processes, row.apart_rounds) == (False, 6, 3, 4)
    assert row.apart_slowdown == pytest.approx(1.7)


def test_the_usual_state_is_one_of_the_whole_report_not_of_a_cell():
    calm = [run_of(p, [2.0, 2.0], [1.35, 1.35], "torch") for p in range(2)]
    apart = [run_of(p, [1.7, 1.7], [3.3, 3.3]) for p in range(2)]
    rows = {row.backend: row for row in summarise([*calm, *apart]).step_time}
    assert rows["torch"].calm
    assert not rows["jax"].calm


def test_one_lucky_look_does_not_make_all_other_rounds_apart():
    runs = [run_of(p, [1.0] * 10, [1.9] * 10) for p in range(3)] + [run_of(3, [1.0] * 2, [1.3, 1.9])]
    assert counted_rounds(runs)[JAX].apart == 0


def test_reports_of_before_and_rounds_that_could_not_be_looked_at_count_as_they_are():
    assert counted_rounds([run_of(0, [1.0, 2.0], [])])[JAX].rounds == {0: [1.0, 2.0]}
    assert counted_rounds([run_of(0, [1.0, 2.0, 9.0], [None, 1.35, 3.3])])[JAX].rounds == {0: [1.0, 2.0]}
    assert usual_ratio([run_of(0, [1.0], [None])]) is None


@given(
    st.lists(
        st.lists(st.tuples(st.floats(0.1, 10), st.one_of(st.none(), st.floats(0.9, 5))), min_size=1, max_size=6),
        min_size=1,
        max_size=6,
    )
)
def test_every_round_counts_or_is_marked_as_apart(processes):
    runs = [run_of(p, [t for t, _ in rounds], [h for _, h in rounds]) for p, rounds in enumerate(processes)]
    counted = counted_rounds(runs)[JAX]
    measured = {run.process: run.step_time_ms for run in runs}
    assert counted.rounds
    for process, rounds in counted.rounds.items():
        assert [t for t in measured[process] if t in rounds] == [t for t in measured[process] if t in set(rounds)]
    total = sum(map(len, measured.values()))
    assert sum(map(len, counted.rounds.values())) == (total - counted.apart if counted.calm else total)


LOOKS = st.lists(st.one_of(st.none(), st.sampled_from([1.0, 1.3, 1.5, 1.9, 3.3, 3.7])), max_size=30)


@given(looks=LOOKS, patience_s=st.sampled_from([0.0, 1e6]))
def test_what_a_run_repeats_is_what_its_report_leaves_out(looks, patience_s):
    """Rounds of two processes on a machine with any sequence of states, which stays in one of them at last."""
    rounds, states = 3, iter(looks)
    watch = StateWatch(lambda: next(states, 1.3), patience_s, lambda seconds: None)
    runs = {process: run_of(process, [], []) for process in range(2)}

    def take(process: int) -> None:
        watch.before_round()
        times, ratios = [*runs[process].step_time_ms, 1.0], [*runs[process].handover, watch.after_round()]
        runs[process] = run_of(process, times, ratios)

    def short() -> list[int]:
        """Of the report as it is now."""
        counted, found = counted_rounds(runs.values())[JAX], which_count([*runs.values()])
        limit = limit_of(ratios_of(runs.values()))
        by_marks = {p: len(calm(marked(run.step_time_ms, run.handover, limit))) for p, run in runs.items()}
        if counted.calm:
            assert by_marks == {process: len(counted.rounds.get(process, [])) for process in runs}
            assert by_marks == dict(enumerate(map(sum, found)))
        return [process for process, kept in by_marks.items() if kept < rounds]

    for _ in range(rounds):
        for process in runs:
            take(process)
    watch.repeat(short, take, random.Random(0), rounds)
    repeated = sum(len(run.step_time_ms) for run in runs.values()) - 2 * rounds
    if patience_s == 0:
        assert repeated == 0
    elif short():  # although every pass had one to repeat
        assert repeated >= rounds


@given(first=st.lists(st.floats(0.9, 5), min_size=FIRST_LOOKS, max_size=FIRST_LOOKS), later=LOOKS)
def test_a_watch_and_a_report_call_the_same_ratio_apart(first, later):
    looks = iter([*first, *(ratio for ratio in later for _ in range(2))])
    watch = StateWatch(lambda: next(looks), 0)
    for _ in later:
        watch.before_round()
        watch.after_round()
    run = run_of(0, [1.0] * (FIRST_LOOKS + len(later)), [*first, *later])
    found = marked(run.step_time_ms, run.handover, limit_of(ratios_of([run])))
    assert [watch.is_apart(ratio) for ratio in run.handover] == [apart for _, apart in found]


def test_cells_are_compared_by_the_processes_of_which_both_count():
    jax = [run_of(p, [1.0, 1.0], [1.35, 3.3 if p == 2 else 1.35]) for p in range(3)]
    torch = [run_of(p, [2.0, 2.0], [1.35, 1.35] if p else [3.3, 3.3], "torch") for p in range(3)]
    (ratio,) = summarise([*jax, *torch]).ratios
    assert (ratio.ratio, ratio.pairs) == (2.0, 2)


def test_reports_of_different_states_of_the_machine_are_not_blamed_on_software(make_report):
    base, new = (
        msgspec.structs.replace(make_report(), runs=[run_of(p, [1.0] * 3, [ratio] * 3) for p in range(5)])
        for ratio in (1.35, 3.3)
    )
    assert "shared a cache in one of the two" in (disturbed(base, new) or "")
    assert "(new)" in (disturbed(base, new) or "")
    assert disturbed(base, base) is None
