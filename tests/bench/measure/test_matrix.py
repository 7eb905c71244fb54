from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.measure.matrix import parse_cells
from movierank.backends import BACKENDS
from movierank.loops import LOOP_NAMES

pytestmark = pytest.mark.backend_free


def test_cells_are_all_combinations_in_the_order_given() -> None:
    cells = parse_cells("torch,jax", "cpu,gpu:1", "fit")
    assert [str(cell) for cell in cells] == ["torch/cpu/fit", "torch/gpu:1/fit", "jax/cpu/fit", "jax/gpu:1/fit"]


def test_repeats_spaces_and_empty_parts_change_nothing() -> None:
    assert parse_cells(" jax , ,torch,jax,", "cpu,cpu", "fit,") == parse_cells("jax,torch", "cpu", "fit")


def test_every_backend_and_loop_by_its_name() -> None:
    assert len(parse_cells(",".join(BACKENDS), "cpu", ",".join(LOOP_NAMES))) == len(BACKENDS) * len(LOOP_NAMES)


@pytest.mark.parametrize(
    ("backends", "devices", "loops", "message"),
    [
        ("jax,theano", "cpu", "fit", r"unknown backend 'theano'; choose from jax, torch, tensorflow"),
        ("tf", "cpu", "fit", r"unknown backend 'tf' \(tox calls it tf; its name here is tensorflow\)"),
        ("JAX", "cpu", "fit", r"unknown backend 'JAX'"),
        ("jax", "cuda", "fit", r"unknown device 'cuda'; choose from cpu, gpu, gpu:N"),
        ("jax", "gpu:", "fit", r"unknown device 'gpu:'"),
        ("jax", "gpu:-1", "fit", r"unknown device 'gpu:-1'"),
        ("jax", "cpu:0", "fit", r"unknown device 'cpu:0'"),
        ("jax", "cpu", "lightning", r"unknown loop 'lightning'; choose from fit"),
        ("", "cpu", "fit", r"no backend given"),
        ("jax", " , ", "fit", r"no device given"),
        ("jax", "cpu", "", r"no loop given"),
    ],
)
def test_a_bad_name_is_refused_with_the_good_ones(backends: str, devices: str, loops: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        parse_cells(backends, devices, loops)


def test_the_first_gpu_is_one_cell_whatever_it_is_called() -> None:
    assert [cell.device for cell in parse_cells("jax", "gpu,gpu:0,gpu:1", "fit")] == ["gpu", "gpu:1"]
