from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from bench.system import software


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git(tmp_path, "init", "-q")
    (tmp_path / "tracked.py").write_text("one\n")
    (tmp_path / ".gitignore").write_text("venv\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_versions_are_those_of_the_installed_packages() -> None:
    found = software.describe_software({})
    assert found.packages["numpy"] == np.__version__
    assert found.packages["scipy"] == metadata.version("scipy")
    assert found.python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert "pytest" not in found.packages


def test_versions_are_found_without_importing_a_framework() -> None:
    code = (
        "import sys; from bench.system.software import describe_software; describe_software({});"
        "print(sorted({'keras', 'jax', 'torch', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_odd_names_gpu_plugins_and_broken_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, text in {
        "ml_dtypes-0.0.1.dist-info": "Metadata-Version: 2.1\nName: ml_dtypes\nVersion: 0.0.1\n",
        "nvidia_cublas_cu12-12.4.dist-info": "Metadata-Version: 2.1\nName: nvidia-cublas-cu12\nVersion: 12.4\n",
        "jax_cuda12_pjrt-0.10.dist-info": "Metadata-Version: 2.1\nName: jax-cuda12-pjrt\nVersion: 0.10\n",
        "broken-1.0.dist-info": "",
    }.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = software.installed_packages()
    assert found["nvidia-cublas-cu12"] == "12.4"
    assert found["jax-cuda12-pjrt"] == "0.10"
    assert found["ml-dtypes"] == "0.0.1"


def test_variables_that_matter_are_kept_and_others_are_not() -> None:
    matter = {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "OMP_NUM_THREADS": "2",
        "CUDA_VISIBLE_DEVICES": "0",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "LD_PRELOAD": "/usr/lib/libtcmalloc.so",
        "KMP_AFFINITY": "granularity=fine",
    }
    others = {
        "HOME": "/home/a",
        "PATH": "/bin",
        "LANG": "C",
        "AWS_REGION": "x",
        "MY_TF_FLAG": "1",
        "TF_VAR_region": "x",
    }
    assert software.relevant_variables(others | matter) == dict(sorted(matter.items()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_API_TOKEN", "abc"),
        ("TF_SECRET", "abc"),
        ("NVIDIA_NGC_API_KEY", "abc"),
        ("TORCH_AUTH_HEADER", "abc"),
        ("KERAS_PASSWORD", "abc"),
        ("TF_PROXY", "https://user:abc@proxy.example.org"),
    ],
)
def test_secrets_are_left_out(name: str, value: str) -> None:
    assert software.relevant_variables({name: value}) == {}


def test_names_that_only_contain_a_secret_word_are_kept() -> None:
    variables = {"TF_KEYED_CACHE": "1", "JAX_PASSES": "2"}
    assert software.relevant_variables(variables) == dict(sorted(variables.items()))


def test_commit_and_changes_of_tracked_files(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "new.txt").write_text("untracked\n")
    assert software.git_state(checkout / "tracked.py") == (head, False)
    (checkout / "tracked.py").write_text("two\n")
    assert software.git_state(checkout / "tracked.py") == (head, True)


def test_a_package_installed_inside_another_checkout_has_no_commit(checkout: Path) -> None:
    installed = checkout / "venv" / "bench.py"
    installed.parent.mkdir()
    installed.write_text("installed\n")
    assert software.git_state(installed) == (None, None)


def test_no_checkout_no_git_and_no_commit_give_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("")
    assert software.git_state(tmp_path / "a.py") == (None, None)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "a.py")
    assert software.git_state(tmp_path / "a.py") == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert software.git_state(tmp_path / "a.py") == (None, None)


def test_a_hook_of_another_repository_does_not_mislead(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/nowhere/.git")
    assert software.git_state(checkout / "tracked.py") == (head, False)
