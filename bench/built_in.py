"""The built-in workload in a worker: the tutorial's model with the weights that all backends share, or its own."""

from __future__ import annotations

import keras

from bench.protocol import Job
from movierank import training
from movierank.model import RankingModel
from movierank.ratings import Dataset
from movierank.weights import initial_weights


def ranking_model(job: Job, dataset: Dataset) -> RankingModel:
    """Builds the built-in workload's model with the job's initial weights, and compiles it."""
    keras.utils.set_random_seed(job.seed)
    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1, job.embedding_dimension)
    if job.init == "shared":
        model.load_initial_weights(
            initial_weights(dataset.num_users, dataset.num_movies, job.embedding_dimension, seed=job.seed)
        )
    else:
        model.build({"user_id": (None,), "movie_id": (None,)})
    training.compile_model(model, job.learning_rate)
    return model
