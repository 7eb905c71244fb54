"""The stages at which trainings are compared, and their values for the NumPy oracle.

In the order of training:

    forward                     test predictions of the untrained model, [N]
    loss                        of the first batch, [1]
    gradient/WEIGHT             of the first batch, in the shape of each weight
    probe/WEIGHT                how one step moves each weight when the accumulators are `PROBE_ACCUMULATOR`
    accumulators K/WEIGHT       what each accumulator has grown by after K steps, K = 1 and 10
    weights K/WEIGHT            how each weight has moved after K steps
    epoch E                     test predictions after epoch E, [N]
    training rmse               as `fit` reports it, one value an epoch, [E]
    rmse                        of the test part after the last epoch, [1]
    ranking tau, ranking top-10 how differently two trainings rank each test user's movies (`bench.parity.rankings`)

Weights and accumulators are stored as what they have moved by, since most of a float32 weight is where it started.
The probe step makes Adagrad's constants visible: beside an accumulator of 0.1 an epsilon of 1e-7 changes a step by
half a millionth, beside one of 1e-7 by a third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from movierank.data.ratings import Ratings
from movierank.oracle import INITIAL_ACCUMULATOR, Oracle
from movierank.weights import Weights

Values = dict[str, npt.NDArray[np.floating[Any]]]

STEPS = 10
PROBE_ACCUMULATOR = 1e-7
WEIGHT_NAMES = tuple(field.name for field in fields(Weights))
BIASES = ("bias1", "bias2", "bias3")
BIAS_TRACE = "bias trace"  # [steps, biases]: not a stage, but what `bench.parity.divergence` looks at


def by_weight(stage: str, arrays: Iterable[npt.NDArray[np.floating[Any]]]) -> Values:
    """Name arrays in the order of `Weights` as one stage each, such as `gradient/user_embedding`."""
    return {f"{stage}/{name}": array for name, array in zip(WEIGHT_NAMES, arrays, strict=True)}


def first_batches(train: Ratings, batch_size: int) -> list[Ratings]:
    """Return the first batches of an epoch: ten, or as many as the train part makes."""
    starts = range(0, len(train), batch_size)[:STEPS]
    return [train.take(slice(start, start + batch_size)) for start in starts]


def recorded_steps(steps: int) -> set[int]:
    """Return the steps after which weights and accumulators are recorded, of `steps` that are made."""
    return {1, steps}


def early_values(build: Callable[[], Oracle], batches: Sequence[Ratings]) -> Values:
    """Return an oracle's values at all stages from `loss` to `weights 10`, and its bias trace.

    Args:
        build: returns the oracle at its initial weights, a fresh one each time.
        batches: as `first_batches` returns them.
    """
    loss, gradient = build().loss_and_gradients(batches[0])
    values: Values = {"loss": np.array([loss]), **by_weight("gradient", gradient.as_list())}
    probed = build()
    for accumulator in probed.accumulators.as_list():
        accumulator[...] = PROBE_ACCUMULATOR
    initial = [weight.copy() for weight in probed.weights.as_list()]
    probed.step(batches[0])
    values |= by_weight("probe", moved(probed.weights.as_list(), initial))
    oracle = build()
    trace = []
    for step, batch in enumerate(batches, start=1):
        oracle.step(batch)
        trace.append(biases(dict(zip(WEIGHT_NAMES, oracle.weights.as_list(), strict=True))))
        if step in recorded_steps(len(batches)):
            # From 0.1 as the oracle's dtype holds it, so that a row without a gradient has grown by nothing.
            grown = [array - array.dtype.type(INITIAL_ACCUMULATOR) for array in oracle.accumulators.as_list()]
            values |= by_weight(f"accumulators {step}", grown)
            values |= by_weight(f"weights {step}", moved(oracle.weights.as_list(), initial))
    values[BIAS_TRACE] = np.array(trace)
    return values


def first_step_of(single: Values, later: Values, steps: int) -> Values:
    """Return the stages of `later` after the last of `steps` recorded steps, and those before of `single`."""
    return {stage: (later if f" {steps}/" in stage and steps > 1 else single)[stage] for stage in later}


def moved(
    now: Iterable[npt.NDArray[np.floating[Any]]], before: Iterable[npt.NDArray[np.floating[Any]]]
) -> list[npt.NDArray[np.float64]]:
    """Return the differences in float64, in which those of float32 arrays are exact."""
    return [np.subtract(a, b, dtype=np.float64) for a, b in zip(now, before, strict=True)]


def biases(weights: Mapping[str, npt.NDArray[np.floating[Any]]]) -> npt.NDArray[np.floating[Any]]:
    """Return all biases in one row, from weights by name."""
    return np.concatenate([weights[name] for name in BIASES])


def bias_name(place: int, sizes: Sequence[int]) -> str:
    """Return for example `bias2[17]` for a place in such a row, of biases with these sizes."""
    for name, size in zip(BIASES, sizes, strict=True):
        if place < size:
            return f"{name}[{place}]"
        place -= size
    raise IndexError("there is no such bias")
