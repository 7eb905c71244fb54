from __future__ import annotations

import functools
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.commands.cli import main
from bench.comparison.drift import Trial, chain_of
from bench.errors import BenchError
from bench.studies.validate.judged import judge, judge_pooled, pytest_benchmark_fails, simulate_coverage
from bench.studies.validate.options import Options
from bench.studies.validate.run import judge_anew, load_validation, validate

pytestmark = pytest.mark.backend_free

FAKE_WORKER = Path(__file__).parents[1] / "fake_worker.py"


def trial(rng: np.random.Generator, slowdown: float, process_sd: float, *, together: bool = False) -> Trial:
    def side(factor: float) -> list[list[float]]:
        typical = factor * np.exp(process_sd * rng.standard_normal((5, 1)))
        return (typical * np.exp(0.01 * rng.standard_normal((5, 6)))).tolist()

    return Trial(slowdown=slowdown, base=side(1.0), new=side(1 + slowdown), together=together)


def test_equal_sides_are_seldom_called_different_and_a_large_change_always():
    rng = np.random.default_rng(0)
    equal, slower = judge([trial(rng, slowdown, 0.05) for slowdown in (0.0, 0.5) for _ in range(300)])
    assert (equal.slowdown, slower.slowdown) == (0.0, 0.5)
    assert equal.called_slower + equal.called_faster <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert equal.covered >= 0.95 - 3 * (0.05 * 0.95 / 300) ** 0.5
    assert slower.called_slower == 1.0
    assert slower.median_ratio == pytest.approx(1.5, rel=0.02)


def test_the_rule_of_pytest_benchmark_looks_at_one_process_alone():
    assert pytest_benchmark_fails(Trial(slowdown=0, base=[[1.0], [9.0]], new=[[1.06], [0.1]]))
    assert not pytest_benchmark_fails(Trial(slowdown=0, base=[[1.0], [0.1]], new=[[1.04], [9.0]]))


@pytest.mark.parametrize(("processes", "process_sd"), [(3, 0.1), (5, 0.03), (10, 0.1)])
def test_intervals_on_simulated_cells_hold_the_truth(processes, process_sd):
    assert simulate_coverage(processes, 5, process_sd, 0.02, cells=1000).coverage >= 0.93


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))

    def build(script: dict, **changes) -> Options:
        (tmp_path / "script.json").write_text(json.dumps(script))
        values = {"comparisons": 2, "processes": 2, "rounds": 3, "dataset": "synthetic:40x30x2000", "patience_s": 0.0}
        command = (sys.executable, str(FAKE_WORKER), str(tmp_path / "script.json"))
        output = tmp_path / "validation.json"
        return Options(backend="jax", output=output, worker_command=command, **{**values, **changes})

    return build


def test_every_side_of_every_trial_has_fresh_processes_and_is_stored(options, tmp_path):
    result = validate(options({"jax": {"step_time_ms": [1.0]}}), Console(file=io.StringIO()))
    stored = json.loads((tmp_path / "validation.json").read_text())
    assert len(stored["trials"]) == len(result.trials) == 2 * 3
    assert {trial["slowdown"] for trial in stored["trials"]} == {0.0, 0.05, 0.1}
    assert all(trial["base"] == [[1.0] * 3] * 2 for trial in stored["trials"])
    assert all(trial["new"] == [[1.0 + trial["slowdown"]] * 3] * 2 for trial in stored["trials"])
    assert [outcome["trials"] for outcome in stored["outcomes"]] == [2, 2, 2]
    started = (tmp_path / "script.started").read_text().splitlines()
    assert len({line.rpartition(":")[2] for line in started}) == (2 + 1) * 2


def test_sides_together_have_workers_side_by_side(options, tmp_path):
    """Seven comparisons: five sides, then four, in each of two generations; every pair of neighbours is a trial."""
    result = validate(
        options({"jax": {"step_time_ms": [1.0]}}, comparisons=7, together=True), Console(file=io.StringIO())
    )
    assert len(result.trials) == 7 * 3
    assert all(trial.together and len(trial.base) == len(trial.new) == 2 for trial in result.trials)
    assert all(trial.new == [[1.0 + trial.slowdown] * 3] * 2 for trial in result.trials)
    assert result.drift is None
    started = (tmp_path / "script.started").read_text().splitlines()
    assert len({line.rpartition(":")[2] for line in started}) == 2 * (5 + 4)


def test_what_a_generation_shares_cancels_in_trials_together():
    """Generations that drift by 10 % each: no false call of equal sides, and 10 % are seen."""
    rng = np.random.default_rng(4)

    def drifting(slowdown: float) -> Trial:
        shared = np.exp(0.1 * rng.standard_normal((5, 1)))
        one, other = (shared * np.exp(0.02 * rng.standard_normal((5, 1))) * np.ones((5, 4)) for _ in range(2))
        return Trial(slowdown=slowdown, base=one.tolist(), new=((1 + slowdown) * other).tolist(), together=True)

    equal, slower = judge([drifting(slowdown) for slowdown in (0.0, 0.1) for _ in range(300)])
    assert equal.called_slower + equal.called_faster <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert slower.called_slower > 0.9
    assert judge_pooled([drifting(0.0) for _ in range(8)], draws=20)[0].undecided < 0.5


def test_pooled_blocks_see_what_a_single_one_leaves_open():
    rng = np.random.default_rng(1)
    trials = [trial(rng, slowdown, 0.05, together=True) for _ in range(40) for slowdown in (0.0, 0.05)]
    by_size = {(outcome.slowdown, outcome.processes): outcome for outcome in judge_pooled(trials, draws=100)}
    assert set(by_size) == {(s, n) for s in (0.0, 0.05) for n in (10, 20, 40)}
    (single,) = judge([t for t in trials if t.slowdown == 0.05])
    assert single.called_slower < 0.5 < by_size[0.05, 40].called_slower
    assert by_size[0.0, 20].called_slower + by_size[0.0, 20].called_faster <= 0.1


def test_sides_measured_apart_are_not_pooled_since_no_measurement_is_of_many_moments(capsys):
    """Pooled, they would be told apart far more surely than `compare` can, which allows for drift."""
    apart = Path(__file__).parents[3] / "results" / "validation" / "jax.json"
    assert load_validation(apart).pooled  # as an older version stored it
    assert main(["validate", "--judge", str(apart)]) == 0
    assert "drawn together at random" not in capsys.readouterr().out
    assert not judge_anew(apart).pooled


def test_a_lost_worker_ends_it_with_a_word_and_no_half_written_file(options, tmp_path):
    with pytest.raises(BenchError, match=r"^a worker was lost while validating: .*SIGKILL \(out of memory\?\)$"):
        validate(options({"jax": {"at": "MeasureRound:1", "how": "kill"}}), Console(file=io.StringIO()))
    assert not (tmp_path / "validation.json").exists()


class WhenShown(Console):
    """Lets something happen when a line is shown."""

    def __init__(self, line: str, happens: Callable[[], object]) -> None:
        super().__init__(file=io.StringIO())
        self.line = line
        self.happens = happens

    def print(self, *shown: Any, **how: Any) -> None:
        if shown and shown[0] == self.line:
            self.happens()
        super().print(*shown, **how)


@pytest.mark.parametrize(
    ("how", "told"),
    [("kill", "lost while validating: the worker was ended by"), ("nan", "failed while validating: NotFiniteError")],
)
def test_a_worker_that_is_lost_after_a_comparison_leaves_it_to_be_gone_on_with(options, tmp_path, how, told):
    given = options({"jax": {}})
    breaks = WhenShown("side 3 of 3", lambda: options({"jax": {"at": "MeasureRound:1", "how": how}}))
    kept = f"; what was measured is in {given.output}, --resume goes on with it$"
    with pytest.raises(BenchError, match=f"{told}.*{kept}"):
        validate(given, breaks)
    cut = load_validation(tmp_path / "validation.json")
    assert (len(cut.trials), cut.finished) == (3, None)
    result = validate(options({"jax": {}}, resume=True), Console(file=io.StringIO()))
    assert (result.trials[:3], len(result.trials)) == (cut.trials, 2 * 3)


def test_what_was_cut_off_is_gone_on_with_by_fresh_sides(options, tmp_path):
    """Two comparisons, Ctrl-C, two more: the third one's older side is not the second one's newer side."""
    own = {"jax": {"own": True}}
    cut = validate(options(own, comparisons=4), WhenShown("side 4 of 5", lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert cut.finished is None
    assert len(cut.trials) == 2 * 3
    assert load_validation(tmp_path / "validation.json") == cut
    result = validate(options(own, comparisons=4, resume=True), Console(file=io.StringIO()))
    assert result.trials[: 2 * 3] == cut.trials
    assert result.simulated == cut.simulated
    assert result.finished is not None
    equal = [trial for trial in result.trials if trial.slowdown == 0]
    assert [trial.stretch for trial in equal] == [0, 0, 1, 1]
    assert [equal[i].new == equal[i + 1].base for i in range(3)] == [True, False, True]
    assert len(chain_of(result.trials)) == 3 + 3
    started = (tmp_path / "script.started").read_text().splitlines()
    assert len({line.rpartition(":")[2] for line in started}) >= (3 + 3) * 2


def test_ctrl_c_before_the_first_further_comparison_of_a_finished_result_is_an_interruption(options, tmp_path):
    first = validate(options({"jax": {}}, comparisons=1), Console(file=io.StringIO()))
    at_once = WhenShown("side 1 of 3", lambda: os.kill(os.getpid(), signal.SIGINT))
    longer = validate(options({"jax": {}}, comparisons=3, resume=True), at_once)
    assert (first.finished is None, longer.finished, longer.trials) == (False, None, first.trials)
    assert load_validation(tmp_path / "validation.json") == first


def test_a_second_run_into_the_same_output_is_refused(options, tmp_path):
    """Each would write its own trials only, so those of the other one would be lost."""
    told = []

    def another() -> None:
        with pytest.raises(BenchError) as caught:
            validate(options({"jax": {}}, resume=True), Console(file=io.StringIO()))
        told.append(str(caught.value))

    result = validate(options({"jax": {}}), WhenShown("side 3 of 3", another))
    assert told == [f"another run is writing to {tmp_path / 'validation.json'}; choose another --output"]
    assert load_validation(tmp_path / "validation.json").trials == result.trials


def test_nothing_is_measured_where_nothing_is_missing(options, tmp_path):
    first = validate(options({"jax": {"own": True}}), Console(file=io.StringIO()))
    again = validate(options({}, comparisons=1, resume=True), Console(file=io.StringIO()))
    assert again == first
    assert len((tmp_path / "script.started").read_text().splitlines()) == (2 + 1) * 2


def merged(value: Any, changes: Any) -> Any:
    """A record with some of its values changed, at any depth."""
    if not isinstance(changes, dict):
        return changes
    return {**value, **{name: merged(value.get(name), change) for name, change in changes.items()}}


@pytest.mark.parametrize(
    ("changes", "stored", "told"),
    [
        ({"processes": 3}, {}, "processes 2 -> 3"),
        ({"rounds": 2}, {}, "rounds 3 -> 2"),
        ({"together": True}, {}, "sides one after the other -> together"),
        ({"round_s": 0.1}, {}, "round seconds 0.4 -> 0.1"),
        ({}, {"backend": "torch"}, "backend torch -> jax"),
        ({}, {"machine": {"cpu_model": "another"}}, "cpu_model another ->"),
        ({}, {"machine": {"caches": {"L2": "1K"}}}, "caches .*L2 1K.* ->"),
        ({}, {"software": {"packages": {"keras": "2.0"}}}, "keras 2.0 ->"),
        ({}, {"software": {"environment": {"OMP_NUM_THREADS": "77"}}}, "OMP_NUM_THREADS 77 ->"),
    ],
)
def test_a_result_of_something_else_is_not_gone_on_with(options, tmp_path, changes, stored, told):
    validate(options({"jax": {}}, comparisons=1), Console(file=io.StringIO()))
    file = tmp_path / "validation.json"
    file.write_text(json.dumps(merged(json.loads(file.read_text()), stored)))
    before = file.read_bytes()
    with pytest.raises(BenchError, match=f"cannot resume .*{told}"):
        validate(options({"jax": {}}, resume=True, **changes), Console(file=io.StringIO()))
    assert file.read_bytes() == before


def test_ctrl_c_ends_the_command_with_the_table_of_what_is_there(options, tmp_path, monkeypatch, capsys):
    given = options({"jax": {"own": True, "round_s": 0.01}})
    few = functools.partial(Options, dataset=given.dataset, worker_command=given.worker_command)
    monkeypatch.setattr("bench.studies.validate.options.Options", few)

    def interrupt() -> None:
        while not given.output.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    signaller = threading.Thread(target=interrupt)
    signaller.start()
    code = main(["validate", "--processes", "2", "--rounds", "1", "--patience", "0", "--output", str(given.output)])
    signaller.join()
    said = capsys.readouterr()
    assert code == 3
    advice = f"what was measured is in {given.output}, --resume goes on with it"
    assert said.err.splitlines()[-1] == f"bench: interrupted; {advice}"
    assert "sides measured one after the other" in " ".join(said.out.split())
    assert 1 <= len(load_validation(given.output).trials) / 3 < 40


def test_a_result_is_replaced_or_gone_on_with_only_on_request(options, capsys):
    given = options({"jax": {}}, comparisons=1)
    validate(given, Console(file=io.StringIO()))
    assert main(["validate", "--output", str(given.output)]) == 2
    assert "already holds a result" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("comparisons", 0), ("processes", 1), ("rounds", 0)])
def test_numbers_that_mean_nothing_are_refused(options, name, value):
    with pytest.raises(BenchError, match=f"--{name} must be at least"):
        options({}, **{name: value})


def test_a_patience_without_an_end_is_refused(options):
    with pytest.raises(BenchError, match="--patience must be 0 or more"):
        options({}, patience_s=float("inf"))
