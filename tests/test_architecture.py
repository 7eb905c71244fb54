from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"keras", "jax", "jaxlib", "torch", "tensorflow", "tensorflow_datasets"}
# Who loads a framework; everything else stays light.
WORKER_SIDE = {
    "bench": ("bench.worker", "bench.suite"),
    "movierank": (
        "movierank.model",
        "movierank.training",
        "movierank.ranking",
        "movierank.loops",
        "movierank.scoring",
    ),
}
# The rooms, each on the floor of those below it: a module imports from its own room and from lower floors. Rooms of one
# floor do not import each other.
FLOORS = (
    ("bench.commands", "bench.suite"),
    ("bench.api", "bench.records"),
    ("bench.page", "bench.export"),
    ("bench.studies",),
    ("bench.measure", "bench.comparison", "bench.worker"),
    ("bench.text",),
    ("bench.parity",),
    ("bench.report",),
    ("bench.system",),
    ("bench.statistics",),
    ("bench.schema",),
    ("bench.errors",),
    ("movierank",),
)
FACE = {"bench", "bench.__main__"}  # `import bench` reaches everything, when it is asked for
LONGEST_FILE = 400
MOST_MODULES = 25  # in one folder


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
            module = node.module or ""
            # of the package itself come modules: `from bench import api`
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "bench" else {module}
    return names


def room_of(module: str) -> str:
    return "movierank" if module.startswith("movierank") else ".".join(module.split(".")[:2])


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
    assert {"movierank.model", "bench.worker.timed_fit", "bench.worker.frameworks.jax"} <= named
    assert {".".join(name.split(".")[:2]) for name in named if name.startswith("bench.")} == {
        "bench.worker",
        "bench.suite",
    }


def test_rooms_import_from_lower_floors_alone() -> None:
    floor = {room: height for height, rooms in enumerate(reversed(FLOORS)) for room in rooms}
    seen: set[str] = set()
    upward: list[str] = []
    for path in [*sources("bench"), *sources("movierank")]:
        module = module_name(path)
        room = room_of(module)
        if module in FACE:
            continue
        seen.add(room)
        others = {room_of(name) for name in imported_names(path)} & floor.keys() - {room}
        upward += [f"{module} imports {other}" for other in others if floor[other] >= floor[room]]
    assert sorted(upward) == []
    assert seen == set(floor), "every room has its floor"


def test_no_room_is_crowded() -> None:
    folders = {path.parent for package in WORKER_SIDE for path in sources(package)}
    crowded = {folder.name for folder in folders if len(list(folder.glob("*.py"))) > MOST_MODULES}
    assert crowded == set()
    assert len([entry for entry in (ROOT / "bench").iterdir() if entry.name != "__pycache__"]) <= 20


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
