"""What trainings from one set of initial weights are judged by: the oracle, and how far rounding alone drives it.

A float64 oracle is trained once. Then float32 copies of it are trained whose mathematics is the same and whose
additions have another order: the examples are permuted inside each batch, and the hidden units and embedding
dimensions are permuted together with their weights, which leaves every prediction the same but for rounding.
How far these copies lie from the oracle and from each other is what a correct backend may show.

Rounding drift is not smooth. As long as every relu opens for the same examples as in the oracle, two trainings
stay within 1e-7; the first example whose preactivation lies so near zero that rounding moves it to the other
side changes a gradient by a finite amount, and from there the distance grows to 1e-5 within an epoch. When that
happens first is luck: on MovieLens 100K some seeds have it in the first batches, some not in the first epoch, and
six copies could miss it by chance. So every copy is given one such event in each hidden layer in its first batch:
a bias is moved by some 1e-6, just enough to mirror a preactivation next to zero. A training that meets its first flip
later has drifted less, so the envelope errs to the wide side. The stages of the first step alone are taken without
it, and are the sharpest: there a flip is all but impossible, unless the initial weights put a preactivation of the
first batch within rounding of zero. Where they do, every other copy has the flip there too, and those copies are given
the flips that are nearest: the ones that rounding makes are then among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench.errors import BenchError
from bench.parity.distances import TAU, Distance, TestPart, Training, distances, size_of
from bench.parity.rounding import (
    FLOAT32_EPS,
    Flip,
    Symmetry,
    flip_of_copy,
    flips_at_once,
    nearest_flips,
    permute_in_batches,
)
from bench.parity.stages import BIAS_TRACE, Values, early_values, first_batches, first_step_of
from bench.parity.trainings import Reference
from bench.schema.parity import COPIES, FEWEST_COPIES, StageEnvelope
from movierank.data.ratings import Ratings
from movierank.oracle import INITIAL_ACCUMULATOR, KNOWN_VARIANTS, Oracle, train
from movierank.weights import Weights


@dataclass(frozen=True)
class Task:
    """What to train on.

    Attributes:
        weights: initial weights.
        train: train part, in training order.
        test: test part, whose predictions are compared.
        batch_size: examples a step.
        epochs: passes over the train part.
        learning_rate: Adagrad's.
        early: whether the first steps are compared too; they take the memory of 41 copies of the weights.
    """

    weights: Weights
    train: Ratings
    test: Ratings
    batch_size: int
    epochs: int
    learning_rate: float
    early: bool = True


def measure(task: Task, *, seed: int, runs: int = COPIES, variants: Sequence[str] = (), threads: int = 2) -> Reference:
    """Train the oracle, its float32 copies and its variants, and return how far rounding drives the copies apart.

    Equal arguments give equal results on one machine where BLAS is single-threaded.

    Args:
        task: what to train on.
        seed: seed of the permutations; that of the initial weights will do.
        runs: float32 copies, at least 3.
        variants: names of the known deviations to reproduce (`movierank.oracle.KNOWN_VARIANTS`).
        threads: trainings at the same time.

    Raises:
        BenchError: fewer than three copies were asked for, or the training diverges.
    """
    if runs < FEWEST_COPIES:
        raise BenchError(f"the rounding envelope needs at least {FEWEST_COPIES} runs, not {runs}")
    first = task.train.take(slice(task.batch_size))
    given = [flip_of_copy(place) for place in range(runs)]
    nearest = nearest_flips(task.weights, first, 1 + max(given))
    flips = [nearest[place] for place in given]
    at_once = flips_at_once(task.weights, first) > 0
    streams = np.random.SeedSequence(seed).spawn(runs)
    with ThreadPoolExecutor(threads) as pool, np.errstate(all="ignore"):
        exact = pool.submit(_train, task, lambda: Oracle(task.weights, learning_rate=task.learning_rate))
        varied = {name: pool.submit(_train, task, _variant(task, name)) for name in variants}
        copies = list(
            pool.map(
                lambda place: trained_copy(task, streams[place], flips[place], at_once and place % 2 == 1), range(runs)
            )
        )
        oracle = exact.result()
        of_variants = {name: future.result() for name, future in varied.items()}
    if not all(np.isfinite(values).all() for run in (oracle, *copies) for values in run.values()):
        raise BenchError(f"training diverges at learning rate {task.learning_rate:g}; choose a smaller one")
    test = TestPart.of(task.test.user_id, task.test.label)
    trainings = [Training.of(run, test, task.epochs) for run in (oracle, *copies)]
    return Reference(envelope_between(trainings, task.weights), _bias_step(copies), oracle, of_variants)


def _variant(task: Task, name: str) -> Callable[[], Oracle]:
    return lambda: Oracle(task.weights, learning_rate=task.learning_rate, squares=KNOWN_VARIANTS[name])


def _train(task: Task, build: Callable[[], Oracle]) -> Values:
    early = early_values(build, first_batches(task.train, task.batch_size)) if task.early else {}
    return _in_order(_late_values(task, task.train, build()), early)


def trained_copy(
    task: Task, stream: np.random.SeedSequence, flips: Iterable[Flip] = (), at_once: bool = False
) -> Values:
    """Return the values of a float32 oracle whose examples, units and dimensions have another order.

    Args:
        task: what to train on.
        stream: random numbers of the permutations.
        flips: biases to move from the start of the training on, by which a relu opens or closes.
        at_once: whether to do so in the stages of the first step too.
    """
    rng = np.random.Generator(np.random.Philox(stream))
    symmetry = Symmetry.draw(task.weights, rng)
    permuted = symmetry.apply(task.weights)
    ratings = permute_in_batches(task.train, task.batch_size, rng)

    def build() -> Oracle:
        return Oracle(permuted, learning_rate=task.learning_rate, dtype=np.float32)

    def flipped() -> Oracle:
        oracle = build()
        for bias, unit, change in flips:
            getattr(oracle.weights, bias)[symmetry.place(bias, unit)] += change
        return oracle

    late = _late_values(task, ratings, flipped())
    late["forward"] = build().predict(task.test.user_id, task.test.movie_id)
    if not task.early:
        return late
    batches = first_batches(ratings, task.batch_size)
    later = early_values(flipped, batches)
    merged = later if at_once else first_step_of(early_values(build, batches), later, len(batches))
    return _in_order(late, symmetry.inverse().apply_to_values(merged))


def _late_values(task: Task, ratings: Ratings, oracle: Oracle) -> Values:
    test = task.test.user_id, task.test.movie_id
    stages: Values = {"forward": oracle.predict(*test)}
    rmses = []

    def keep(epoch: int, rmse: float) -> None:
        rmses.append(rmse)
        stages[f"epoch {epoch}"] = oracle.predict(*test)

    train(oracle, ratings, task.batch_size, task.epochs, keep)
    return {**stages, "training rmse": np.array(rmses)}


def _in_order(late: Values, early: Values) -> Values:
    return {"forward": late["forward"], **early, **{stage: late[stage] for stage in late if stage != "forward"}}


def _bias_step(copies: Sequence[Values]) -> float:
    if BIAS_TRACE not in copies[0]:
        return 0.0
    return max(float(np.max(np.abs(a[BIAS_TRACE][0] - b[BIAS_TRACE][0]))) for a, b in combinations(copies, 2))


def envelope_between(trainings: Sequence[Training], initial: Weights) -> list[StageEnvelope]:
    """Return how far every two trainings lie apart at each stage that they have.

    Args:
        trainings: trainings from the same initial weights; the first gives the sizes.
        initial: these weights.
    """
    first = trainings[0]
    found: dict[str, list[Distance]] = {}
    for a, b in combinations(trainings, 2):
        for stage, apart in distances(a, b).items():
            found.setdefault(stage, []).append(apart)
    return [
        StageEnvelope(
            stage=stage,
            trainings=len(trainings),
            rms=[apart.rms for apart in apart_at],
            resolution=_resolution(first, stage, initial),
            values=first.values[stage].size if stage in first.values else 0,
        )
        for stage, apart_at in found.items()
    ]


def _resolution(training: Training, stage: str, initial: Weights) -> float:
    """Return a distance below which nothing is known.

    Weights and accumulators: what rounding each of them once makes, which spreads evenly over a spacing. Other values:
    float32's spacing at their size. Rankings: what two items that change places make.
    """
    kind, _, name = stage.partition("/")
    if kind.startswith(("weights ", "accumulators ")):
        start = getattr(initial, name) if kind.startswith("weights ") else INITIAL_ACCUMULATOR
        return FLOAT32_EPS / math.sqrt(12) * float(np.sqrt(np.mean(np.square(start + training.values[stage]))))
    if training.rankings is None or stage in training.values:
        return FLOAT32_EPS * size_of(training.values, stage)
    if stage == TAU:
        pairs = np.diff([*training.rankings.index.bounds, training.rankings.signs.size])
        return 2 / (float(pairs.min()) * len(pairs))
    return 1 / int(np.count_nonzero(training.rankings.best))
