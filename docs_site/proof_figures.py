"""The figures of proofs from results/: `validate`, the mutants, `score`."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import numpy as np

from bench.comparison.drift import NONE, Drift, chain_of, without_common_sides
from bench.studies.mutants.records import FaultResult, Mutants
from bench.studies.mutants.table import as_markdown
from bench.studies.overhead_records import by_cell, in_percent
from bench.studies.overhead_records import stored as stored_overhead
from bench.studies.power import stored
from bench.studies.score.records import ScoreReport
from bench.studies.score.table import scaled
from bench.studies.validate.judged import Outcome, judge
from bench.studies.validate.run import Validation, judge_anew
from bench.text.numbers import three_digits, with_interval
from docs_site.blocks import Maker
from docs_site.tables import table

POOLED = (20, 40)  # processes a side
NOTICED = 0.001  # of RMSE


@functools.cache
def _validation(root: Path, name: str = "jax") -> Validation:
    # The trials are stored, and the verdicts follow from today's rules, as in `bench validate --judge`.
    return judge_anew(root / f"results/validation/{name}.json")


def _drift(result: Validation) -> Drift:
    if result.drift is None:
        raise ValueError("the stored validation has too few sides to estimate a drift")
    return result.drift


def validation(root: Path) -> str:
    """Return the verdicts on trials with a known answer, by the design of `versus` and of two reports."""
    together, apart = _validation(root, "jax-together"), _validation(root)
    pooled = [row for row in together.pooled if row.processes in POOLED]
    apart_from_each_other = without_common_sides([trial for trial in together.trials if trial.slowdown == 0])
    rows = [
        *(["both at once", *_said(row), f"{row.pytest_benchmark_fails:.0%}"] for row in together.outcomes),
        *(["both at once", *_said(row, trials=f"drawn from {len(apart_from_each_other)}"), ""] for row in pooled),
        *(["two reports", *_said(row), f"{row.pytest_benchmark_fails:.0%}"] for row in apart.outcomes),
    ]
    header = ("measured", "true change", "processes a side", "trials", "gate fails", "slower", "faster", "same",
              "undecided", "interval holds it", "pytest-benchmark's `median:5%` fails")  # fmt: skip
    return table(header, rows)


def _said(row: Outcome, trials: str | None = None) -> list[str]:
    return [
        f"+{row.slowdown:.0%}",
        str(row.processes),
        str(row.trials) if trials is None else trials,
        *(f"{share:.0%}" for share in row.shares),
    ]


def drift(root: Path) -> str:
    """Return the scatter of sides, and the effect of the allowance for it."""
    result = _validation(root)
    equal = result.outcomes[0]
    before = judge(result.trials, NONE)[0]
    process_sd = _process_sd(result)
    return (
        f"Of {equal.trials} trials of equal sides {equal.called_slower + equal.called_faster:.0%} were judged "
        f"different, and {equal.called_regression:.0%} failed the gate (`compare`'s exit code 1: surely more than 5 % "
        f"slower). pytest-benchmark's rule on one process of each side failed {equal.pytest_benchmark_fails:.0%}. "
        f"Sides scattered by {_drift(result).sd:.1%} beyond what their own processes explain "
        f"(processes: {process_sd:.1%}); "
        f"without an allowance for that, {before.called_slower + before.called_faster:.0%} of the equal sides would "
        "have been judged different."
    )


def drift_words(root: Path) -> str:
    """Return the scatter of sides whose rounds wait for the machine's usual state."""
    found = _drift(_validation(root))
    return (
        "With the state looked at, sides that `bench validate` measures one after the other on JAX scatter by "
        f"{found.sd:.1%} beyond what their processes explain ([{found.sides} sides](../results/validation/jax.json))."
    )


def _process_sd(result: Validation) -> float:
    sides = [np.log(side) for side in chain_of(result.trials)]
    return float(np.sqrt(np.mean([side.var(ddof=1) for side in sides])))


def coverage(root: Path) -> str:
    """Return how many intervals held the truth on simulated cells."""
    rows = [
        [str(row.processes), str(row.rounds), f"{row.process_sd:.0%}", f"{row.round_sd:.0%}", f"{row.coverage:.1%}"]
        for row in _validation(root).simulated
    ]
    return table(("processes", "rounds", "scatter of processes", "of rounds", "95 % interval holds the truth"), rows)


def stopped(root: Path) -> str:
    """Return how many intervals held the truth on simulated measurements that ended when they were narrow."""
    found = _validation(root).stopped
    rows = [[f"{row.pair_sd:.0%}", str(row.most), str(row.pairs), f"{row.coverage:.1%}"] for row in found]
    least = min(row.coverage for row in found)
    return (
        table(("scatter of pairs", "pairs at most", "pairs, median", "95 % interval holds the truth"), rows)
        + f"\n\n{found[0].measurements:,} measurements a row; the least is {least:.1%}."
    )


def power(root: Path) -> str:
    """Return the verdicts of whole runs of `versus`, with its defaults, on a known difference."""
    trials = stored(root / "results/validation/versus-jax.jsonl")
    rows = []
    for slowdown in sorted({trial.slowdown for trial in trials}):
        mine = [trial for trial in trials if trial.slowdown == slowdown]
        verdicts = [trial.verdict for trial in mine]
        shown = sorted((t.ratio, t.ci95) for t in mine if t.ratio is not None and t.ci95 is not None)
        rows.append(
            [
                f"+{slowdown:.0%}",
                str(len(mine)),
                *(str(verdicts.count(verdict)) for verdict in ("slower", "faster", "same", "undecided")),
                str(sum(trial.holds_truth for trial in mine)),
                "; ".join(f"{ratio:.3f} [{low:.3f}, {high:.3f}]" for ratio, (low, high) in shown),
                f"{min(trial.processes for trial in mine)} to {max(trial.processes for trial in mine)}",
            ]
        )
    header = ("true change", "trials", "slower", "faster", "same", "undecided", "interval holds it",
              "ratios [95 %]", "processes a side")  # fmt: skip
    return table(header, rows)


def overhead(root: Path) -> str:
    """Return the time that the harness adds to calls of each loop, and its step time beside that of bare calls."""
    measured = stored_overhead(root / "results/overhead.jsonl")
    rows = [
        [
            cell,
            str(len(times.bare_call_ms)),
            str(sum(each.cell == cell for each in measured)),
            in_percent(times.adds),
            "–" if times.clock_share is None else f"{times.clock_share:.3%}",
            in_percent(times.reports),
        ]
        for cell, times in by_cell(measured).items()
    ]
    return table(("cell", "blocks", "processes", "adds [95 %]", "clock alone", "reports [95 %]"), rows)


def _mutants(root: Path, backend: str) -> Mutants:
    return msgspec.json.decode((root / f"results/mutants/{backend}.json").read_bytes(), type=Mutants)


def mutants(root: Path) -> str:
    """Return a row for each backend: faults found and false alarms."""
    rows = []
    for backend in ("jax", "tensorflow", "torch"):
        result = _mutants(root, backend)
        visible = [fault for fault in result.faults if fault.invisible is None]
        found = sum(fault.as_expected for fault in visible)
        trainings = sum(block.trainings for block in result.clean)
        rows.append(
            [
                backend,
                f"{found} of {len(visible)}",
                str(len(result.faults) - len(visible)),
                f"{result.false_alarms} of {trainings}",
            ]
        )
    header = ("backend", "faults found, at the earliest stage", "planted though invisible",
              "false alarms in clean trainings")  # fmt: skip
    return table(header, rows)


def mutants_words(root: Path) -> str:
    """Return how many faults the final stages alone would have found on JAX, and the narrowest margins."""
    result = _mutants(root, "jax")
    visible = [fault for fault in result.faults if fault.invisible is None]
    by_rmse = sum(_outside(fault, "rmse") for fault in visible)
    by_predictions = sum(_outside(fault, f"epoch {result.epochs}") for fault in visible)
    small = sum(
        fault.test_rmse is not None and abs(fault.test_rmse - fault.clean_test_rmse) < NOTICED for fault in visible
    )
    narrow, next_narrow = sorted((_margin(fault), fault.name) for fault in visible)[:2]
    return (
        f"On JAX the final RMSE alone, judged by its own envelope, sees {by_rmse} of the {len(visible)}, and the "
        f"predictions after the last epoch {by_predictions}; {small} of the faults move the RMSE by less than "
        f"{NOTICED}. The narrowest margins at the stage that finds a fault are those of `{narrow[1]}` "
        f"({narrow[0]:.2g} times what rounding explains) and `{next_narrow[1]}` ({next_narrow[0]:.2g})."
    )


def _outside(fault: FaultResult, stage: str) -> bool:
    return any(each.stage == stage and each.verdict == "outside" for each in fault.stages)


def _margin(fault: FaultResult) -> float:
    """Return the ratio to its envelope of the group of stages that finds a fault."""
    first = next(each for each in fault.stages if each.verdict == "outside" and each.known is None)
    return max(each.ratio or 0.0 for each in fault.stages if each.group == first.group)


def mutants_matrix(root: Path) -> str:
    """Return the largest distance of each stage for each fault, on JAX."""
    return as_markdown(_mutants(root, "jax")).rstrip()


def scoring(size: str, root: Path) -> str:
    """Return a row for each backend that scored."""
    report = msgspec.json.decode((root / f"results/scoring/{size}.json").read_bytes(), type=ScoreReport)
    rows = [
        [
            line.cell.partition("/")[0],
            with_interval(line.pairs_per_s / 1e6, scaled(line.pairs_ci95)),
            three_digits(line.users_per_s),
            with_interval(line.times_floor, line.times_floor_ci95),
            three_digits(line.times_best_floor),
            three_digits(line.gain),
        ]
        for line in report.throughput
    ]
    return table(("backend", "M pairs/s [95 %]", "users/s", "× floor [95 %]", "× best", "gain"), rows)


MAKERS: dict[str, Maker] = {
    "validation": validation,
    "drift": drift,
    "drift-words": drift_words,
    "coverage": coverage,
    "stopped": stopped,
    "power": power,
    "overhead": overhead,
    "mutants": mutants,
    "mutants-words": mutants_words,
    "mutants-matrix": mutants_matrix,
    "scoring": functools.partial(scoring, "943x1682"),
    "scoring-large": functools.partial(scoring, "10000x100000"),
}
