from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.summary import first_steps
from bench.schema.run import Run
from bench.system.compile_cache import CACHE_VARIABLES, holds_code, temperature, with_cache, without_cache
from bench.system.environment import worker_environment
from bench.text.convergence import first_step_lines

pytestmark = pytest.mark.backend_free

FLAGS = "--tf_xla_auto_jit=2 --tf_xla_persistent_cache_directory=/mine"


def test_a_cache_of_the_user_s_is_never_seen(tmp_path: Path) -> None:
    mine = dict.fromkeys(CACHE_VARIABLES, "/mine") | {"TF_XLA_FLAGS": FLAGS, "HOME": "/home/me"}
    assert without_cache(mine) == {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2", "HOME": "/home/me"}
    assert "TF_XLA_FLAGS" not in without_cache({"TF_XLA_FLAGS": FLAGS.split()[1]})
    for environment in (worker_environment("jax", "cpu", 2, mine), with_cache(mine, tmp_path)):
        assert "/mine" not in " ".join(environment.values())
        assert environment["TF_XLA_FLAGS"].startswith("--tf_xla_auto_jit=2")


def test_every_framework_gets_the_folder(tmp_path: Path) -> None:
    environment = with_cache({}, tmp_path)
    for name in ("JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TF_XLA_FLAGS"):
        assert str(tmp_path) in environment[name]
    assert "TF_XLA_FLAGS" not in with_cache({}, tmp_path / "with space")


def test_a_folder_without_files_holds_no_code(tmp_path: Path) -> None:
    assert not holds_code(tmp_path / "not there")
    (tmp_path / "triton").mkdir()
    assert not holds_code(tmp_path)
    (tmp_path / "triton" / "kernel").touch()
    assert holds_code(tmp_path)


def test_only_what_is_compiled_is_cold_or_warm() -> None:
    assert temperature("xla", held_before=False) == "cold"
    assert temperature("inductor", held_before=True) == "warm"
    assert temperature("eager", held_before=True) is None
    assert temperature("graph", held_before=True) is None


def _run(backend: str, process: int, first_step_s: float | None, cache: str | None) -> Run:
    return Run(
        backend=backend,
        device="cpu",
        loop="fit",
        process=process,
        seed=0,
        status="ok",
        first_step_s=first_step_s,
        compile_cache=cache,  # type: ignore[arg-type]
    )


def test_cold_and_warm_first_steps_are_distinguished() -> None:
    runs = [
        _run("jax", 0, 0.9, "cold"),
        _run("torch", 0, 0.1, None),
        _run("jax", 1, 0.2, "warm"),
        _run("jax", 2, 0.4, "warm"),
        _run("torch", 1, 0.3, None),
        _run("tensorflow", 0, None, None),
    ]
    jax, torch = first_steps(runs)
    assert (jax.cold_s, jax.cold_processes) == (0.9, 1)
    assert (round(jax.warm_s or 0, 6), jax.warm_processes) == (0.3, 2)
    assert (torch.cold_s, torch.cold_processes, torch.warm_s, torch.warm_processes) == (0.2, 2, None, 0)
    (line,) = first_step_lines([jax, torch], {"jax/cpu/fit": "jax"})
    assert "jax 0.90 → 0.30 s" in line
    assert "torch" not in line
    assert first_step_lines([torch], {}) == []
