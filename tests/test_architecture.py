from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"keras", "jax", "jaxlib", "torch", "tensorflow", "tensorflow_datasets"}
WORKER_SIDE = {
    "bench": (
        "bench.built_in",
        "bench.describing",
        "bench.own_examples",
        "bench.own_model",
        "bench.own_recorder",
        "bench.own_session",
        "bench.own_step",
        "bench.permuted_copy",
        "bench.workload_loading",
        "bench.session",
        "bench.score_session",
        "bench.stage_recorder",
        "bench.fit_loop",
        "bench.profiling",
        "bench.faults",
        "bench.frameworks",
        "bench.permuted_copy",
        "bench.suite",
    ),
    "movierank": (
        "movierank.model",
        "movierank.training",
        "movierank.ranking",
        "movierank.loops",
        "movierank.scoring",
    ),
}
LONGEST_FILE = 300


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.add(node.module or "")
    return names


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("package", ["bench", "movierank"])
def test_only_the_worker_side_imports_a_framework(package: str) -> None:
    names = [module_name(path) for path in sources(package)]
    clean = [
        name
        for name in names
        if not name.endswith("__main__")
        and not f"{name}.".startswith(tuple(f"{part}." for part in WORKER_SIDE[package]))
    ]
    assert len(clean) > 5
    done = run_python("-c", f"import sys\nimport {', '.join(clean)}\nprint(*{FRAMEWORKS!r} & set(sys.modules))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_worker_side_is_where_the_frameworks_are_imported() -> None:
    named = {
        module_name(path)
        for package in WORKER_SIDE
        for path in sources(package)
        if {name.partition(".")[0] for name in imported_names(path)} & FRAMEWORKS
    }
    assert {"movierank.model", "bench.fit_loop", "bench.frameworks.jax_adapter"} <= named


def test_movierank_never_imports_bench() -> None:
    files = sources("movierank")
    assert len(files) > 5
    guilty = [path.name for path in files if any(name.partition(".")[0] == "bench" for name in imported_names(path))]
    assert guilty == []


@pytest.mark.parametrize(("package", "command"), [("bench", "compare"), ("movierank", "rank")])
def test_help_names_the_commands(package: str, command: str) -> None:
    done = run_python("-m", package, "--help")
    assert done.returncode == 0, done.stderr
    assert command in done.stdout
    assert done.stderr == ""


def test_files_stay_short_enough_to_hold_one_idea() -> None:
    paths = [path for package in WORKER_SIDE for path in sources(package)]
    long = [module_name(path) for path in paths if len(path.read_text().splitlines()) > LONGEST_FILE]
    assert long == []


def test_no_module_is_a_drawer_for_leftovers() -> None:
    stems = {path.stem for package in WORKER_SIDE for path in sources(package)}
    assert not stems & {"util", "utils", "helpers", "common", "misc"}
