from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace

from bench.comparison.reports import compare_reports
from bench.measure.design import FEWEST_ADAPTIVE, FEWEST_NARROW, Spent, next_rounds
from bench.schema.cell import Cell
from bench.schema.report import Together
from bench.schema.run import Run, Settings
from bench.statistics.intervals import typical
from bench.statistics.scatter import MOST_ROUNDS

pytestmark = pytest.mark.backend_free

START_S = 6.0
JAX, TORCH = (Cell(backend=backend, device="cpu", loop="fit") for backend in ("jax", "torch"))


def settings(**changes) -> Settings:
    values = {"processes": 3, "rounds": 10, "seeds": 1, "round_s": 0.4, "threads": 2, "order_seed": 0, "timeout_s": 9}
    return Settings(**{**values, **changes})


def run(process: int, step_time_ms: list[float], backend: str = "jax", turns: Sequence[int] = ()) -> Run:
    return Run(backend=backend, device="cpu", loop="fit", process=process, seed=0, status="ok",
               step_time_ms=step_time_ms, turns=list(turns))  # fmt: skip


def simulate(wanted: Settings, process_sd: float, round_sd: float, rng) -> list[Run]:
    """Plays a measurement of one cell whose true step time is 1 ms."""
    runs: list[Run] = []
    generations: list[Spent] = []
    while (rounds := next_rounds(wanted, [runs], generations, [JAX])) is not None:
        typical_ms = np.exp(process_sd * rng.standard_normal())
        runs.append(run(len(runs), list(typical_ms * np.exp(round_sd * rng.standard_normal(rounds)))))
        generations.append(Spent(START_S, 0.4 * rounds, rounds, 1))
        assert len(runs) < 1000
    return runs


def test_without_precision_or_budget_the_numbers_asked_for_are_run():
    runs = simulate(settings(), 0.2, 0.1, np.random.default_rng(0))
    assert [len(one.step_time_ms) for one in runs] == [10, 10, 10]


def test_processes_go_on_until_the_interval_is_as_narrow_as_asked():
    runs = simulate(settings(precision=0.02), 0.05, 0.01, np.random.default_rng(0))
    low, high = typical([float(np.median(one.step_time_ms)) for one in runs]).ci95
    assert high / low <= 1.02**2 * (1 + 1e-12)
    assert len(runs) > FEWEST_NARROW


def test_a_quiet_machine_is_done_after_the_fewest_processes():
    assert len(simulate(settings(precision=0.02), 0.001, 0.001, np.random.default_rng(0))) == FEWEST_NARROW


def test_the_widest_cell_decides():
    narrow = [run(process, [1.0, 1.001]) for process in range(FEWEST_NARROW)]
    wide = [run(process, [1.0 + process, 1.1 + process], "torch") for process in range(FEWEST_NARROW)]
    spent = [Spent(1, 1, 2, 2)] * FEWEST_NARROW
    assert next_rounds(settings(precision=0.02), [narrow], spent, [JAX]) is None
    assert next_rounds(settings(precision=0.02), [narrow + wide], spent, [JAX, TORCH]) is not None


def test_no_generation_starts_that_the_budget_has_no_time_for():
    runs = simulate(settings(precision=0.0001, budget_s=100), 0.05, 0.01, np.random.default_rng(0))
    cost = 4 * 0.4 + 6
    assert len(runs) * cost <= 100 + 10 < (len(runs) + 2) * cost + 10


def test_a_budget_alone_is_spent():
    few, many = (len(simulate(settings(budget_s=s), 0.01, 0.01, np.random.default_rng(0))) for s in (60, 300))
    assert FEWEST_ADAPTIVE <= few < many


def test_rounds_follow_from_where_the_scatter_is():
    noisy_rounds = simulate(settings(budget_s=300), 0.005, 0.1, np.random.default_rng(0))
    noisy_processes = simulate(settings(budget_s=300), 0.1, 0.005, np.random.default_rng(0))
    assert len(noisy_rounds[-1].step_time_ms) > 10 > len(noisy_processes[-1].step_time_ms)


def test_the_widest_cell_decides_how_many_rounds_a_process_runs():
    spent = [Spent(2 * START_S, 2 * 5 * 0.4, 5, 2)] * 6
    # Alone, this cell, already known to a few parts in a thousand, asks for as many rounds as there may be.
    narrow = [run(process, [1.0, 1.001, 0.999, 1.002, 0.998]) for process in range(6)]
    assert next_rounds(settings(budget_s=900), [narrow], spent, [JAX]) == MOST_ROUNDS
    wide = [run(process, [1.0 + process / 10, 1.01 + process / 10], "torch") for process in range(6)]
    alone = next_rounds(settings(budget_s=900), [wide], spent, [TORCH])
    assert next_rounds(settings(budget_s=900), [narrow + wide], spent, [JAX, TORCH]) == alone < MOST_ROUNDS


def test_of_two_environments_what_both_sides_of_a_pair_share_asks_for_no_more_processes():
    rng = np.random.default_rng(0)
    base, new = [], []
    for process in range(8):
        minute = np.exp(0.2 * rng.standard_normal())  # hits both processes of the pair
        for side in (base, new):
            side.append(run(process, list(minute * np.exp(0.05 * rng.standard_normal(5)))))
    spent = [Spent(2 * START_S, 2 * 5 * 0.4, 5, 2)] * 8
    together = next_rounds(settings(budget_s=900), [base, new], spent, [JAX])
    assert next_rounds(settings(budget_s=900), [base], spent, [JAX]) < 5 < together


def test_versus_stops_where_compare_prints_every_ratio_as_narrow_as_asked(make_report):
    rng = np.random.default_rng(1)
    backends = ("jax", "torch", "tensorflow")
    cells = [Cell(backend=backend, device="cpu", loop="fit") for backend in backends]
    sides: tuple[list[Run], list[Run]] = ([], [])
    spent: list[Spent] = []
    while (rounds := next_rounds(settings(precision=0.02), sides, spent, cells)) is not None:
        process, first = len(spent), sum(len(one.turns) for runs in sides for one in runs)
        seats = [(side, backend) for side in sides for backend in backends]
        for place, (side, backend) in enumerate(seats):
            times = np.exp(0.03 * rng.standard_normal() + 0.01 * rng.standard_normal(rounds))
            side.append(run(process, list(times), backend, range(first + place, first + 6 * rounds, 6)))
        spent.append(Spent(6 * START_S, 6 * 0.4 * rounds, rounds, 6))
    base, new = (
        replace(make_report({"jax": [1.0]}), runs=runs, together=Together(id="a", side=name))
        for runs, name in zip(sides, ("base", "new"), strict=True)
    )
    rows = compare_reports(base, new).step_time
    assert len(rows) == 3
    assert all(row.ci95[1] / row.ci95[0] <= 1.02**2 * (1 + 1e-12) for row in rows)


def test_pairs_that_did_not_run_side_by_side_do_not_end_a_measurement():
    """As where the newer side was lost and a later `--resume` measured it alone."""
    base = [run(process, [1.0, 1.001], turns=[10 * process, 10 * process + 2]) for process in range(FEWEST_NARROW)]
    beside = [
        run(process, [1.0, 1.001], turns=[10 * process + 1, 10 * process + 3]) for process in range(FEWEST_NARROW)
    ]
    later = [
        run(process, [1.0, 1.001], turns=[100 + 10 * process, 102 + 10 * process]) for process in range(FEWEST_NARROW)
    ]
    spent = [Spent(2 * START_S, 2 * 2 * 0.4, 2, 2)] * FEWEST_NARROW
    assert next_rounds(settings(precision=0.02), [base, beside], spent, [JAX]) is None
    assert next_rounds(settings(precision=0.02), [base, [beside[0], *later[1:]]], spent, [JAX]) is not None


def test_lost_processes_do_not_help_to_end_a_measurement():
    """Every third one is lost before its first round; those that are left agree, perhaps by chance."""
    spent = [Spent(START_S, 2 * 0.4, 2, 1)] * 14
    runs = [run(process, [] if process % 3 == 2 else [1.0, 1.001]) for process in range(len(spent))]
    for generations in range(FEWEST_NARROW, 14):
        measured = runs[:generations], spent[:generations], [JAX]
        assert next_rounds(settings(precision=0.02), [measured[0]], *measured[1:]) is not None
    assert next_rounds(settings(precision=0.02), [runs], spent, [JAX]) is None


def test_pairs_of_which_one_process_is_lost_do_not_help_to_end_a_measurement():
    spent = [Spent(2 * START_S, 2 * 2 * 0.4, 2, 2)] * (FEWEST_NARROW + 1)
    base = [run(process, [1.0, 1.001]) for process in range(FEWEST_NARROW + 1)]
    lost = [run(process, [] if process in (3, 6) else [1.0, 1.001]) for process in range(FEWEST_NARROW + 1)]
    assert next_rounds(settings(precision=0.02), [base, lost], spent, [JAX]) is not None
    assert next_rounds(settings(precision=0.02), [base, [*lost[:6], base[6], *lost[7:]]], spent, [JAX]) is None


def test_processes_without_a_calm_round_do_not_help_to_end_a_measurement():
    spent = [Spent(START_S, 2 * 0.4, 2, 1)] * 20
    calm = [replace(run(process, [1.0, 1.001]), handover=[1.35, 1.35]) for process in range(20)]
    apart = [replace(one, handover=[3.3, 3.3]) if one.process % 2 else one for one in calm]
    assert next_rounds(settings(precision=0.02), [calm[:10]], spent[:10], [JAX]) is None
    assert next_rounds(settings(precision=0.02), [apart[:18]], spent[:18], [JAX]) is not None
    assert next_rounds(settings(precision=0.02), [apart], spent, [JAX]) is None


def test_where_most_processes_are_lost_the_budget_ends_it():
    spent = [Spent(START_S, 2 * 0.4, 2, 1)] * 14
    runs = [run(process, [] if process % 3 else [1.0, 1.001]) for process in range(len(spent))]
    cost = sum(one.total_s for one in spent)
    assert next_rounds(settings(precision=0.02, budget_s=2 * cost), [runs], spent, [JAX]) is not None
    assert next_rounds(settings(precision=0.02, budget_s=cost), [runs], spent, [JAX]) is None


def test_nothing_left_to_measure_ends_it():
    assert next_rounds(settings(precision=0.01), [[]], [Spent(1, 0, 10, 0)] * FEWEST_NARROW, []) is None


def test_a_cell_that_is_given_up_keeps_no_other_going_nor_sets_its_rounds():
    spent = [Spent(2 * START_S, 2 * 5 * 0.4, 5, 2)] * FEWEST_NARROW
    narrow = [run(process, [1.0, 1.001, 0.999, 1.002, 0.998]) for process in range(FEWEST_NARROW)]
    wide = [run(process, [1.0 + process / 10, 1.01 + process / 10], "torch") for process in range(5)]
    assert next_rounds(settings(precision=0.02), [narrow + wide], spent, [JAX]) is None
    assert next_rounds(settings(budget_s=900), [narrow + wide], spent, [JAX]) == MOST_ROUNDS


def test_a_cell_without_an_interval_is_waited_for():
    spent = [Spent(2 * START_S, 2 * 5 * 0.4, 5, 2)] * FEWEST_NARROW
    narrow = [run(process, [1.0, 1.001]) for process in range(FEWEST_NARROW)]
    once = [run(0, [1.0, 1.001], "torch")]
    assert next_rounds(settings(precision=0.02), [narrow + once], spent, [JAX, TORCH]) is not None


def test_processes_of_a_report_that_is_gone_on_with_come_before_any_rule():
    stored = [run(process, [1.0, 1.001]) for process in range(FEWEST_NARROW + 1)]
    lost = settings(precision=0.02, budget_s=1.0)
    done = [Spent(START_S, 2.0, 5, 1), *[Spent()] * (FEWEST_NARROW - 1)]
    assert next_rounds(lost, [stored], done, [JAX]) is not None
    assert next_rounds(lost, [stored], [*done, Spent()], [JAX]) is None
    assert next_rounds(settings(processes=5), [stored], done[:5], [JAX]) is None


def test_what_was_measured_before_makes_no_generation_look_cheap():
    wide = [run(process, [1.0 + process / 10, 1.01 + process / 10]) for process in range(8)]
    fresh = [Spent(START_S, 5 * 0.4, 5, 1)] * 2
    asked = settings(precision=0.02, budget_s=20.0)
    assert next_rounds(asked, [wide], [*[Spent()] * 6, *fresh], [JAX]) is None
    long = settings(precision=0.02, budget_s=900.0)
    rounds = next_rounds(long, [wide], [*[Spent()] * 6, *fresh], [JAX])
    assert rounds == next_rounds(long, [wide], fresh * 4, [JAX])
    assert next_rounds(long, [wide], [Spent()] * 8, [JAX]) == long.rounds


@pytest.mark.parametrize("process_sd", [0.03, 0.06])
def test_stopping_when_narrow_keeps_the_intervals_honest(process_sd):
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(400):
        runs = simulate(settings(precision=0.05), process_sd, 0.02, rng)
        low, high = typical([float(np.median(one.step_time_ms)) for one in runs]).ci95
        held += low <= 1.0 <= high
    assert held / 400 >= 0.90
