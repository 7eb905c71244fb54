"""The references of a workload of the user's own in a report, by which its trainings can be judged again.

What rounding does lies in `report.json` (`envelopes`). The oracles lie in `predictions.npz`, in float64: in float32
they would be as far from what they were as rounding takes a training.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.errors import BenchError
from bench.parity.backend_oracle import Mathematics, OwnReference, References
from bench.parity.distances import Training
from bench.parity.stored import late_values
from bench.report.predictions import Arrays, NamedReport
from bench.schema.parity import ORACLE


def to_arrays(references: Mapping[tuple[str, int], OwnReference]) -> Arrays:
    """Returns the oracles by key in `predictions.npz`, such as `oracle/jax/cpu/s0/epoch 1`.

    Args:
        references: by place, such as `jax/cpu`, and seed.
    """
    return {
        f"{ORACLE}/{place}/s{seed}/{stage}": array
        for (place, seed), reference in references.items()
        if reference.oracle is not None
        for stage, array in reference.oracle.values.items()
    }


def from_report(report: NamedReport) -> References:
    """Returns what a report's trainings were judged by.

    Raises:
        BenchError: an oracle that it was judged by is not stored.
    """
    judged = {row.a.rpartition("/")[0] for row in report.report.parity if row.b == ORACLE}
    found: dict[tuple[Mathematics, int], OwnReference] = {}
    for envelope in report.report.envelopes:
        if envelope.place is None:
            continue
        where = Mathematics(*envelope.place.split("/"))
        stored = late_values(report.arrays, f"{ORACLE}/{where}", envelope.seed)
        values = {stage: np.asarray(array, np.float64) for stage, array in stored.items()}
        if not values and f"{where.backend}/{where.device}" in judged:
            raise BenchError(
                f"{report.name} stores no oracle of {where} to judge by: it is of an older version; measure it again"
            )
        found[where, envelope.seed] = OwnReference(Training(values, None) if values else None, envelope)
    return found
