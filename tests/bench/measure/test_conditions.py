from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.measure.conditions import noting_conditions
from bench.measure.recorder import Recorder
from bench.report.file import load_report
from bench.schema.machine import Conditions
from bench.schema.report import Report
from bench.system.snapshot import Snapshot, take_snapshot

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]


@pytest.fixture
def before() -> Snapshot:
    """A minute and more ago, others were busy."""
    now = take_snapshot()
    past = replace(now, monotonic_s=now.monotonic_s - 100.0, others_cpu_percent=80.0)
    return replace(past, load_1min=0.0, swap_used_mib=0.0, memory_left_mib=6000.0, cpus=())


def noted(folder: Path) -> Conditions:
    found = load_report(folder).conditions
    assert found is not None
    return found


def test_a_report_tells_what_was_so_before_it_began_and_then_what_was_so_until_the_last_look(
    make_report: MakeReport, tmp_path: Path, before: Snapshot
) -> None:
    whole = make_report()
    recorder = Recorder(tmp_path, msgspec.structs.replace(whole, runs=[]), {})
    with noting_conditions([recorder], before) as look:
        first = noted(tmp_path)
        assert (first.others_cpu_percent, first.others_cpu_run_percent) == (80.0, None)
        assert first.warnings == [
            "other processes used 80 % of a core just before the start; `top` names them, stop them"
        ]
        recorder.put(whole.runs[0])
        look()
        assert noted(tmp_path).others_cpu_run_percent is not None
        recorder.put(whole.runs[1])
    assert noted(tmp_path).others_cpu_run_percent is not None
    assert len(load_report(tmp_path).runs) == 2


def test_a_part_in_which_nothing_was_timed_disturbs_nothing(
    make_report: MakeReport, tmp_path: Path, before: Snapshot
) -> None:
    """Neither one that was cut off before its first round nor a resumed run that finds all done."""
    whole = make_report()
    calm = Conditions(others_cpu_run_percent=1.0, warnings=["of the first part"])
    done = Recorder(tmp_path, msgspec.structs.replace(whole, conditions=calm), {})
    with noting_conditions([done], before):
        assert noted(tmp_path).others_cpu_run_percent == 80.0  # it may still be killed while it measures
    assert noted(tmp_path) == calm

    begun = Recorder(tmp_path, msgspec.structs.replace(whole, runs=[], conditions=calm), {})
    with noting_conditions([begun], replace(before, others_cpu_percent=0.0)):
        begun.put(whole.runs[0])
    assert "of the first part" not in noted(tmp_path).warnings


def test_both_of_two_reports_tell_it(make_report: MakeReport, tmp_path: Path, before: Snapshot) -> None:
    folders = [tmp_path / side for side in ("base", "new")]
    for folder in folders:
        folder.mkdir()
    recorders = [Recorder(folder, make_report(), {}) for folder in folders]
    with noting_conditions(recorders, before) as look:
        look()
        assert noted(folders[0]) == noted(folders[1])
