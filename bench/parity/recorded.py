"""Check that what a report records of its trainings is what its stored predictions give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.errors import BenchError
from bench.parity.distances import TAU, TOP_10, TestPart, distance
from bench.parity.judge import judge
from bench.parity.rankings import Rankings
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.rules import Rules
from bench.parity.thresholds import CAP, NO_CAP
from bench.parity.trainings import References, Side, trajectories
from bench.report.predictions import NamedReport, key_of
from bench.schema.cell import is_reduced
from bench.schema.parity import ORACLE, ParityResult
from bench.schema.run import Run, Workload

SAME = 1e-6  # as a share of a distance: float64 sums in another order lie a thousand times below
REDUCED_EPS = 2.0**-8  # spacing of bfloat16, the coarsest arithmetic on offer
DAMAGED = "the report was changed or is damaged, or another version judged it"


def require_as_recorded(report: NamedReport, rules: Rules, references: References) -> list[ParityResult]:
    """Return the report's parity, judged again from its predictions.

    Args:
        report: report of either workload.
        rules: rules of its workload.
        references: references of this report.

    Raises:
        BenchError: a test score or a record of parity is not what the predictions give.
    """
    name, content, arrays = report
    for run in content.runs:
        if run.test_rmse is not None and rules.test is not None:
            _require_rmse(report, run, rules.test)
        if run.test_metric is not None:
            _require_metric(report, run)
    # Reports that do not name the judge are of versions whose thresholds had no cap.
    rules = replace(rules, cap=CAP if any(result.judged_by for result in content.parity) else NO_CAP)
    sides = rules.sides(trajectories(content, arrays), references)
    try:
        results = judge(sides, rules)
    except KeyError as error:
        raise BenchError(f"{name} has no rounding envelope for stage {error}; {DAMAGED}") from error
    recorded = {(result.a, result.b, result.stage): result for result in content.parity}
    judged = {(result.a, result.b, result.stage): result for result in results}
    for a, b, stage in sorted(recorded.keys() ^ judged.keys()):
        raise BenchError(
            f"{name} records {'parity' if (a, b, stage) in recorded else 'no parity'} of {a} and {b} at {stage}, "
            f"and its predictions {'do not' if (a, b, stage) in recorded else 'do'}; {DAMAGED}"
        )
    oracles: dict[tuple[str, int | None], Side | None] = {(side.name, side.seed): side.oracle for side in sides}
    for key, result in judged.items():
        if not _same(recorded[key], result, oracles):
            raise BenchError(
                f"{name} records {_figures(recorded[key])} for {result.a} and {result.b} at {result.stage}, "
                f"and its predictions give {_figures(result)}; {DAMAGED}"
            )
    return results


def _require_metric(report: NamedReport, run: Run) -> None:
    stage = f"test {report.report.workload.metric}"
    values = report.arrays.get(key_of(run, stage))
    if values is not None and not math.isclose(run.test_metric or 0.0, float(values[0]), rel_tol=SAME):
        raise BenchError(
            f"{report.name} records a {stage} of {run.test_metric:.6g} for process {run.process} of {run.cell}, "
            f"and its predictions.npz {values[0]:.6g}; {DAMAGED}"
        )


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
    """Return by how much Keras's test RMSE may differ from that of the stored predictions.

    Two things make a difference, and `eps` is float32's relative spacing:

    - Keras adds the squares in float32, batch after batch. An addition rounds the running sum evenly within eps / 2 of
      itself, a standard deviation of eps / (2 sqrt(3)). Over all batches, while the sum grows from nothing, that makes
      eps / 6 · sqrt(batches), and the root halves it. 2 eps · rmse · sqrt(batches) is far outside that, and leaves room
      for the sums inside the batches, whose rounding is of the same kind.
    - `evaluate` and `predict` are two compiled functions, which may round each prediction differently: by a few
      spacings, of bfloat16's in reduced precision. An RMSE moves by no more than the predictions do (triangle
      inequality).

    Args:
        rmse: RMSE of the stored predictions.
        largest: largest |prediction|.
        workload: workload of the report.
        cell: name of the cell, which gives its precision.
    """
    batches = math.ceil(workload.num_test / workload.batch_size)
    spacing = REDUCED_EPS if is_reduced(cell) else FLOAT32_EPS
    return 2 * FLOAT32_EPS * rmse * math.sqrt(batches) + 2 * spacing * largest


def _same(recorded: ParityResult, result: ParityResult, oracles: Mapping[tuple[str, int | None], Side | None]) -> bool:
    """Compare distances as shares of their envelopes.

    Of several seeds, the record is the one with the largest share; which one that is may turn on a rounding, the
    share itself moves no more than the distances do.
    """
    keys = [(row.a, row.seed) for row in (recorded, result)]
    if not _follows(recorded) or any(key not in oracles for key in keys):
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
    if result.b != ORACLE:
        return False
    rounding = max(_stored_rounding(result.stage, oracle) for key in keys if (oracle := oracles[key]) is not None)
    return abs(share - now) <= SAME * now + rounding / min(recorded.envelope, result.envelope)


def _follows(recorded: ParityResult) -> bool:
    """Return whether a record's verdict is what its own figures say."""
    if recorded.envelope <= 0:
        return False
    within = recorded.rms is not None and recorded.rms <= recorded.envelope
    return recorded.verdict == ("within" if within else "outside") and not (within and recorded.known)


def _stored_rounding(stage: str, oracle: Side) -> float:
    """Return by how much a distance to the oracle changes since its late values are stored in float32.

    A value is rounded by at most half a spacing, and a distance moves by no more than the values do. A ranking changes
    only where two items of one user tie after rounding: of a user with P pairs of items of which T tie, tau-b moves by
    up to T / P in its numerator and as much in its denominator (twice that is allowed, since pairs may tie in the other
    training too), and the share of the ten best by a tenth a tie. Early stages are computed again in float64, where
    another processor's sums differ far below float32's spacing; those of a custom workload are stored in float64.
    """
    training = oracle.training
    if stage in (TAU, TOP_10):
        return 0.0 if training.rankings is None else _rounding_of_rankings(stage, training.rankings)
    values = training.values[f"epoch {training.epochs}" if stage == "rmse" else stage]
    stored = oracle.reference.oracle or {}
    late = stage == "rmse" or stored[stage].dtype == np.float32
    return FLOAT32_EPS * float(np.max(np.abs(values))) * (0.5 if late else SAME)


def _rounding_of_rankings(stage: str, rankings: Rankings) -> float:
    pairs = np.diff(rankings.index.bounds, append=rankings.signs.size)
    ties = pairs - rankings.untied
    if stage == TAU:
        return float(4 * np.mean(ties / pairs))
    return float(np.sum(ties) / np.count_nonzero(rankings.best))


def _figures(result: ParityResult) -> str:
    rms = "no finite distance" if result.rms is None else f"rms {result.rms:.4g} (envelope {result.envelope:.4g})"
    return f"{rms}, {result.verdict}{f', known as {result.known}' if result.known else ''}"
