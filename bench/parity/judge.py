"""Whether trainings from the same initial weights are still the same model: a pure judgement of what they left behind.

Every cell is compared with the float64 oracle and with every other cell of the same seed, at each stage that both
have (`bench.parity.stages`). A comparison is `within` when the distance is no more than the rounding envelope explains
(`bench.parity.thresholds`), else `outside`; values that are not finite are `outside`.

A pair of cells has one record a stage, and where it rests on several seeds or processes the record is the worst of
them: any comparison that is not finite, else one that is `outside` and not explained, else the one with the largest
distance relative to its own envelope. Every process of one cell is compared with every process of the other that
trained the same seed. A cell of reduced precision is compared with the oracle and with its own float32 cell alone, and
does not count among the comparisons that share the rate of false alarms: it is other arithmetic, and would only widen
what the rest is allowed.

A deviation that is understood has an oracle of its own (`movierank.oracle.KNOWN_VARIANTS`). An `outside` is marked
`known` when nothing is left of it once what the deviations of the two cells do, the difference between their oracles,
is taken off. What is left is judged by the same envelope, so a known deviation hides no other fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.errors import BenchError
from bench.parity.distances import Distance, Float64Array, TestPart, Training, distances, size_of
from bench.parity.numpy_oracle import Reference
from bench.parity.rounding import FLOAT32_EPS
from bench.parity.stages import Values
from bench.parity.thresholds import CAP, Limit, Limits
from bench.parity.trainings import Trajectory, known_deviation
from bench.schema.cell import full_name, is_reduced
from bench.schema.parity import ORACLE, ParityResult, StageEnvelope


@dataclass(frozen=True)
class Side:
    """One of two trainings that are compared.

    Attributes:
        name: of the cell; `oracle` for the float64 oracle.
        training: its values.
        corrected: the same without what is known of the cell: less its deviation's oracle, plus the oracle.
        known: name of that deviation; None where nothing is known of it.
        envelope: as in `Trajectory`.
    """

    name: str
    training: Training
    corrected: Training
    known: str | None = None
    envelope: Sequence[StageEnvelope] = ()


@dataclass(frozen=True)
class Judged:
    """Two trainings at one stage.

    Attributes:
        result: the record.
        badness: the larger the worse; orders the comparisons of one pair and stage.
    """

    result: ParityResult
    badness: tuple[bool, bool, float]


def judge(
    trajectories: Sequence[Trajectory],
    references: Mapping[int, Reference],
    test: TestPart,
    epochs: int,
    cap: float = CAP,
) -> list[ParityResult]:
    """Compares all trainings and returns one record a pair and stage.

    Args:
        trajectories: of all cells, seeds and processes.
        references: by seed of the initial weights. Trainings of another seed are not judged; with each backend's
            own initial weights there are none, and the result is empty.
        test: what the stored predictions are predictions of.
        epochs: of the training.
        cap: as for `bench.parity.thresholds.thresholds`.

    Returns:
        For each cell its comparison with the oracle, then for each pair of cells theirs, in the order of the
        cells' names; the stages in the order of training. `a` is the lower cell of a pair.

    Raises:
        BenchError: an array has another shape than the oracle's.
    """
    pairs = [
        (pair, seed, distances(pair[0].training, pair[1].training))
        for seed in sorted(references)
        for pair in _pairs(trajectories, seed, references[seed], test, epochs)
    ]
    if not pairs:
        return []
    in_full = [len(apart) for pair, _, apart in pairs if not any(is_reduced(side.name) for side in pair)]
    comparisons = sum(in_full) or sum(len(apart) for _, _, apart in pairs)
    limits = Limits(references, comparisons, cap)
    worst: dict[tuple[str, str, str], Judged] = {}
    for (a, b), seed, apart in pairs:
        own = {side.name: side.envelope for side in (a, b) if side.name != ORACLE}
        at_most = {stage: limits.of(seed, stage, own) for stage in apart}
        known, left = _explained(a, b) if any(d.rms > at_most[s].rms for s, d in apart.items()) else (None, {})
        for stage, at_stage in apart.items():
            limit = at_most[stage]
            explained = known if stage in left and left[stage].finite and left[stage].rms <= limit.rms else None
            judged = judged_at((a.name, b.name), seed, stage, at_stage, limit, explained, references[seed].oracle)
            key = (a.name, b.name, stage)
            if key not in worst or judged.badness > worst[key].badness:
                worst[key] = judged
    stages = dict.fromkeys(at.stage for reference in references.values() for at in reference.envelope)
    order = {stage: place for place, stage in enumerate(stages)}
    keys = sorted(worst, key=lambda key: (key[1] != ORACLE, key[0], key[1], order[key[2]]))
    return [worst[key].result for key in keys]


def _pairs(
    trajectories: Sequence[Trajectory], seed: int, reference: Reference, test: TestPart, epochs: int
) -> list[tuple[Side, Side]]:
    exact = Training.of(reference.oracle, test, epochs)
    oracle = Side(ORACLE, exact, exact)
    # Sorted by name, so that the order in which trainings arrive changes nothing.
    found = sorted((t for t in trajectories if t.seed == seed), key=lambda trajectory: trajectory.label)
    sides = [_side(trajectory, reference, test, epochs) for trajectory in found]
    return [(side, oracle) for side in sides] + [
        pair for pair in combinations(sides, 2) if belong_together(pair[0].name, pair[1].name)
    ]


def belong_together(a: str, b: str) -> bool:
    """Returns whether two cells, by name, are compared: two of full precision, or one beside its own reduced one."""
    if a == b:
        return False
    return full_name(a) == full_name(b) or not (is_reduced(a) or is_reduced(b))


def _side(trajectory: Trajectory, reference: Reference, test: TestPart, epochs: int) -> Side:
    for stage, values in trajectory.values.items():
        expected = reference.oracle.get(stage)
        if expected is not None and expected.shape != values.shape:
            raise BenchError(
                f"{trajectory.label} has {values.size} values at {stage}, the oracle {expected.size}; "
                "measure both on the same data"
            )
    training = Training.of(trajectory.values, test, epochs)
    known = known_deviation(trajectory.cell)
    if known is None or known not in reference.variants:
        return Side(trajectory.label, training, training, envelope=trajectory.envelope)
    variant = reference.variants[known]
    corrected = {
        stage: values - variant[stage] + reference.oracle[stage]
        for stage, values in trajectory.values.items()
        if stage in variant
    }
    return Side(trajectory.label, training, Training.of(corrected, test, epochs), known, trajectory.envelope)


def judged_at(
    names: tuple[str, str],
    seed: int,
    stage: str,
    apart: Distance,
    limit: Limit,
    explained: str | None,
    oracle: Values | Mapping[str, Float64Array],
) -> Judged:
    """Returns the judgement of one distance.

    Args:
        names: of the two trainings.
        seed: of their initial weights.
        stage: at which they were compared.
        apart: how far they are.
        limit: what rounding explains.
        explained: the known deviation that explains an `outside`; None for none.
        oracle: the oracle's values, whose size a distance is beside.
    """
    within = apart.finite and apart.rms <= limit.rms
    known = None if within else explained
    result = ParityResult(
        a=names[0],
        b=names[1],
        stage=stage,
        rms=apart.rms if apart.finite else None,
        max_abs=apart.max_abs if apart.finite else None,
        envelope=limit.rms,
        verdict="within" if within else "outside",
        known=known,
        ulps=_ulps(apart, stage, oracle),
        where=None if apart.where is None else list(apart.where),
        seed=seed,
        judged_by=limit.judged_by,
    )
    share = apart.rms / limit.rms if apart.finite else 0.0
    return Judged(result, (not apart.finite, not within and known is None, share))


def _explained(a: Side, b: Side) -> tuple[str | None, dict[str, Distance]]:
    """Returns the names of the deviations that are known of the two, and how far apart they are without them."""
    names = " and ".join(dict.fromkeys(side.known for side in (a, b) if side.known))
    return (names, distances(a.corrected, b.corrected)) if names else (None, {})


def _ulps(apart: Distance, stage: str, oracle: Values | Mapping[str, Float64Array]) -> float | None:
    """Returns the distance in float32 spacings: up to the first step, rounding of single values is all there is."""
    if stage not in oracle or not apart.finite or not (stage in ("forward", "loss") or stage.startswith("gradient/")):
        return None
    size = size_of(oracle, stage)
    return apart.rms / (FLOAT32_EPS * size) if size > 0 else None
