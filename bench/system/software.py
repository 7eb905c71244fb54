"""The measured software: versions, environment variables and the harness's commit."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from bench.schema.machine import Software

GIT_TIMEOUT_S = 10

PACKAGES = frozenset(
    {
        *("movierank-bench", "keras", "keras-nightly", "numpy", "scipy", "ml-dtypes", "opt-einsum", "h5py", "optree"),
        *("jax", "jaxlib", "jax-metal", "torch", "triton", "intel-extension-for-pytorch"),
        *("tensorflow", "tensorflow-cpu", "tensorflow-metal", "tf-nightly", "intel-tensorflow", "tensorflow-datasets"),
        *("pytest-benchmark", "psutil", "threadpoolctl", "mkl"),
    }
)
PACKAGE_PREFIXES = ("nvidia-", "jax-cuda", "jax-rocm", "pytorch-triton")

# Variables that these libraries read: the backends, their thread pools, the GPU's driver, and the allocator.
VARIABLE_PREFIXES = (
    *("KERAS_", "JAX_", "XLA_", "LIBTPU_", "TPU_", "TF_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "ATEN_"),
    *("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "BLIS_", "ONEDNN_", "DNNL_", "NUMEXPR_", "VECLIB_"),
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "HSA_"),
    *("MALLOC_", "MIMALLOC_", "TCMALLOC_", "JEMALLOC_", "MOVIERANK_"),
)

# Terraform shares TensorFlow's prefix, and its variables may well be secrets.
FOREIGN_PREFIXES = ("TF_VAR_", "TF_CLI_", "TF_TOKEN_", "TF_LOG", "TF_WORKSPACE", "TF_PLUGIN_")

VARIABLES = frozenset(
    {
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "NPROC",
        "GLIBC_TUNABLES",
        "PYTHONHASHSEED",
        "PYTHONMALLOC",
        "PYTHONOPTIMIZE",
    }
)

SECRET = re.compile(r"(^|_)(TOKEN|SECRET|PASS|PASSWORD|PASSWD|CREDENTIALS?|AUTH|KEY|APIKEY|COOKIE)(_|$)")
URL_WITH_LOGIN = re.compile(r"://[^/\s]*@")


def describe_software(environment: Mapping[str, str]) -> Software:
    """Describe the installed packages, the variables in `environment` that matter, and the commit.

    Args:
        environment: variables of the workers. Variables whose names speak of a secret, or whose values hold a login,
            are left out even where a prefix matches.
    """
    commit, dirty = git_state(Path(__file__))
    return Software(
        python=f"{platform.python_version()} {platform.python_implementation()}",
        packages=installed_packages(),
        environment=relevant_variables(environment),
        git_commit=commit,
        git_dirty=dirty,
    )


def installed_packages() -> dict[str, str]:
    """Return versions of the installed packages that can matter, by name, without importing any of them."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        if "Name" not in distribution.metadata:  # the remains of a package that was half removed
            continue
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name in PACKAGES or name.startswith(PACKAGE_PREFIXES):
            found.setdefault(name, distribution.version)  # the first on the path is the one that is imported
    return dict(sorted(found.items()))


def relevant_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that can change speed or results, sorted by name, and never a secret."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name in VARIABLES or name.startswith(VARIABLE_PREFIXES))
        and not name.startswith(FOREIGN_PREFIXES)
        and not SECRET.search(name.upper())
        and not URL_WITH_LOGIN.search(value)
    }


def lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without the hash seed, which tox draws anew each time."""
    return {name: value for name, value in environment.items() if name != "PYTHONHASHSEED"}


def git_state(file: Path) -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that tracks `file`, and whether tracked files differ from it.

    Both are None without git, outside a checkout, and where the file only lies inside somebody else's checkout, as an
    installed package does in a virtual environment.
    """
    folder = file.parent
    if _git(folder, "ls-files", "--error-unmatch", "--", file.name) is None:
        return None, None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return (commit or None), (None if status is None or not commit else bool(status))


def _git(folder: Path, *arguments: str) -> str | None:
    # Inside a git hook, GIT_DIR and the like name the repository that runs the hook.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    for name in ("scipy", "keras"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
    sys.stdout.buffer.write(msgspec.json.encode(describe_software(os.environ)))
