"""The reference of a custom workload, from trainings on the backend itself.

There is no oracle in NumPy for a model that is not known. The same model trained in float64 by Keras on the same
backend takes its place, and how far float32 copies of it lie from that, with the examples permuted inside each batch,
is what rounding does. Up to the first step nothing else differs; after it each copy starts from weights that are
moved by some float32 spacings (`bench.worker.workloads.custom.NUDGE`), so that relus and comparisons fall to the other
side as early as they may in any training: the envelope errs to the wide side, as that of the built-in model does. No
threshold is above ten times the largest of their distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.parity.distances import Training, distances, size_of
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import BIAS_TRACE, Values
from bench.parity.trainings import Reference
from bench.schema.parity import StageEnvelope

LEAST = 1e-30  # keeps the logarithm of a distance finite where a weight never moves


def reference_of(
    exact: Values | None, plain: Values | None, copies: Sequence[Values], examples: Mapping[str, int]
) -> Reference:
    """Return a reference from the trainings that it rests on.

    Args:
        exact: values of the float64 run; None where the backend cannot train in float64.
        plain: values of the float32 run without permutations, where there is no float64 run.
        copies: values of the permuted float32 runs.
        examples: number of examples that a metric rests on, by stage: one that counts them moves in steps.
    """
    centre = Training.of(exact if exact is not None else plain or {})
    apart = [distances(centre, Training.of(copy)) for copy in copies]
    stages = [
        StageEnvelope(
            stage=stage,
            trainings=len(copies),
            rms=[of_copy[stage].rms for of_copy in apart],
            resolution=_resolution(stage, [centre.values, *copies], examples.get(stage)),
            values=centre.values[stage].size,
        )
        for stage in centre.values
        if all(stage in of_copy for of_copy in apart)
        # Two float32 runs that are equal in bits say nothing about rounding.
        and (exact is not None or any(of_copy[stage].rms for of_copy in apart))
    ]
    first = [copy[BIAS_TRACE][0] - centre.values[BIAS_TRACE][0] for copy in copies if BIAS_TRACE in copy]
    bias_step = max((float(np.max(np.abs(row))) for row in first if row.size), default=0.0)
    return Reference(stages, bias_step, None if exact is None else dict(centre.values))


def _resolution(stage: str, trainings: Sequence[Mapping[str, np.ndarray]], examples: int | None) -> float:
    """Return a distance below which nothing is known: float32's spacing, or one of the examples that count."""
    if examples is not None:
        counts = np.array([training[stage] for training in trainings], np.float64) * examples
        if np.all(np.abs(counts - np.round(counts)) < 1e-6 * examples + 1e-3) and np.any(counts):
            return 1 / examples
    return max(LEAST, FLOAT32_EPS * size_of(trainings[0], stage))
