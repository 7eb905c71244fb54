"""The cost and gain of a cap on parity's thresholds: clean float32 trainings of ten steps beside their envelope.

    python docs/reproductions/threshold_cap.py FIRST_SEED LAST_SEED [COPIES [BATCH_SIZE [DATASET]]]

The script needs only NumPy, and some ten seconds a seed. Where rounding may flip a relu in the first step, one copy in
four gets such a flip there; two in four get a flip after it, and one has only what rounding makes.
"""

import sys

import numpy as np

from bench.parity.distances import TestPart, Training, distances
from bench.parity.numpy_oracle import Task, measure, trained_copy
from bench.parity.rounding import flips_at_once, nearest_flips
from bench.parity.thresholds import CAP, NO_CAP, thresholds
from bench.schema.parity import group_of
from movierank.data.datasets import load_dataset
from movierank.data.splits import default_split, split_ratings
from movierank.weights import initial_weights

first, last, copies, batch_size = [*map(int, sys.argv[1:5]), *(0, 9, 100, 1000)[len(sys.argv[1:5]) :]]
dataset = load_dataset(sys.argv[5] if len(sys.argv) > 5 else "100k")
split = split_ratings(dataset, default_split(dataset.name))
train, test = split.train.take(slice(10 * batch_size)), split.test.take(slice(200))
part = TestPart.of(test.user_id, test.label)

furthest: dict[tuple[bool, str], list[float]] = {}  # over the largest distance of the envelope, one a seed and stage
uncapped: dict[tuple[bool, str], list[float]] = {}  # thresholds likewise
trainings = alarms = 0
flipping: dict[int, int] = {}  # how many flips rounding may make in the first step, by seed
for seed in range(first, last + 1):
    task = Task(initial_weights(dataset.num_users, dataset.num_movies, seed=seed), train, test, batch_size, 1, 0.1)
    reference = measure(task, seed=seed)
    batch = train.take(slice(batch_size))
    candidates = flips_at_once(task.weights, batch)
    at_once = candidates > 0
    flipping |= {seed: candidates} if at_once else {}
    flips = nearest_flips(task.weights, batch, 6)
    oracle = Training.of(reference.oracle, part, 1)
    apart = []
    for place, stream in enumerate(np.random.SeedSequence([seed, 6]).spawn(copies)):
        given = flips[place // 4 % min(candidates or 6, 6)] if place % 4 < 3 else ()
        values = trained_copy(task, stream, given, at_once and place % 4 == 0)
        values = {stage: np.asarray(array, np.float32) for stage, array in values.items()}
        apart.append({stage: far.rms for stage, far in distances(Training.of(values, part, 1), oracle).items()})
    early = [stage for stage in reference.envelope if "/" in stage.stage or stage.stage == "loss"]
    limits, open_limits = (thresholds(early, len(early), cap) for cap in (CAP, NO_CAP))
    trainings += copies
    alarms += sum(any(far[stage.stage] > limits[stage.stage] for stage in early) for far in apart)
    for stage in early:
        if stage.values > 1:
            largest = max(*stage.rms, stage.resolution)
            key = at_once, group_of(stage.stage)
            furthest.setdefault(key, []).append(max(far[stage.stage] for far in apart) / largest)
            uncapped.setdefault(key, []).append(open_limits[stage.stage] / largest)

print(f"flips that rounding may make in the first step, by seed = {flipping}")
for (at_once, group), limits in uncapped.items():
    gains = np.array([limit / CAP for limit in limits if limit > CAP])
    gained = f"by {np.median(gains):.3g}, at most {gains.max():.3g}" if gains.size else "nowhere"
    name = f"{group}{', may flip at once' * at_once}"
    print(f"{name}: cap binds at {gains.size} of {len(limits)} = {gained}")
    print(f"{name}: furthest clean training over the largest distance = {max(furthest[at_once, group]):.2f}")
print(f"clean trainings = {trainings}")
print(f"with a false alarm = {alarms}")
