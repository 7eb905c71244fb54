"""The work of a worker of `bench score`: search for the best movies, predict, multiply."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from bench.schema.messages import Scored, ScoreJob, ScoreReady
from bench.worker.frameworks import adapter_for
from bench.worker.limits import product_rate
from movierank import training
from movierank.model import RankingModel
from movierank.ranking import SCORING_BATCH
from movierank.scoring.top import CPU_BLOCK, GPU_BLOCK, scoring_of, top_movies
from movierank.weights import HIDDEN_UNITS, initial_weights


class ScoreSession:
    """A model on its backend, ready to be scored and timed.

    Args:
        job: job from the supervisor.
    """

    def __init__(self, job: ScoreJob) -> None:
        self.job = job
        self.adapter = adapter_for(job.backend)
        self.model = RankingModel(job.num_users + 1, job.num_movies + 1)
        self.model.load_initial_weights(initial_weights(job.num_users, job.num_movies, seed=job.seed))
        self.users = np.arange(1, job.users + 1, dtype=np.int32)
        pairs = np.arange(job.predicted_pairs)
        self.features = {
            "user_id": (1 + pairs // job.num_movies).astype(np.int32),
            "movie_id": (1 + pairs % job.num_movies).astype(np.int32),
        }

    def start(self, device_name: str, threads: int | None) -> ScoreReady:
        """Run everything once, so that all is compiled, and write the best movies to a file where the job names one.

        Raises:
            ArithmeticError: a prediction is not finite.
        """
        started = time.perf_counter()
        top = top_movies(self.model, self.users, self.job.k)
        first_s = time.perf_counter() - started
        if np.isnan(top.predictions).any():
            raise ArithmeticError("predictions are not finite")
        if self.job.answers is not None:
            np.savez(self.job.answers, ids=top.ids, predictions=top.predictions)
        self.measure("predict")
        return ScoreReady(
            compile_mode=scoring_of(self.job.backend).compile_mode(),
            device_name=device_name,
            threads=threads,
            first_s=first_s,
        )

    def measure(self, what: Literal["top", "predict", "products"]) -> Scored:
        """Time one round, at the end of which the results of `top` and `predict` are on the host."""
        if what == "products":
            return Scored(per_s=self._products_per_s())
        self.adapter.synchronise()
        started = time.perf_counter()
        if what == "top":
            top_movies(self.model, self.users, self.job.k)
            pairs = len(self.users) * self.job.num_movies
        else:
            training.predict(self.model, self.features, batch_size=SCORING_BATCH)
            pairs = self.job.predicted_pairs
        return Scored(per_s=pairs / (time.perf_counter() - started))

    def _products_per_s(self) -> float:
        """Return the operations a second of the fastest product: of a block's largest layer, or of a large square."""
        on_gpu = self.job.device != "cpu"
        block = GPU_BLOCK if on_gpu else CPU_BLOCK
        shape = (block.users * block.movies, *HIDDEN_UNITS)
        return product_rate(self.adapter, [shape], "float32", on_gpu=on_gpu)
