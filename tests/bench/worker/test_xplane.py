"""What JAX's and TensorFlow's profilers write, read without a framework: fields, programs, spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.schema.cell import Cell
from bench.worker.profiler.groups import group_of_instruction
from bench.worker.profiler.hlo import instructions
from bench.worker.profiler.summary import summarise_trace
from bench.worker.profiler.trace import ROUND, Trace
from bench.worker.profiler.wire import fields, signed, text
from bench.worker.profiler.xplane import read_space
from bench.worker.profiler.xplane_spans import spans_of

pytestmark = pytest.mark.backend_free

CELL = Cell(backend="jax", device="cpu", loop="fit")


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


@given(st.lists(st.tuples(st.integers(1, 2**20), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300)))))
def test_fields_are_read_as_they_were_written(written):
    data = b"".join(field(number, value) for number, value in written)
    read = [(number, value if isinstance(value, int) else bytes(value)) for number, value in fields(data)]
    assert read == written
    if data:
        with pytest.raises(ValueError, match="ends in the middle"):
            list(fields(data[:-1]))


def test_numbers_may_be_negative_and_text_may_not_be_a_number():
    ((_, value),) = fields(field(3, -5))
    assert signed(value) == -5
    with pytest.raises(ValueError, match="bytes were expected"):
        text(value)


def a_program() -> bytes:
    """An HloProto: a fusion of a square and an addition in the optimizer, a product, and a loop."""
    metadata = field(7, field(2, "jit(train_step)/adagrad/add"))
    square = field(1, "square") + field(2, "multiply")
    fused = field(5, 8) + field(2, square) + field(2, field(1, "p") + field(2, "parameter"))
    fusion = field(1, "multiply_add_fusion.6") + field(2, "fusion") + metadata + field(38, varint(8))
    dot = field(1, "dot.2") + field(2, "dot") + field(7, field(2, "jit(train_step)/dense/dot_general"))
    loop = field(1, "while.5") + field(2, "while")
    entry = field(5, 9) + field(2, fusion) + field(2, dot) + field(2, loop)
    return field(1, field(1, "jit_train_step") + field(3, fused) + field(3, entry))


def test_a_fusion_is_known_by_what_it_computes_and_where_it_comes_from():
    found = instructions(a_program())
    assert found["multiply_add_fusion.6"].opcodes == {"fusion", "multiply"}
    assert found["multiply_add_fusion.6"].scope == "jit(train_step)/adagrad/add"
    groups = {name: group_of_instruction(instruction, "adagrad") for name, instruction in found.items()}
    assert groups["multiply_add_fusion.6"] == "optimizer update"
    assert groups["dot.2"] == "matrix products"
    assert groups["while.5"] == "runtime"


def a_space(plane: str = "/host:CPU") -> bytes:
    """An XSpace: the program above, and a plane whose one thread multiplies for 2 µs, 3 µs after the start."""

    def entry(key: int, name: str, *more: bytes) -> bytes:
        return field(1, key) + field(2, field(1, key) + field(2, name) + b"".join(more))

    proto = field(5, field(1, 1) + field(6, a_program()))
    programs = (
        field(2, "/host:metadata") + field(4, entry(1, "jit_train_step(48)", proto)) + field(5, entry(1, "Hlo Proto"))
    )
    stats = field(4, field(1, 1) + field(7, 3)) + field(4, field(1, 2) + field(3, 48))
    product = field(1, 1) + field(2, 3_000_000) + field(3, 2_000_000) + stats
    mark = field(1, 2) + field(2, 0) + field(3, 9_000_000)
    gather = field(1, 3) + field(2, 6_000_000) + field(3, 1_000_000)
    line = field(2, "worker") + field(3, 5_000) + field(4, product) + field(4, mark) + field(4, gather)
    names = [entry(1, "dot.2"), entry(2, ROUND), entry(3, "embedding_1/GatherV2:GatherV2")]
    host = field(2, plane) + field(3, line) + b"".join(field(4, name) for name in names)
    host += b"".join(field(5, entry(key, name)) for key, name in ((1, "hlo_op"), (2, "program_id"), (3, "dot.2")))
    return field(1, programs) + field(1, host)


def test_an_xspace_gives_events_with_their_place_in_the_model():
    spans = spans_of(read_space(a_space()), "adagrad")
    assert [(one.name, one.group, one.scope) for one in spans] == [
        ("dot.2", "matrix products", "dense/dot_general"),
        (ROUND, None, ""),
        ("embedding_1/GatherV2:GatherV2", "embeddings", "embedding_1/GatherV2"),
    ]
    assert (spans[0].start_us, spans[0].end_us) == pytest.approx((8, 10))
    profile = summarise_trace(Trace(spans, 1, {}), CELL, 0, "x.json.gz")
    shares = {share.group: share.share for share in profile.shares}
    assert shares == pytest.approx({"python or waiting": 6 / 9, "matrix products": 2 / 9, "embeddings": 1 / 9})


def test_on_a_gpu_the_host_s_events_are_the_runtime():
    both = spans_of(read_space(a_space() + a_space("/device:GPU:0")), "adagrad")
    work = [(one.lane.partition(" ")[0], one.name, one.group) for one in both if one.name != ROUND]
    assert work == [
        ("host:CPU", "dot.2", "runtime"),
        ("host:CPU", "embedding_1/GatherV2:GatherV2", "runtime"),
        ("device:GPU:0", "dot.2", "matrix products"),
        ("device:GPU:0", "embedding_1/GatherV2:GatherV2", "embeddings"),
    ]
