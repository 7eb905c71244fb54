"""Judge float32 copies of the oracle that took no part in its envelope, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np

from bench.parity.distances import TestPart
from bench.parity.judge import judge
from bench.parity.numpy_oracle import trained_copy
from bench.parity.numpy_process import EnvelopeRequest, read_reference, task_of
from bench.parity.rounding import nearest_flips
from bench.parity.rules import NumpyRules
from bench.parity.trainings import References, Trajectory
from bench.schema.cell import Cell
from bench.studies.mutants.records import CleanTrainings, ratios, worst
from bench.system.child import die_with_supervisor

FLOAT32_ORACLE = "float32 oracle"
STREAM = 4  # set apart from the envelope's streams, whose entropy is the seed alone


class CopiesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to train and judge.

    Attributes:
        reference: request of a reference that was measured already; its files are read.
        copies: how many; every second one has a relu open or close for one example in the first batch.
    """

    reference: EnvelopeRequest
    copies: int


def judge_copies(request: CopiesRequest) -> CleanTrainings:
    """Train the copies, and judge each by the reference."""
    asked = request.reference
    task = task_of(asked)
    reference: References = {(None, asked.seed): read_reference(asked.output)}
    rules = NumpyRules(test=TestPart.of(task.test.user_id, task.test.label), epochs=asked.epochs)
    flips = nearest_flips(task.weights, task.train.take(slice(asked.batch_size)), asked.runs)
    cell = Cell(backend="numpy", device="cpu", loop="oracle")
    judged = []
    for place, stream in enumerate(np.random.SeedSequence([asked.seed, STREAM]).spawn(request.copies)):
        values = trained_copy(task, stream, flips[place // 2 % len(flips)] if place % 2 else ())
        float32 = {stage: np.asarray(array, np.float32) for stage, array in values.items()}
        sides = rules.sides([Trajectory(cell, asked.seed, 0, float32)], reference)
        judged.append(ratios(judge(sides, rules)))
    return CleanTrainings(
        trained_by=FLOAT32_ORACLE,
        seed=asked.seed,
        batch_size=asked.batch_size,
        trainings=request.copies,
        flipped=request.copies // 2,
        stages=worst(judged),
        alarms=[stage for stages in judged for stage in stages if stage.alarms],
    )


def main(arguments: list[str]) -> int:
    """Carry out the request in the JSON file that is named first and write the answer to the second."""
    request, answer = map(Path, arguments)
    found = judge_copies(msgspec.json.decode(request.read_bytes(), type=CopiesRequest))
    answer.write_bytes(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    die_with_supervisor(sys.stderr.fileno())
    sys.exit(main(sys.argv[1:]))
