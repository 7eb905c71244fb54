"""Train, evaluate and predict as the tutorial does, for pytest-benchmark.

This is a quick look under one backend, in one process. `python -m bench run` measures several processes, which an
interval needs. Compare two backends' files with `pytest-benchmark compare A.json B.json`.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from movierank.loops import LOOPS

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from bench.suite.conftest import Tutorial
    from bench.suite.state import StateBetweenRounds
    from bench.worker.timed_fit import TimedFit

ORACLE_RMSE = 0.25776  # RMSE of the NumPy float64 oracle after the same five epochs from the same weights
ROUNDING = 5e-4  # float32 predictions then lie up to 4.4e-4 rms from the oracle's, hence their RMSE no further


@pytest.mark.benchmark(group="train epoch")
@pytest.mark.parametrize("loop", LOOPS)
def test_train_epoch(benchmark: BenchmarkFixture, tutorial: Tutorial, state: StateBetweenRounds, loop: str) -> None:
    from bench.worker.timed_fit import timed_fit
    from movierank import training

    session = tutorial.session
    steps = len(session.split.train) // session.job.batch_size
    timed: list[TimedFit] = []

    def train_epoch() -> None:
        timed.append(
            timed_fit(
                session.model,
                session.split.train,
                batch_size=session.job.batch_size,
                epochs=1,
                synchronise=session.adapter.synchronise,
                loop=loop,
            )
        )

    tutorial.initial.restore(session.model)
    training.fit(session.model, session.split.train, loop=loop)
    test_rmse = training.evaluate(session.model, session.split.test).rmse
    rounds = 15
    benchmark.pedantic(train_epoch, setup=state.look, rounds=rounds, warmup_rounds=3)
    benchmark.extra_info.update(
        tutorial.described,
        **state.described(rounds),
        loop=loop,
        test_rmse=test_rmse,
        steps_per_round=steps,
        # A round's time includes the set-up of its `fit` call; the step time does not.
        step_time_ms=median(1e3 * call.epochs_s / steps for call in timed[-rounds:]),
        fit_setup_ms=median(1e3 * call.setup_s for call in timed[-rounds:]),
    )
    assert test_rmse == pytest.approx(ORACLE_RMSE, abs=ROUNDING)


@pytest.mark.benchmark(group="evaluate")
def test_evaluate(benchmark: BenchmarkFixture, tutorial: Tutorial, state: StateBetweenRounds) -> None:
    from movierank import training

    session = tutorial.session
    tutorial.trained.restore(session.model)
    rounds = 20
    given = (session.model, session.split.test)
    logs = benchmark.pedantic(training.evaluate, given, setup=state.look, rounds=rounds, warmup_rounds=3)
    steps = len(session.split.test) // training.BATCH_SIZE
    benchmark.extra_info.update(tutorial.described, **state.described(rounds), steps_per_round=steps)
    assert logs.rmse == pytest.approx(tutorial.test_rmse, abs=1e-6)


@pytest.mark.benchmark(group="predict")
def test_predict(benchmark: BenchmarkFixture, tutorial: Tutorial, state: StateBetweenRounds) -> None:
    from movierank import training

    session = tutorial.session
    test = session.split.test
    tutorial.trained.restore(session.model)
    rounds = 20
    given = (session.model, test.features)
    predictions = benchmark.pedantic(training.predict, given, setup=state.look, rounds=rounds, warmup_rounds=3)
    steps = len(test) // training.BATCH_SIZE
    benchmark.extra_info.update(tutorial.described, **state.described(rounds), steps_per_round=steps)
    assert np.sqrt(np.mean((predictions - test.label) ** 2)) == pytest.approx(tutorial.test_rmse, abs=1e-5)
