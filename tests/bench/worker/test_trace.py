"""Traces and what follows from them, without a framework."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.errors import BenchError
from bench.schema.cell import Cell
from bench.schema.profile import GROUPS, Profile
from bench.text.profile import print_profiles
from bench.worker.profiler.groups import group_of_tensorflow, group_of_torch
from bench.worker.profiler.summary import summarise_trace
from bench.worker.profiler.torch_spans import spans_of as torch_spans
from bench.worker.profiler.trace import ROUND, Span, Trace, read_trace, write_trace

pytestmark = pytest.mark.backend_free

CELL = Cell(backend="jax", device="cpu", loop="fit")


def span(name: str, start: float, end: float, group: str | None = "other operations", lane: str = "a") -> Span:
    return Span(name, lane, float(start), float(end), group)  # type: ignore[arg-type]  # a literal, from a test's text


def summary(*spans: Span, steps: int = 1, start: float = 0, end: float = 100):
    return summarise_trace(Trace([span(ROUND, start, end, None, "main"), *spans], steps, {}), CELL, 0, "x.json.gz")


def shares(profile) -> dict[str, float]:
    assert sum(share.share for share in profile.shares) == pytest.approx(1)
    return {share.group: pytest.approx(share.share) for share in profile.shares}


def test_what_no_event_covers_is_python_or_waiting():
    profile = summary(span("mm", 10, 40, "matrix products"), span("x", 60, 80), steps=4)
    assert shares(profile) == {"python or waiting": 0.5, "matrix products": 0.3, "other operations": 0.2}
    assert profile.step_ms == pytest.approx(0.025)
    assert profile.operations_per_step == 0.5
    assert [(one.name, one.share, one.calls_per_step) for one in profile.operations] == [
        ("mm", pytest.approx(0.3), 0.25),
        ("x", pytest.approx(0.2), 0.25),
    ]


def test_operations_that_run_at_once_share_the_time():
    profile = summary(span("a", 0, 100, "matrix products"), span("b", 50, 100, "embeddings", lane="b"))
    assert shares(profile) == {"matrix products": 0.75, "embeddings": 0.25}


def test_an_operation_that_calls_another_has_only_its_own_time():
    profile = summary(span("outer", 0, 100), span("inner", 20, 80, "memory copies"))
    assert shares(profile) == {"memory copies": 0.6, "other operations": 0.4}


def test_an_operation_has_the_time_of_the_runtime_that_it_calls():
    profile = summary(span("mm", 0, 100, "matrix products"), span("ParallelFor", 20, 80, "runtime"))
    assert shares(profile) == {"matrix products": 1}


def test_what_runs_beside_an_operation_costs_nothing():
    profile = summary(span("mm", 0, 60, "matrix products"), span("dispatch", 0, 80, "runtime", lane="b"))
    assert shares(profile) == {"matrix products": 0.6, "runtime": 0.2, "python or waiting": 0.2}


def test_only_the_marked_steps_count():
    profile = summary(span("before", 0, 40), span("mm", 60, 200, "matrix products"), start=50, end=100)
    assert shares(profile) == {"matrix products": 0.8, "python or waiting": 0.2}
    assert [one.name for one in profile.operations] == ["mm"]


@given(
    st.lists(
        st.tuples(
            st.integers(-20, 120),
            st.integers(0, 60),
            st.sampled_from(["matrix products", "runtime", "input pipeline"]),
            st.sampled_from("abc"),
        ),
        max_size=12,
    )
)
def test_shares_add_up_to_one_however_events_overlap(drawn):
    events = [span("x", start, start + length, group, lane) for start, length, group, lane in drawn]
    profile = summary(span("some", 0, 1), *events)
    assert sum(share.share for share in profile.shares) == pytest.approx(1)
    assert all(share.share > 0 for share in profile.shares)


@pytest.mark.parametrize("spans", [[span("mm", 0, 1)], [span(ROUND, 0, 10, None)], [span(ROUND, 3, 3, None)]])
def test_a_trace_in_which_the_steps_were_not_seen_is_refused(spans):
    with pytest.raises(ValueError, match="the profiler"):
        summarise_trace(Trace(spans, 1, {}), CELL, 0, "x.json.gz")


def test_a_trace_is_stored_as_chrome_s_format_wants_it_and_read_back(tmp_path):
    spans = [span(ROUND, 1000, 1100, None, "main"), Span("mm", "worker", 1010.5, 1020.0, "matrix products", "dense/mm")]
    path = tmp_path / "t.json.gz"
    write_trace(Trace(spans, 7, {"cell": "jax/cpu/fit"}), path)
    stored = json.loads(gzip.decompress(path.read_bytes()))
    events = stored["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert all({"name", "ph", "pid", "tid", "ts", "dur", "cat"} <= event.keys() for event in events)
    assert min(event["ts"] for event in events if event["ph"] == "X") == 0
    lanes = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    assert lanes == {"main": 1, "worker": 2}
    back = read_trace(path)
    assert back.steps == 7
    assert [(one.name, one.lane, one.group, one.scope) for one in back.spans] == [
        (ROUND, "main", None, ""),
        ("mm", "worker", "matrix products", "dense/mm"),
    ]
    assert back.spans[1].start_us == pytest.approx(10.5)
    assert back.spans[1].end_us == pytest.approx(20)


def test_a_file_that_is_no_trace_is_refused_in_a_word(tmp_path):
    (tmp_path / "t.json.gz").write_bytes(b"no")
    with pytest.raises(BenchError, match="is not a trace of this program"):
        read_trace(tmp_path / "t.json.gz")


@pytest.mark.parametrize(
    ("kind", "node", "group"),
    [
        ("_MklNativeFusedMatMul", "model/dense/Relu", "matrix products"),
        ("ResourceScatterAdd", "StatefulPartitionedCall/adagrad/ResourceScatterAdd", "optimizer update"),
        ("Square", "while/adagrad_1/Square", "optimizer update"),
        ("GatherV2", "model/embedding_1/GatherV2", "embeddings"),
        ("UnsortedSegmentSum", "while/UnsortedSegmentSum", "embeddings"),
        ("ConcatV2", "model/concat", "memory copies"),
        ("IteratorGetNext", "IteratorGetNext", "input pipeline"),
        ("Sub", "compile_loss/mean_squared_error/sub", "other operations"),
    ],
)
def test_kinds_of_work_on_tensorflow(kind, node, group):
    assert group_of_tensorflow(kind, node, "adagrad") == group


@pytest.mark.parametrize(
    ("names", "in_optimizer", "group"),
    [
        (["aten::matmul", "aten::mm"], False, "matrix products"),
        (["aten::_foreach_sqrt", "aten::sqrt"], True, "optimizer update"),
        (["EmbeddingBackward0", "aten::zeros", "aten::zero_"], False, "embeddings"),
        (["aten::to", "aten::_to_copy", "aten::copy_"], False, "memory copies"),
        (["aten::relu", "aten::clamp_min"], False, "other operations"),
        (["graph_0_cpp_fused__foreach_add__foreach_div__foreach_sqrt_9"], False, "optimizer update"),
        (["graph_0_cpp_fused__to_copy_add_embedding_lt_where_0"], False, "embeddings"),
        (["graph_1_cpp_fused_index_zeros_like_0"], False, "embeddings"),
        (["aten::index"], False, "embeddings"),
        (["triton_poi_fused_relu_threshold_backward_3"], False, "other operations"),
        (["aten::mm", "sm90_xmma_gemm_f32f32_f32f32_f32_tn_n"], False, "matrix products"),
        (["aten::copy_", "Memcpy HtoD (Pinned -> Device)"], False, "memory copies"),
    ],
)
def test_kinds_of_work_on_torch(names, in_optimizer, group):
    assert group_of_torch(names, in_optimizer=in_optimizer) == group


def event(name: str, ts: float, dur: float, cat: str = "cpu_op", tid: int = 1, **args: int) -> dict[str, object]:
    return {"ph": "X", "name": name, "cat": cat, "pid": 5, "tid": tid, "ts": ts, "dur": dur, "args": args}


def test_on_a_gpu_torch_s_kernels_are_the_work_and_the_host_only_hands_it_out():
    exported = {
        "traceEvents": [
            {"ph": "M", "name": "thread_name", "pid": 5, "tid": 1, "args": {"name": "thread 1 (python)"}},
            event("optimizer", 0, 50, "user_annotation"),
            event("aten::sqrt", 10, 5, **{"External id": 7}),
            event("vectorized_elementwise_kernel", 20, 30, "kernel", 9, **{"External id": 7}),
            event("aten::addmm", 60, 5, **{"External id": 8}),
            event("cudaLaunchKernel", 61, 2, "cuda_runtime", **{"External id": 8}),
            event("cutlass_80_simt_sgemm_128x64_8x5_nn_align1", 70, 30, "kernel", 9, **{"External id": 8}),
        ]
    }
    spans = torch_spans(exported)
    assert [(one.name, one.lane, one.group) for one in spans] == [
        ("optimizer", "thread 1 (python)", None),
        ("aten::sqrt", "thread 1 (python)", "runtime"),
        ("aten::addmm", "thread 1 (python)", "runtime"),
        ("cudaLaunchKernel", "thread 1 (python)", "runtime"),
        ("vectorized_elementwise_kernel", "5 9", "optimizer update"),
        ("cutlass_80_simt_sgemm_128x64_8x5_nn_align1", "5 9", "matrix products"),
    ]


def test_what_torch_s_dataloader_does_is_the_input_pipeline():
    exported = {
        "traceEvents": [
            event("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 50, "user_annotation"),
            event("aten::stack", 10, 5),
            event("aten::add", 60, 5),
        ]
    }
    assert [one.group for one in torch_spans(exported)] == ["input pipeline", "input pipeline", "other operations"]


def test_the_table_fits_a_terminal_and_says_why_a_cell_has_no_profile():
    cell = Cell(backend="tensorflow", device="cpu", loop="native")
    events = [span(str(group), 10 * place, 10 * place + 8, group) for place, group in enumerate(GROUPS[:-1])]
    traced = summarise_trace(Trace([span(ROUND, 0, 100, None, "main"), *events], 4, {}), cell, 0, "profiles/x.json.gz")
    without = Profile(backend="torch", device="cpu", loop="fit", process=0, error="RuntimeError: no")
    out = io.StringIO()
    names = {str(cell): "tensorflow native", str(without.cell): "torch fit"}
    print_profiles([traced, without], names, Console(file=out, width=80))
    printed = out.getvalue()
    assert "…" not in printed
    assert printed.count(" 8 ") >= 7
    assert "torch fit: no profile: RuntimeError: no" in printed
    assert "1 operations a step" in printed
