from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable

import msgspec
import pytest

from bench.comparison.markdown import as_markdown
from bench.comparison.records import Comparison
from bench.comparison.reports import compare_reports
from bench.comparison.table import render
from bench.comparison.words import as_json
from bench.export.junit import comparison_as_junit
from bench.schema.machine import Conditions
from bench.schema.report import Report
from bench.text.console import LastingConsole

pytestmark = pytest.mark.backend_free

MakeReport = Callable[..., Report]

BASE = {"jax": (1.0, 1.01, 0.99)}
HUGE = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
HUGE_WORDS = "GLIBC_TUNABLES unset -> glibc.malloc.hugetlb=1"


def shown(comparison: Comparison) -> str:
    console = LastingConsole(file=io.StringIO(), width=2000)
    console.print(render(comparison))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def with_machine(report: Report, **facts: object) -> Report:
    return msgspec.structs.replace(report, machine=msgspec.structs.replace(report.machine, **facts))


def with_software(report: Report, **facts: object) -> Report:
    return msgspec.structs.replace(report, software=msgspec.structs.replace(report.software, **facts))


def test_a_variable_that_one_side_has_is_named_in_every_form(make_report: MakeReport) -> None:
    """As in docs/upgrade-gate.md: the same Python, started by a script that sets one."""
    comparison = compare_reports(make_report(BASE), make_report(BASE, environment=HUGE))
    assert comparison.changes == [HUGE_WORDS]
    assert f"Changed: {HUGE_WORDS}\n" in shown(comparison)
    markdown = as_markdown(comparison).replace("&#95;", "_").replace("&gt;", ">")
    assert "Changed" in markdown
    assert "GLIBC_TUNABLES unset" in markdown
    assert json.loads(json.dumps(as_json(comparison)))["changes"] == [HUGE_WORDS]
    properties = ET.fromstring(comparison_as_junit(comparison, "x")).iter("property")
    assert {each.attrib["name"]: each.attrib["value"] for each in properties}["changes"] == HUGE_WORDS
    back = compare_reports(make_report(BASE, environment=HUGE), make_report(BASE, environment={"GLIBC_TUNABLES": ""}))
    assert back.changes == ["GLIBC_TUNABLES glibc.malloc.hugetlb=1 -> empty"]


def test_the_likelier_cause_comes_first(make_report: MakeReport) -> None:
    base = make_report(BASE, gpus=["NVIDIA H100"], packages={"keras": "3.15.1", "nvidia-cublas-cu12": "12.4"})
    new = make_report(BASE, gpus=["NVIDIA H100"], packages={"keras": "3.16.0", "nvidia-cublas-cu12": "12.8"},
                      environment=HUGE)  # fmt: skip
    gpus = [msgspec.structs.replace(gpu, driver="560.35") for gpu in new.machine.gpus]
    new = with_machine(new, gpus=gpus, system="Linux 6.8.0", governor="powersave", virtual="kvm, docker")
    new = with_software(new, git_commit="89abcdef0123", git_dirty=True)
    pages = [
        msgspec.structs.replace(report, conditions=Conditions(transparent_hugepages=mode))
        for report, mode in ((base, "madvise"), (new, "always"))
    ]
    comparison = compare_reports(*pages)
    assert comparison.not_comparable is None
    assert comparison.changes == [
        "keras 3.15.1 -> 3.16.0",
        HUGE_WORDS,
        "nvidia-cublas-cu12 12.4 -> 12.8",
        "GPU driver 550.54 -> 560.35",
        "harness commit 0123abc -> 89abcde-dirty",
        "system Linux 6.1.0 -> Linux 6.8.0",
        "transparent huge pages madvise -> always",
        "frequency governor unknown -> powersave",
        "hypervisor or container kvm -> kvm and docker",
    ]


def test_what_is_not_known_of_a_side_is_no_change(make_report: MakeReport) -> None:
    """Of a measurement that was cut off, and of the same commit with other changes."""
    base = with_software(make_report(BASE), git_dirty=True)
    new = msgspec.structs.replace(base, conditions=Conditions(transparent_hugepages="always"))
    assert compare_reports(base, new).changes == []
    dirty = compare_reports(make_report(BASE), base).changes
    assert dirty == ["harness commit 0123abc -> 0123abc-dirty"]
    assert compare_reports(with_software(base, git_commit=None), base).changes == [
        "harness commit unknown -> 0123abc-dirty"
    ]


def test_what_keeps_two_from_being_compared_is_reported_once(make_report: MakeReport) -> None:
    """Threads and the kind of device set variables of their own."""
    threads = compare_reports(make_report(BASE), make_report(BASE, threads=1))
    assert "threads 2 -> 1" in (threads.not_comparable or "")
    assert threads.changes == []
    on_gpu = {"CUDA_VISIBLE_DEVICES": "0", "JAX_PLATFORMS": "cuda,cpu"}
    gpu = make_report({("jax", "gpu"): (0.3, 0.31, 0.3)}, gpus=["NVIDIA H100"], environment=on_gpu)
    cpu = make_report(BASE, environment={"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"})
    other = compare_reports(cpu, gpu)
    assert "gpus none -> NVIDIA H100" in (other.not_comparable or "")
    assert other.changes == []


def test_a_wrapper_that_sets_threads_or_platforms_is_reported(make_report: MakeReport) -> None:
    base = make_report(BASE, environment={"JAX_PLATFORMS": "cpu"})
    new = make_report(BASE, environment={"JAX_PLATFORMS": "", "OMP_NUM_THREADS": "1"})
    assert compare_reports(base, new).changes == ["JAX_PLATFORMS cpu -> empty", "OMP_NUM_THREADS 2 -> 1"]


def test_what_differs_in_every_run_is_left_out(make_report: MakeReport) -> None:
    base, new = (
        make_report(BASE, environment={"PYTHONHASHSEED": seed, "MOVIERANK_CACHE": f"/tmp/{seed}", "XLA_FLAGS": "--x"})
        for seed in ("1", "2")
    )
    assert compare_reports(base, new).changes == []


def test_of_long_values_what_differs_is_shown(make_report: MakeReport) -> None:
    flags = [f"--xla_some_flag_of_many_{number}=true" for number in range(20)]
    base = make_report(BASE, environment={"XLA_FLAGS": " ".join(flags)})
    flags[11] = "--xla_some_flag_of_many_11=false"
    new = make_report(BASE, environment={"XLA_FLAGS": " ".join(flags)})
    (change,) = compare_reports(base, new).changes
    before, after = change.removeprefix("XLA_FLAGS ").split(" -> ")
    assert "_11=true" in before
    assert "_11=false" in after
    assert max(len(before), len(after)) <= 60
    more = make_report(BASE, environment={"XLA_FLAGS": " ".join([*flags, "--xla_y"])})
    (change,) = compare_reports(new, more).changes
    assert change.endswith("19=true --xla_y")
    unlike = [make_report(BASE, environment={"LD_PRELOAD": f"/{'x' * 90}{end}.so"}) for end in "ab"]
    (change,) = compare_reports(*unlike).changes
    assert change == f"LD_PRELOAD …{'x' * 20}a.so -> …{'x' * 20}b.so"


def test_a_line_has_an_end_and_json_has_all(make_report: MakeReport) -> None:
    base, new = (make_report(BASE, packages={f"nvidia-{n:02}": v for n in range(30)}) for v in ("1", "2"))
    comparison = compare_reports(base, new)
    assert "nvidia-11 1 -> 2, 18 more (--json lists all)\n" in shown(comparison)
    assert len(as_json(comparison)["changes"]) == 30
