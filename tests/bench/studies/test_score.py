from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from rich.console import Console

from bench.commands.cli import main
from bench.commands.score import exit_code
from bench.schema.cell import Cell
from bench.studies.score.agreement import CHECKED_PAIRS, Answer, checked_users, judge
from bench.studies.score.options import Options
from bench.studies.score.records import EXACT, ScoreReport, ScoreRun
from bench.studies.score.run import measure_scoring
from bench.studies.score.summary import FLOP_PER_PAIR, throughput
from bench.studies.score.table import print_scoring
from bench.system.watch import FIRST_LOOKS, StateWatch
from movierank.oracle import Oracle
from movierank.weights import Weights, initial_weights

BACKEND = os.environ.get("KERAS_BACKEND", "jax")
USERS, MOVIES = 7, 30


@pytest.fixture(scope="module")
def weights() -> Weights:
    return initial_weights(USERS, MOVIES, seed=0)


@pytest.fixture(scope="module")
def right(weights: Weights) -> Answer:
    pairs = np.arange(USERS * MOVIES)
    exact = Oracle(weights).predict(1 + pairs // MOVIES, 1 + pairs % MOVIES).reshape(USERS, MOVIES)
    order = np.argsort(-exact, axis=1, kind="stable")[:, :10]
    return Answer(1 + order, np.take_along_axis(exact, order, axis=1).astype(np.float32))


def test_the_command_measures_a_real_worker_and_judges_its_movies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its first round the cores share no cache: that round is repeated, kept, and left out of the figures."""
    pytest.importorskip(BACKEND)
    looks = iter([*[1.3] * (FIRST_LOOKS + 1), 3.3])
    monkeypatch.setattr(
        "bench.studies.score.run.watch_of", lambda threads, patience: StateWatch(lambda: next(looks, 1.3), 9.0)
    )
    output = tmp_path / "new folder" / "score.json"
    command = ["score", "--backends", BACKEND, "--size", "40x300", "--users", "33", "--top", "5", "-o", str(output)]
    code = main([*command, "--processes", "1", "--rounds", "2", "--threads", "1", "--json"])
    report = msgspec.json.decode(output.read_bytes(), type=ScoreReport)
    assert code == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=ScoreReport) == report
    (run,) = report.runs
    assert (run.status, run.users, run.predicted_pairs) == ("ok", 33, 12_000)
    rates = (run.pairs_per_s, run.predict_pairs_per_s, run.products_per_s)
    states = (run.handover, run.predict_handover, run.products_handover)
    assert sorted(map(len, rates)) == [2, 2, 3]
    assert list(map(len, rates)) == list(map(len, states))
    assert min(rate for of_kind in rates for rate in of_kind) > 0
    assert sorted(states, key=len) == [[1.3, 1.3], [1.3, 1.3], [3.3, 1.3, 1.3]]
    (line,) = report.throughput
    assert (line.cell, line.apart_rounds, line.calm) == (f"{BACKEND}/cpu", 1, True)
    (found,) = report.agreement
    assert (found.a, found.b, found.users, found.verdict, found.surely_missed) == (
        f"{BACKEND}/cpu",
        EXACT,
        33,
        "within",
        0,
    )
    assert 0 < found.share_of_bound < 1
    assert main(command) == 2
    assert "already holds a result" in capsys.readouterr().err


def test_a_right_answer_is_within_and_two_agree(weights: Weights, right: Answer) -> None:
    found = judge({"jax/cpu": right, "torch/cpu": right}, weights)
    assert [(record.a, record.b) for record in found] == [
        ("jax/cpu", EXACT),
        ("torch/cpu", EXACT),
        ("jax/cpu", "torch/cpu"),
    ]
    assert all(record.verdict == "within" and record.same_lists == 1 for record in found)
    assert found[2].largest == 0


def test_a_better_movie_left_out_is_missed(weights: Weights, right: Answer) -> None:
    # The last nine of ten, and the eleventh for the first.
    whole = judge({"a": right}, weights)[0]
    assert whole.surely_missed == 0
    ids, predictions = right.ids.copy(), right.predictions.copy()
    ids[2], predictions[2] = np.roll(ids[2], -1), np.roll(predictions[2], -1)
    other = next(movie for movie in range(1, MOVIES + 1) if movie not in right.ids[2])
    ids[2, -1], predictions[2, -1] = other, Oracle(weights).predict(np.array([3]), np.array([other]))[0]
    beside_exact, _, beside_other = judge({"a": Answer(ids, predictions), "b": right}, weights)
    assert (beside_exact.verdict, beside_exact.surely_missed >= 1) == ("outside", True)
    assert beside_exact.same_lists == pytest.approx(1 - 1 / USERS)
    assert (beside_other.verdict, beside_other.surely_missed >= 1) == ("outside", True)


@pytest.mark.parametrize("change", [1e-4, np.inf])
def test_a_prediction_beyond_rounding_is_outside(weights: Weights, right: Answer, change: float) -> None:
    predictions = right.predictions.copy()
    predictions[4, 0] += change
    found = judge({"a": Answer(right.ids, predictions), "b": right}, weights)
    assert [record.verdict for record in found] == ["outside", "within", "outside"]
    assert found[0].share_of_bound > 1


def test_a_movie_that_is_named_twice_or_missing_is_told(weights: Weights, right: Answer) -> None:
    twice = right.ids.copy()
    twice[0, 9] = twice[0, 8]
    predictions = right.predictions.copy()
    predictions[0, 9] = predictions[0, 8]
    assert judge({"a": Answer(twice, predictions)}, weights)[0].verdict == "outside"
    short = right.ids.copy()
    short[0, 9] = 0
    assert judge({"a": Answer(short, right.predictions)}, weights)[0].verdict == "outside"


def test_so_many_users_are_checked_as_take_seconds() -> None:
    assert checked_users(943, 1682) == CHECKED_PAIRS // 1682
    assert checked_users(20, 1682) == 20
    assert checked_users(40, 10_000_000) == 1


def make_run(backend: str, process: int, pairs: float, products: float) -> ScoreRun:
    return ScoreRun(
        backend=backend,
        device="cpu",
        process=process,
        users=10,
        predicted_pairs=1000,
        status="ok",
        pairs_per_s=[pairs, 3 * pairs, pairs / 2],
        predict_pairs_per_s=[pairs / 4],
        products_per_s=[products],
    )


def test_figures_follow_from_the_rounds() -> None:
    assert FLOP_PER_PAIR == 2 * (256 * 64 + 64)
    runs = [
        *(make_run("torch", process, 1e6, 2e6 * FLOP_PER_PAIR) for process in (0, 1)),
        *(make_run("jax", process, 4e6, 6e6 * FLOP_PER_PAIR) for process in (0, 1)),
        replace(make_run("tensorflow", 0, 1e6, 1e6), pairs_per_s=[], status="failed"),
    ]
    fastest, other = throughput(runs, num_movies=100)
    assert (fastest.cell, fastest.times_fastest, other.cell) == ("jax/cpu", None, "torch/cpu")
    assert fastest.pairs_per_s == pytest.approx(4e6)
    assert fastest.users_per_s == pytest.approx(4e4)
    assert (fastest.times_floor, other.times_floor) == (pytest.approx(1.5), pytest.approx(2))
    assert other.times_best_floor == pytest.approx(6)
    assert other.times_fastest == pytest.approx(4)
    assert other.gain == pytest.approx(4)
    assert throughput([], 100) == []


def test_rounds_timed_with_cores_apart_are_left_out_and_told() -> None:
    def run(process: int, handover: list[float | None]) -> ScoreRun:
        return replace(make_run("jax", process, 1e6, 1e9), predict_handover=[1.3], handover=handover)

    (line,) = throughput([run(0, [1.3, 3.3, 1.3]), run(1, [1.3, 3.3, None])], num_movies=100)
    assert line.pairs_per_s == pytest.approx(0.75e6)  # of rounds of 1 and 0.5 million pairs a second
    assert (line.apart_rounds, line.calm, line.processes) == (2, True, 2)
    (line,) = throughput([run(0, [1.3, 3.3, 1.3]), run(1, [3.3, 3.3, 3.3])], num_movies=100)
    assert line.pairs_per_s == pytest.approx(1e6)
    assert (line.apart_rounds, line.calm, line.processes) == (4, False, 2)
    (line,) = throughput([make_run("jax", 0, 1e6, 1e9)], num_movies=100)
    assert (line.apart_rounds, line.calm) == (None, None)


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("import sys; print('ImportError: libsomething'); sys.exit(1)", "failed", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", 3),
    ],
)
def test_a_worker_that_dies_is_told_and_the_result_is_whole(
    tmp_path: Path, script: str, status: str, code: int
) -> None:
    options = Options(
        cells=[Cell(backend="jax", device="cpu", loop="fit")],
        output=tmp_path / "score.json",
        num_users=USERS,
        num_movies=MOVIES,
        processes=2,
        worker_command=(sys.executable, "-c", script),
    )
    report = measure_scoring(options, Console(quiet=True))
    assert [run.status for run in report.runs] == [status, "skipped"]
    assert exit_code(report) == code
    assert msgspec.json.decode(options.output.read_bytes(), type=ScoreReport) == report
    console = Console(record=True, width=80, file=io.StringIO())
    print_scoring(report, console)
    assert "jax/cpu: skipped" in console.export_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "943"], "expected USERSxMOVIES such as 943x1682; received '943'"),
        (["--size", "0x5"], "expected USERSxMOVIES"),
        (["--users", "944"], "--users 944 is more than --size has (943)"),
        (["--rounds", "0"], "--rounds must be at least 1; received 0"),
        (["--top", "0"], "--top must be at least 1; received 0"),
        (["--backends", "mxnet"], "unknown backend 'mxnet'"),
    ],
)
def test_bad_input_is_told(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["score", *arguments, "-o", str(tmp_path / "score.json")])
    except SystemExit as error:  # argparse's own way
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err
