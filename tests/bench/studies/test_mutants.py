"""Planted faults under the current backend, on a workload of a few seconds, and what is said of them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from bench.commands import cli
from bench.errors import BenchError
from bench.schema.outcome import BAD_INPUT
from bench.studies.mutants.catalogue import FAULTS
from bench.studies.mutants.records import CleanTrainings, FaultResult, Mutants, StageRatio, worst
from bench.studies.mutants.run import Options, measure_mutants
from bench.studies.mutants.table import as_markdown, print_mutants, summary_lines
from bench.studies.mutants.trainings import MutantTrainings
from bench.studies.mutants.workload import Workload
from movierank.data.datasets import load_dataset
from movierank.data.splits import split_ratings

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
SMALL = "synthetic:80x60x13750"  # eleven batches of 1000
PLANTED = {
    "two users share a row": "forward",
    "epsilon 1e-8": "probe",
    "early batches swapped": "accumulators 10",
    "one epoch short": "epoch 2",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mutants, Path]:
    output = tmp_path_factory.mktemp("mutants") / "new" / "mutants.json"
    options = Options(
        backend=BACKEND, output=output, faults=tuple(PLANTED), clean=0, dataset=SMALL, epochs=2, threads=1
    )
    return measure_mutants(options, Console(file=io.StringIO())), output


def test_every_fault_is_outside_first_where_it_acts(measured: tuple[Mutants, Path]) -> None:
    result, _ = measured
    assert {fault.name: fault.first and fault.first.group for fault in result.faults} == PLANTED
    assert all(fault.error is None and fault.as_expected for fault in result.faults)
    assert result.as_expected


def test_nothing_is_outside_before_a_fault_acts_and_nothing_without_one(measured: tuple[Mutants, Path]) -> None:
    result, _ = measured
    (clean,) = result.clean
    assert (clean.trained_by, clean.trainings, clean.alarms) == (BACKEND, 1, [])
    assert 0 < max(stage.ratio for stage in clean.stages if stage.ratio is not None and stage.known is None) <= 1
    assert {stage.group for stage in clean.stages} >= {"loss", "weights 10", "epoch 2", "training rmse", "rmse"}


def test_the_result_is_on_disk(measured: tuple[Mutants, Path]) -> None:
    result, output = measured
    assert msgspec.json.decode(output.read_bytes(), type=Mutants) == result


def test_copies_of_the_oracle_that_made_no_envelope_are_within(tmp_path: Path) -> None:
    dataset = load_dataset(SMALL)
    trainings = MutantTrainings(
        Workload(
            backend=BACKEND,
            dataset=dataset,
            split=split_ratings(dataset, "0.8:42"),
            epochs=1,
            learning_rate=0.1,
            threads=1,
            timeout_s=60,
            worker_command=("false",),
            folder=tmp_path,
        )
    )
    trainings.add_reference((7, 1000))
    found = trainings.clean_copies((7, 1000), 4)
    assert (found.seed, found.trainings, found.flipped, found.alarms) == (7, 4, 2, [])
    assert all(0 < stage.ratio <= 1 for stage in found.stages if stage.group == "weights 10")


def test_all_faults_of_the_catalogue_can_be_planted_and_no_others() -> None:
    from bench.worker import faults

    assert faults.PLANTED.keys() == FAULTS.keys()
    with pytest.raises(ValueError, match="there is no fault 'typo'"):
        faults.plant("typo", None)


def test_a_fault_has_an_earliest_stage_or_a_reason_why_it_has_none() -> None:
    assert all(bool(fault.earliest) != bool(fault.invisible) for fault in FAULTS.values())
    visible = [name for name, fault in FAULTS.items() if fault.reason(BACKEND) is None]
    assert len(visible) >= 28
    assert len(FAULTS) - len(visible) >= 2


def stage(name: str, ratio: float | None, known: str | None = None) -> StageRatio:
    outside = ratio is None or ratio > 1
    return StageRatio(stage=name, ratio=ratio, verdict="outside" if outside else "within", known=known)


def fault(stages: list[StageRatio], **changed: Any) -> FaultResult:
    return FaultResult(
        **{
            "name": "epsilon 1e-8",
            "what": "epsilon is | 1e-8",
            "earliest": "probe",
            "batch_size": 1000,
            "seed": 0,
            "invisible": None,
            "stages": stages,
            "test_rmse": 0.25777,
            "clean_test_rmse": 0.25776,
            **changed,
        }
    )


CLEAN = [stage("forward", 0.4), stage("probe/bias1", 0.2), stage("epoch 1", 0.7)]
AT_ONCE = [stage("forward", 0.4), stage("probe/bias1", 7.0), stage("epoch 1", 0.7)]
EARLY = [stage("forward", 1.1), stage("probe/bias1", 7.0), stage("epoch 1", 0.7)]
LATE = [stage("forward", 0.4), stage("probe/bias1", 0.9), stage("epoch 1", None)]
KNOWN = [stage("forward", 0.4), stage("probe/bias1", 7.0, "tensorflow-indexed-slices"), stage("epoch 1", 0.7)]


@pytest.mark.parametrize(
    ("found", "as_expected"),
    [
        (fault(AT_ONCE), True),
        (fault(CLEAN), False),
        (fault(LATE), False),
        (fault(EARLY), False),
        (fault(KNOWN), False),
        (fault(AT_ONCE, error="killed"), False),
        (fault([], error="killed", invisible="too small"), False),
        (fault(CLEAN, invisible="too small"), True),
        (fault(KNOWN, invisible="it is what this backend does"), True),
        (fault(AT_ONCE, invisible="too small"), False),
    ],
)
def test_only_a_fault_found_where_it_can_be_or_an_invisible_one_that_is_not_is_as_expected(
    found: FaultResult, as_expected: bool
) -> None:
    assert found.as_expected is as_expected


def test_of_several_trainings_the_worst_is_kept_at_each_stage_and_not_finite_is_worst() -> None:
    assert [s.ratio for s in worst([CLEAN, EARLY, LATE])] == [1.1, 7.0, None]


@pytest.fixture
def make_result(make_report: Callable[..., Any]) -> Callable[..., Mutants]:
    def make(faults: list[FaultResult], alarms: list[StageRatio]) -> Mutants:
        report = make_report()
        return Mutants(
            created=report.created,
            machine=report.machine,
            software=report.software,
            backend="jax",
            dataset="100k",
            sha256="5f",
            split="tutorial",
            epochs=1,
            learning_rate=0.1,
            faults=faults,
            clean=[
                CleanTrainings(
                    trained_by="jax", seed=3, batch_size=1000, trainings=20, flipped=0, stages=CLEAN, alarms=alarms
                )
            ],
        )

    return make


def test_one_false_alarm_is_not_as_expected_and_is_told(make_result: Callable[..., Mutants]) -> None:
    assert make_result([fault(AT_ONCE)], []).as_expected
    result = make_result([fault(AT_ONCE)], [stage("weights 1/bias2", 1.4)])
    assert not result.as_expected
    assert summary_lines(result)[-2:] == [
        "20 trainings without a fault, false alarms: 1",
        "false alarm: jax, seed 3, weights 1/bias2: 1.4 × limit",
    ]


def test_the_table_tells_each_fault_in_a_line_of_eighty_columns(make_result: Callable[..., Mutants]) -> None:
    faults = [
        fault(AT_ONCE),
        fault(CLEAN, name="decaying accumulator"),
        fault(CLEAN, name="row 0", invisible="no user has id 0"),
        fault([], name="dropout", error="killed", test_rmse=None),
    ]
    console = Console(file=io.StringIO(), width=80)
    print_mutants(make_result(faults, []), console)
    printed = console.file.getvalue().splitlines()
    rows = [line.split() for line in printed]
    assert ["epsilon", "1e-8", "probe", "7", "0.25777", "·X·"] in rows
    assert ["decaying", "accumulator", "–", "0.25777", "···"] in rows
    assert ["row", "0", "invisible", "0.25777", "···"] in rows
    assert "1 of 3 faults found at the earliest stage where they can be seen" in printed
    assert "decaying accumulator: NOT FOUND; it can be seen at probe" in printed
    assert "dropout: the training broke off: killed" in printed
    assert "row 0: invisible: no user has id 0" in printed


def test_markdown_has_a_cell_for_every_fault_and_stage(make_result: Callable[..., Mutants]) -> None:
    lines = as_markdown(make_result([fault(AT_ONCE), fault(KNOWN), fault([], test_rmse=None)], [])).splitlines()
    assert [line.count("|") for line in lines[:5]] == [8] * 5
    assert "| 0.4 | **7** | 0.7 |" in lines[2]
    assert "| 0.4 | 7 (known) | 0.7 |" in lines[3]


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mutants", "--faults", "typo"]) == BAD_INPUT
    errors = capsys.readouterr().err
    assert "no fault 'typo'" in errors
    assert "epsilon 1e-8" in errors
    with pytest.raises(BenchError, match="--clean must be at least 0"):
        Options(backend="jax", output=Path("unused"), clean=-1)
