"""The compilers' caches on disk, kept apart for each run and cell, so that a first step is known to be cold or warm.

The first process of a cell finds an empty folder and compiles; later ones find its compiled code. The user's own cache
would make the first process warm, so a worker never sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.schema.run import Temperature

XLA_FLAGS = "TF_XLA_FLAGS"
XLA_CACHE_FLAG = "--tf_xla_persistent_cache"  # common beginning of the flags' names

# These variables say where compiled code is kept, or whether it is kept.
CACHE_VARIABLES = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_FX_GRAPH_CACHE",
    "TORCHINDUCTOR_AUTOGRAD_CACHE",
    "TORCHINDUCTOR_FX_GRAPH_REMOTE_CACHE",
    "TORCHINDUCTOR_AUTOGRAD_REMOTE_CACHE",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES",
    "TRITON_CACHE_DIR",
)


def without_cache(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those about a cache of compiled code."""
    kept = {name: value for name, value in environment.items() if name not in CACHE_VARIABLES}
    if XLA_FLAGS in kept:
        flags = [flag for flag in kept.pop(XLA_FLAGS).split() if not flag.startswith(XLA_CACHE_FLAG)]
        kept |= {XLA_FLAGS: " ".join(flags)} if flags else {}
    return kept


def with_cache(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the variables with those that make each framework keep all compiled code in `folder`.

    By default JAX does not keep code that compiled in less than a second, as this model's step does. TensorFlow keeps
    the code that XLA compiled, and nothing of a graph that was not compiled.
    """
    kept = without_cache(environment)
    kept["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    kept["JAX_ENABLE_COMPILATION_CACHE"] = "true"
    kept["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    kept["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    kept["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    kept["TRITON_CACHE_DIR"] = str(folder / "triton")
    flags = [f"{XLA_CACHE_FLAG}_directory={folder}", f"{XLA_CACHE_FLAG}_read_only=false"]
    if not any(character.isspace() for character in str(folder)):  # these flags cannot hold a path with spaces
        kept[XLA_FLAGS] = " ".join([kept.get(XLA_FLAGS, ""), *flags]).strip()
    return kept


def holds_code(folder: Path) -> bool:
    """Return whether a cache holds any file."""
    return any(path.is_file() for path in folder.rglob("*"))


def temperature(compile_mode: str, held_before: bool) -> Temperature | None:
    """Return whether a first step was cold or warm; None where it compiled nothing that could be kept.

    Args:
        compile_mode: compiler of the step, as in `bench.schema.run.Run`.
        held_before: whether the cache held anything before the step.
    """
    if compile_mode in ("eager", "graph"):
        return None
    return "warm" if held_before else "cold"
