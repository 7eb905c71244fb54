"""The subject of the suite: the tutorial's training under the backend that KERAS_BACKEND names."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bench.errors import UnavailableError
from bench.measure.options import DEFAULT_ROUND_S
from bench.suite.state import StateBetweenRounds
from bench.system.child import hide
from bench.system.environment import hidden_modules, usable_cores
from movierank.backends import BACKENDS

if TYPE_CHECKING:
    from bench.worker.session import Session
    from movierank.training import TrainingState

BACKEND = os.environ.get("KERAS_BACKEND", "")
if BACKEND not in BACKENDS:
    raise pytest.UsageError(f"set KERAS_BACKEND to one of {', '.join(BACKENDS)}; received {BACKEND!r}")

# A worker does so too, before it imports Keras. A framework that other tests of this process have imported stays.
hide(hidden_modules(BACKEND))


@dataclass(frozen=True)
class Tutorial:
    """A model that was trained as the tutorial does, from the weights that all backends share.

    Attributes:
        session: a worker's session with its framework and the model.
        initial: state of the model and the optimizer before the first step.
        trained: state of the model and the optimizer after the last epoch.
        test_rmse: test RMSE after the last epoch, as `evaluate` reports it.
        described: backend, versions and device, for `extra_info`.
    """

    session: Session
    initial: TrainingState
    trained: TrainingState
    test_rmse: float
    described: dict[str, Any]


# The backend is a parameter so that `pytest-benchmark compare` prints it.
@pytest.fixture(scope="session", params=[BACKEND])
def tutorial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tutorial:
    """Train once as the tutorial does, on MovieLens 100K."""
    device, device_name = _configure(request.param)

    import keras

    from bench.schema.messages import Job
    from bench.worker.session import Session
    from bench.worker.workloads.ranking import ranking_workload
    from movierank import training
    from movierank.data.datasets import load_dataset
    from movierank.data.splits import split_ratings

    dataset = load_dataset("100k", progress=lambda line: print(line, file=sys.stderr))
    split = split_ratings(dataset, "tutorial")
    job = Job(
        backend=request.param,
        device=device,
        seed=0,
        threads=usable_cores(),
        dataset=dataset.name,
        data_source=dataset.source,
        sha256=dataset.sha256,
        split=split.name,
        batch_size=training.BATCH_SIZE,
        epochs=training.EPOCHS,
        embedding_dimension=32,
        learning_rate=training.LEARNING_RATE,
        round_s=DEFAULT_ROUND_S,
        predictions=str(tmp_path_factory.mktemp("suite") / "predictions.npz"),
        stored_predictions=len(split.test),
    )
    session = Session(job, ranking_workload(job, dataset, split))
    session.start()
    test_rmse = session.train().test_rmse
    assert session.initial_state is not None  # its job trains
    assert test_rmse is not None
    return Tutorial(
        session=session,
        initial=session.initial_state,
        trained=training.TrainingState.of(session.model),
        test_rmse=test_rmse,
        described={
            "backend": request.param,
            "keras": keras.version(),
            "device": device,
            "device_name": device_name,
            "threads": job.threads,
            "compile_mode": session.compile_mode,
            "test_rmse": test_rmse,
        },
    )


@pytest.fixture(scope="session")
def state() -> StateBetweenRounds:
    """Return the watch on the machine's state, for all benchmarks."""
    return StateBetweenRounds()


def _configure(backend: str) -> tuple[str, str]:
    """Return the device that the backend computes on, `gpu` where it sees one, and the device's name."""
    from bench.worker.frameworks import adapter_for

    adapter, threads = adapter_for(backend), usable_cores()
    try:
        return "gpu", adapter.configure("gpu", threads)[0]
    except UnavailableError:
        return "cpu", adapter.configure("cpu", threads)[0]
