from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.cli import main
from bench.comparison import drift
from bench.comparison.drift import (
    ASSUMED,
    FEWEST_SIDES,
    Drift,
    Trial,
    chain_of,
    estimated,
    measured_drift,
    without_common_sides,
)
from bench.comparison.limits import Allowances
from bench.comparison.markdown import as_markdown
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.comparison.words import drift_words
from bench.errors import BenchError
from bench.report.file import save_report
from bench.schema.machine import Machine
from bench.schema.report import Report
from bench.studies.validate.judged import judge
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

STORED = Path(__file__).parents[3] / "results" / "validation" / "jax.json"
BASE = (1.0, 1.01, 0.99, 1.0, 1.0)
MakeReport = Callable[..., Report]


def sides(
    rng: np.random.Generator, number: int, drift_sd: float, process_sd: float = 0.08, processes: int = 5
) -> list[list[float]]:
    moved = drift_sd * rng.standard_normal((number, 1))
    return np.exp(moved + process_sd * rng.standard_normal((number, processes))).tolist()


def chained(measured: Sequence[Sequence[float]]) -> list[Trial]:
    """Trials of equal sides in a chain, a round a process."""
    rounds = [[[median] for median in side] for side in measured]
    return [Trial(slowdown=0.0, base=a, new=b) for a, b in pairwise(rounds)]


def stored_trials() -> list[Trial]:
    return msgspec.convert(json.loads(STORED.read_text())["trials"], list[Trial])


@pytest.mark.parametrize("true", [0.05, 0.1])
def test_the_drift_of_simulated_sides_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    found = [result.sd for _ in range(100) if (result := estimated(sides(rng, 41, true)))]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(true, abs=0.015)


def test_where_there_is_no_drift_what_could_hide_in_more_sides_is_less() -> None:
    rng = np.random.default_rng(0)
    found = {
        number: [result for _ in range(100) if (result := estimated(sides(rng, number, 0.0)))] for number in (10, 160)
    }
    few, many = (np.mean([result.sd for result in of_number]) for of_number in found.values())
    assert 0 < many < few / 2
    assert np.mean([result.at_most for result in found[160]]) > 0.7


def test_a_drift_that_few_sides_hide_by_chance_is_allowed_for() -> None:
    """Two sides that drift by 2 % each were judged to differ in a third of comparisons with such a validation."""
    rng, wrong, unseen, comparisons = np.random.default_rng(5), 0.0, 0, 5
    while unseen < 100:
        allowed = estimated(validation := sides(rng, 10, 0.02, 0.047))
        assert allowed is not None
        if not scatter_no_more_than_their_processes_show(validation):
            continue
        unseen += 1
        measured = [
            [[[value] for value in side] for side in sides(rng, 2, 0.02, 0.047, 20)] for _ in range(comparisons)
        ]
        wrong += called_different([Trial(slowdown=0.0, base=a, new=b) for a, b in measured], allowed)
    assert wrong / unseen <= 0.05 + 3 * (0.05 * 0.95 / (comparisons * unseen)) ** 0.5


def scatter_no_more_than_their_processes_show(measured: Sequence[Sequence[float]]) -> bool:
    logs = np.log(measured)
    return bool(logs.mean(axis=1).var(ddof=1) <= (logs.var(axis=1, ddof=1) / logs.shape[1]).mean())


def measured_in(stretches: Sequence[int]) -> tuple[list[list[list[float]]], list[Trial]]:
    """Sides and trials of a validation that was cut off after so many comparisons each time; no two sides are equal."""
    taken: list[list[list[float]]] = []
    trials: list[Trial] = []
    for stretch, comparisons in enumerate(stretches):
        chain = [[[1.0 + len(taken) + side], [1.5 + len(taken) + side]] for side in range(comparisons + 1)]
        taken += chain
        trials += [Trial(slowdown=0.0, base=a, new=b, stretch=stretch) for a, b in pairwise(chain)]
    return taken, trials


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_validation_that_was_cut_off_and_gone_on_with_has_each_side_once(stretches: list[int]) -> None:
    taken, trials = measured_in(stretches)
    assert chain_of(trials) == [[median for (median,) in side] for side in taken]
    chosen = without_common_sides(trials)
    of_chosen = [str(side) for trial in chosen for side in (trial.base, trial.new)]
    assert len(of_chosen) == len(set(of_chosen))
    assert len(chosen) == sum((comparisons + 1) // 2 for comparisons in stretches)


def called_different(trials: Sequence[Trial], allowed: Drift) -> float:
    return sum(outcome.called_slower + outcome.called_faster for outcome in judge(trials, allowed))


def test_equal_sides_that_drift_are_called_different_in_five_of_a_hundred() -> None:
    """Without allowing for drift it is more than ten."""
    trials = chained(sides(np.random.default_rng(1), 1501, 0.05))
    assert called_different(trials, drift.NONE) > 0.10
    assert called_different(trials, Drift(sd=0.05, origin="given")) <= 0.05 + 3 * (0.05 * 0.95 / 1500) ** 0.5


def test_so_they_are_where_the_drift_is_measured_and_not_known() -> None:
    """On average over validations: each has an estimate of its own."""
    rng, wrong, validations = np.random.default_rng(3), 0.0, 150
    for _ in range(validations):
        allowed = estimated(sides(rng, 41, 0.05))
        assert allowed is not None
        wrong += called_different(chained(sides(rng, 11, 0.05)), allowed) / validations
    assert wrong <= 0.05 + 3 * (0.05 * 0.95 / (10 * validations)) ** 0.5


def test_all_cells_together_are_called_different_in_five_of_a_hundred(make_report: MakeReport) -> None:
    """Where drift moves all cells of a measurement alike, and each a little by itself."""
    rng = np.random.default_rng(2)
    allowed, wrong, trials = Drift(sd=0.05, origin="given"), 0, 300
    for _ in range(trials):
        base, new = (
            make_report(
                {
                    cell: np.exp(shared + 0.03 * rng.standard_normal() + 0.08 * rng.standard_normal(4)).tolist()
                    for cell in ("jax", "torch", "tensorflow")
                },
                parity=[],
            )
            for shared in 0.04 * rng.standard_normal(2)
        )
        wrong += any(
            r.verdict in ("faster", "slower")
            for r in compare_reports(base, new, allowances=Allowances(drift=allowed)).step_time
        )
    assert wrong / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_stored_trials_judged_anew_keep_the_promise() -> None:
    """By the drift that `compare` assumes, and by what one half of the sides shows for the other half."""
    equal = [trial for trial in stored_trials() if trial.slowdown == 0]
    (blind,), (assumed,) = judge(equal, drift.NONE), judge(equal)
    assert assumed.called_slower + assumed.called_faster <= 0.05 < blind.called_slower + blind.called_faster
    half = len(equal) // 2
    other = estimated(chain_of(equal[:half])), estimated(chain_of(equal[half:]))
    for found, trials in zip(other, (equal[half:], equal[:half]), strict=True):
        assert found is not None
        (outcome,) = judge(trials, found)
        assert outcome.called_slower + outcome.called_faster <= 1 / half  # one of them


def test_a_report_and_itself_have_no_drift_and_two_reports_have(make_report: MakeReport) -> None:
    base, new = make_report({"jax": BASE}), make_report({"jax": [1.08 * value for value in BASE]})
    apart = compare_reports(base, new)
    assert (apart.drift, apart.step_time[0].verdict, apart.exit_code) == (ASSUMED, "undecided", 0)
    assert apart.step_time[0].hidden_by_drift
    assert compare_reports(base, base).drift == drift.NONE
    assert (
        compare_reports(base, new, allowances=Allowances(drift=Drift(sd=0.001, origin="given"))).step_time[0].regression
    )


def test_what_is_allowed_for_is_said_once(make_report: MakeReport, capsys: pytest.CaptureFixture[str]) -> None:
    cells = ("jax", "torch", "tensorflow")
    base, new = make_report(dict.fromkeys(cells, BASE)), make_report({c: [1.08 * v for v in BASE] for c in cells})
    comparison = compare_reports(base, new)
    LastingConsole(width=400).print(render(comparison))
    printed = capsys.readouterr().out
    assert printed.count("3 % (standard deviation) of drift of the machine between the two is assumed") == 1
    assert "drift of the machine could explain it, however many processes" in printed
    assert as_markdown(comparison).count("is assumed") == 1
    assert drift_words(compare_reports(base, base)) is None


def test_help_names_the_drift_that_is_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"drifts between two measurements (default: {100 * ASSUMED.sd:g}%)" in said


def test_compare_takes_the_drift_of_a_validation_or_a_number(
    make_report: MakeReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    validation = json.loads(STORED.read_text())
    machine = msgspec.convert(validation["machine"], Machine)
    for name, factor in (("base", 1.0), ("new", 1.08)):
        (tmp_path / name).mkdir()
        report = make_report({"jax": [factor * value for value in BASE]})
        save_report(msgspec.structs.replace(report, machine=machine), tmp_path / name)
    paths = [str(tmp_path / "base"), str(tmp_path / "new")]
    assert main(["compare", *paths, "--json", "--validation", str(STORED)]) == 0
    found = json.loads(capsys.readouterr().out)
    wanted = estimated(chain_of(stored_trials()))
    assert wanted is not None
    assert (found["drift"]["origin"], found["drift"]["sides"]) == ("measured", wanted.sides)
    assert found["drift"]["sd"] == pytest.approx(wanted.sd)
    assert found["step_time"][0]["verdict"] == "undecided"
    assert main(["compare", *paths, "--json", "--drift", "0.1%"]) == 1
    assert json.loads(capsys.readouterr().out)["drift"] | {"source": None} == {
        "sd": 0.001,
        "origin": "given",
        "source": None,
        "sides": None,
        "freedom": None,
        "at_most": False,
    }


def test_a_validation_that_says_nothing_of_the_reports_is_refused(make_report: MakeReport, tmp_path: Path) -> None:
    machine = make_report().machine
    with pytest.raises(BenchError, match="is of another machine"):
        measured_drift(STORED, [machine])
    validation = json.loads(STORED.read_text())
    stored = msgspec.convert(validation["machine"], Machine)
    few = tmp_path / "few.json"
    few.write_text(json.dumps(validation | {"trials": [t for t in validation["trials"] if t["slowdown"] == 0][:3]}))
    with pytest.raises(BenchError, match=f"--comparisons {FEWEST_SIDES} or more"):
        measured_drift(few, [stored])
    together = json.loads(STORED.with_name("jax-together.json").read_text())
    few.write_text(json.dumps(together))
    with pytest.raises(BenchError, match="validate without --together"):
        measured_drift(few, [msgspec.convert(together["machine"], Machine)])
    few.write_text("{}")
    with pytest.raises(BenchError, match="is not a result of `bench validate`"):
        measured_drift(few, [])
    with pytest.raises(BenchError, match="cannot read"):
        measured_drift(tmp_path / "none.json", [])


def test_a_drift_that_was_not_seen_is_reported_as_what_could_hide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steady = [[1.0, 1.1, 0.9, 1.05, 0.95]] * 11
    file = tmp_path / "steady.json"
    stored = msgspec.json.decode(STORED.read_bytes()) | {"trials": msgspec.to_builtins(chained(steady))}
    file.write_text(json.dumps(stored))
    found = measured_drift(file, [])
    assert found.at_most
    assert f"what could hide in the scatter of 11 sides in {file}" in str(found.words)
    assert main(["validate", "--judge", str(file)]) == 0
    assert f"could hide {found.sd:.1%} of drift" in " ".join(capsys.readouterr().out.split())


def test_stored_trials_are_judged_anew_by_a_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["validate", "--judge", str(STORED)]) == 0
    wanted = estimated(chain_of(stored_trials()))
    assert wanted is not None
    assert f"Sides scatter by {wanted.sd:.1%} (standard deviation)" in " ".join(capsys.readouterr().out.split())
    assert main(["validate", "--judge", str(tmp_path / "none.json")]) == 2


@pytest.mark.parametrize("sd", [-0.01, float("nan"), float("inf")])
def test_a_drift_that_is_no_share_is_refused(sd: float) -> None:
    with pytest.raises(BenchError, match="--drift must be 0 or more"):
        Drift(sd=sd, origin="given")
