"""Times of a training loop beside the time that data takes from one core to another.

Usage: KERAS_BACKEND=jax python docs/reproductions/shared_cache.py [SECONDS] [LOOP]

For so many seconds (60), in turn: the handover ratio (docs/machine-state.md), six epochs of MovieLens 100K by a loop
(`native`), the ratio again. Rounds are put into two groups by the ratios alone; the step times follow from them.
"""

from __future__ import annotations

import os
import sys
import time
from statistics import median

os.environ.setdefault("KERAS_BACKEND", "jax")

from bench.statistics.calm import APART
from bench.system.handover import Handover
from bench.system.probing import allowed_cpus
from movierank import training
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings
from movierank.model import RankingModel

EPOCHS = 6

seconds, loop = float((sys.argv[1:] or ["60"])[0]), (sys.argv[2:] or ["native"])[0]
dataset = load_dataset("100k")
train = split_ratings(dataset).train
model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1)
model.build({"user_id": (None,), "movie_id": (None,)})
training.compile_model(model)
handover = Handover(allowed_cpus())


def step_time_ms() -> float:
    """Return the time of a step of a few epochs, in ms."""
    started = time.perf_counter()
    training.fit(model, train, epochs=EPOCHS, loop=loop)
    return 1e6 * (time.perf_counter() - started) / (EPOCHS * len(train))


for _ in range(3):
    step_time_ms()
rounds: list[tuple[float, float, float]] = []
end = time.monotonic() + seconds
while time.monotonic() < end:
    before, step, after = handover.ratio(), step_time_ms(), handover.ratio()
    if before is None or after is None:
        raise SystemExit("the handover cannot be measured here: threads cannot be pinned, or there is one core")
    rounds.append((before, step, after))
limit = APART * min(min(before, after) for before, _, after in rounds)
groups = {
    "cores share a cache": [r for r in rounds if max(r[0], r[2]) <= limit],
    "they do not": [r for r in rounds if min(r[0], r[2]) > limit],
    "in between": [r for r in rounds if min(r[0], r[2]) <= limit < max(r[0], r[2])],
}
for name, group in groups.items():
    if group:
        ratios, steps = [max(r[0], r[2]) for r in group], sorted(r[1] for r in group)
        print(
            f"{name}: {len(group)} rounds, handover ratio {median(ratios):.2f}, "
            f"{median(steps):.2f} ms a step ({steps[0]:.2f} to {steps[-1]:.2f})"
        )
