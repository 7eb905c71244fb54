"""Is what a report records of its trainings what its stored predictions say? Found by working it out again."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.errors import BenchError
from bench.parity.distances import TAU, TOP_10, TestPart, distance
from bench.parity.judge import judge
from bench.parity.numpy_oracle import Reference
from bench.parity.rankings import Rankings
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stored import StoredReferences, late_values
from bench.parity.thresholds import CAP, NO_CAP
from bench.parity.trainings import judging_envelopes, trajectories
from bench.report.predictions import NamedReport, key_of
from bench.schema.cell import is_reduced
from bench.schema.parity import ORACLE, ParityResult
from bench.schema.run import Run, Workload

SAME = 1e-6  # as a share of a distance: float64 sums in another order lie a thousand times below
REDUCED_EPS = 2.0**-8  # spacing of bfloat16, the coarsest arithmetic on offer
DAMAGED = "the report was changed or is damaged, or another version judged it"


def require_as_recorded(report: NamedReport, common: StoredReferences) -> list[ParityResult]:
    """Returns the report's parity, worked out again from its predictions.

    Args:
        report: any.
        common: references with all of its seeds. Only their early stages are used, which are the same for every
            report; the rest is the report's own.

    Raises:
        BenchError: a test RMSE or a record of parity is not what the predictions give.
    """
    name, of_report, arrays = report
    for run in of_report.runs:
        if run.test_rmse is not None:
            _require_rmse(report, run, common.test)
    references = _own(report, common)
    epochs = of_report.workload.epochs
    try:
        found = trajectories(of_report.runs, arrays, own=judging_envelopes(of_report))
        # Versions that told nothing of the judge had thresholds without a cap.
        cap = CAP if any(result.judged_by for result in of_report.parity) else NO_CAP
        results = judge(found, references, common.test, epochs, cap)
    except KeyError as error:
        raise BenchError(f"{name} has no rounding envelope for stage {error}; {DAMAGED}") from error
    recorded = {(result.a, result.b, result.stage): result for result in of_report.parity}
    worked_out = {(result.a, result.b, result.stage): result for result in results}
    for a, b, stage in sorted(recorded.keys() ^ worked_out.keys()):
        raise BenchError(
            f"{name} records {'parity' if (a, b, stage) in recorded else 'no parity'} of {a} and {b} at {stage}, "
            f"and its predictions {'do not' if (a, b, stage) in recorded else 'do'}; {DAMAGED}"
        )
    for key, result in worked_out.items():
        if not _same(recorded[key], result, references, common.test, epochs):
            raise BenchError(
                f"{name} records {_figures(recorded[key])} for {result.a} and {result.b} at {result.stage}, "
                f"and its predictions give {_figures(result)}; {DAMAGED}"
            )
    return results


def _own(report: NamedReport, common: StoredReferences) -> dict[int, Reference]:
    found = {}
    for envelope in report.report.envelopes:
        seed, shared = envelope.seed, common.references[envelope.seed]
        late = {name: late_values(report.arrays, name, seed) for name in (ORACLE, *shared.variants)}
        found[seed] = Reference(
            envelope.stages,
            envelope.bias_step,
            {**shared.oracle, **late[ORACLE]},
            {name: {**values, **late[name]} for name, values in shared.variants.items() if late[name]},
        )
    return found


def _require_rmse(report: NamedReport, run: Run, test: TestPart) -> None:
    workload = report.report.workload
    predictions = report.arrays.get(key_of(run, f"epoch {workload.epochs}"))
    who = f"{run.cell} process {run.process}, seed {run.seed}"
    if predictions is None or predictions.shape != test.label.shape:
        raise BenchError(f"{report.name}: predictions.npz lacks those of {who}; {DAMAGED}")
    if workload.num_test != test.label.size or run.test_rmse is None:
        return
    rmse, _ = distance(predictions, test.label)
    largest = float(np.max(np.abs(predictions)))
    if not abs(rmse - run.test_rmse) <= rmse_rounding(rmse, largest, workload, str(run.cell)):
        raise BenchError(
            f"{report.name} records test RMSE {run.test_rmse:.7f} for {who}, and its predictions give {rmse:.7f}; "
            f"{DAMAGED}"
        )


def rmse_rounding(rmse: float, largest: float, workload: Workload, cell: str) -> float:
    """Returns by how much Keras's test RMSE may differ from that of the stored predictions.

    Two things make a difference, and `eps` is float32's relative spacing:

    - Keras adds the squares in float32, batch after batch. An addition rounds the running sum evenly within eps / 2 of
      itself, a standard deviation of eps / (2 sqrt(3)). Over all batches, while the sum grows from nothing, that makes
      eps / 6 · sqrt(batches), and the root halves it. 2 eps · rmse · sqrt(batches) is far outside that, and leaves room
      for the sums inside the batches, whose rounding is of the same kind.
    - `evaluate` and `predict` are two compiled functions, which may round each prediction differently: by a few
      spacings, of bfloat16's in reduced precision. An RMSE moves by no more than the predictions do (triangle
      inequality).

    Args:
        rmse: of the stored predictions.
        largest: of |prediction|.
        workload: of the report.
        cell: the cell's name, which tells its precision.
    """
    batches = math.ceil(workload.num_test / workload.batch_size)
    spacing = REDUCED_EPS if is_reduced(cell) else FLOAT32_EPS
    return 2 * FLOAT32_EPS * rmse * math.sqrt(batches) + 2 * spacing * largest


def _same(
    recorded: ParityResult, result: ParityResult, references: Mapping[int, Reference], test: TestPart, epochs: int
) -> bool:
    """Compares distances as shares of their envelopes.

    Of several seeds, the record is the one with the largest share; which one that is may turn on a rounding, the
    share itself moves no more than the distances do.
    """
    seeds = recorded.seed, result.seed
    if not _follows(recorded) or any(seed not in references for seed in seeds):
        return False
    if recorded.rms is None or result.rms is None:
        return recorded.rms is result.rms
    if recorded.seed == result.seed and abs(recorded.envelope - result.envelope) > SAME * result.envelope:
        return False
    # Of two verdicts that differ, both follow from shares next to 1.
    if recorded.verdict == result.verdict and recorded.known != result.known:
        return False
    share, now = recorded.rms / recorded.envelope, result.rms / result.envelope
    if abs(share - now) <= SAME * now:
        return True
    rounding = max(_stored_rounding(result, references[seed], test, epochs) for seed in seeds if seed is not None)
    return abs(share - now) <= SAME * now + rounding / min(recorded.envelope, result.envelope)


def _follows(recorded: ParityResult) -> bool:
    """Returns whether a record's verdict is what its own figures say."""
    if recorded.envelope <= 0:
        return False
    within = recorded.rms is not None and recorded.rms <= recorded.envelope
    return recorded.verdict == ("within" if within else "outside") and not (within and recorded.known)


def _stored_rounding(result: ParityResult, reference: Reference, test: TestPart, epochs: int) -> float:
    """Returns by how much a distance to the oracle changes since its late values are stored in float32.

    A value is rounded by at most half a spacing, and a distance moves by no more than the values do. A ranking changes
    only where two items of one user tie after rounding: of a user with P pairs of items of which T tie, tau-b moves by
    up to T / P in its numerator and as much in its denominator (twice that is allowed, since pairs may tie in the other
    training too), and the share of the ten best by a tenth a tie. Early stages are worked out again in float64, where
    another processor's sums differ far below float32's spacing.
    """
    if result.b != ORACLE:
        return 0.0
    if result.stage in (TAU, TOP_10):
        return _rounding_of_rankings(result.stage, Rankings.of(reference.oracle[f"epoch {epochs}"], test.index))
    if result.stage == "rmse":
        return FLOAT32_EPS / 2 * float(np.max(np.abs(reference.oracle[f"epoch {epochs}"])))
    size = float(np.max(np.abs(reference.oracle[result.stage])))
    late = result.stage.startswith("epoch ") or result.stage == "training rmse"
    return FLOAT32_EPS * size * (0.5 if late else SAME)


def _rounding_of_rankings(stage: str, rankings: Rankings) -> float:
    pairs = np.diff(rankings.index.bounds, append=rankings.signs.size)
    ties = pairs - rankings.untied
    if stage == TAU:
        return float(4 * np.mean(ties / pairs))
    return float(np.sum(ties) / np.count_nonzero(rankings.best))


def _figures(result: ParityResult) -> str:
    rms = "no finite distance" if result.rms is None else f"rms {result.rms:.4g} (envelope {result.envelope:.4g})"
    return f"{rms}, {result.verdict}{f', known as {result.known}' if result.known else ''}"
