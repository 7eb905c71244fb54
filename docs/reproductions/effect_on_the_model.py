"""What the known deviation and float32 constants change in this model: the float64 oracle on MovieLens 100K.

No backend is used. The prepared data must be there (`python -m bench doctor` says).
"""

import numpy as np

from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.oracle import Oracle, train
from movierank.weights import Weights, initial_weights

dataset = load_dataset("100k")
split = split_ratings(dataset, "tutorial")
weights = initial_weights(dataset.num_users, dataset.num_movies, seed=0)
batch = split.train.take(slice(0, 1000))


def worst(ours: Weights, judge: Weights) -> float:
    """Return the largest relative difference of any accumulator."""
    return max(np.abs(a / b - 1).max() for a, b in zip(ours.as_list(), judge.as_list(), strict=True))


rows = [np.unique(ids, return_counts=True)[1] for ids in (batch.user_id, batch.movie_id)]
print("ids that occur more than once in the first batch =", ", ".join(f"{(c > 1).sum()} of {c.size}" for c in rows))
judge = Oracle(weights)
judge.step(batch)
first = judge.accumulators.astype("f8")
train(judge_after := Oracle(weights), split.train, 1000, 5)
p = judge_after.predict(split.test.user_id, split.test.movie_id)
rmse = np.sqrt(np.square(p - split.test.label).mean())
print(f"test RMSE, float64 oracle = {rmse:.6f}")
for name, options in {
    "sum of squares": {"squares": "square_then_sum"},
    "rate and epsilon in float32": {"learning_rate": float(np.float32(0.1)), "epsilon": float(np.float32(1e-7))},
    "epsilon 0": {"epsilon": 0.0},
}.items():
    other = Oracle(weights, **options)
    other.step(batch)
    print(f"{name}: largest relative change of an accumulator in step 1 = {worst(other.accumulators, first):.1e}")
    train(other := Oracle(weights, **options), split.train, 1000, 5)
    q = other.predict(split.test.user_id, split.test.movie_id)
    print(f"{name}: rms change of the final predictions = {np.sqrt(np.square(q - p).mean()):.1e}")
    print(f"{name}: change of the test RMSE = {np.sqrt(np.square(q - split.test.label).mean()) - rmse:+.1e}")

for name, redrawn in (("one order in all epochs", False), ("another order in each epoch", True)):
    scores = []
    for seed in range(10):
        rng, shuffled = np.random.default_rng(seed), Oracle(weights)
        order = rng.permutation(len(split.train))
        for _ in range(5):
            train(shuffled, split.train.take(order), 1000, 1)
            order = rng.permutation(len(split.train)) if redrawn else order
        q = shuffled.predict(split.test.user_id, split.test.movie_id)
        scores.append(float(np.sqrt(np.square(q - split.test.label).mean())))
    print(f"test RMSE, {name}, ten seeds, sorted =", " ".join(f"{score:.4f}" for score in sorted(scores)))
