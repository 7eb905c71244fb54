"""`from bench import run, compare, load_report`, in processes of their own where what is imported matters."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

import bench
from bench.commands.cli import _parser
from bench.commands.run import options_of
from bench.comparison.records import Comparison
from bench.errors import BenchError
from bench.measure.asked import Asked, asked_of, options_from, versus_options_from
from bench.measure.option_table import BY_NAME, DEFAULTS
from bench.measure.options import Options
from bench.report.time_to_target import TARGET_RMSE
from bench.schema.cell import PRECISIONS
from bench.schema.parity import COPIES, Judge
from bench.schema.report import Report

MakeReport = Callable[..., Report]

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "report-1.json"


def installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture
def a_checkout(tmp_path: Path) -> Path:
    """The documents, and the reports that they load, without what a run there may leave."""
    for name in ("docs", "results/loops-2cores"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "results/loops-2cores/report.json", tmp_path / "results/loops-2cores")
    shutil.copy(ROOT / "docs/notebook.ipynb", tmp_path / "docs")
    return tmp_path


def python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MOVIERANK_CACHE": str(folder / "cache"), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip


@pytest.mark.backend_free
def test_importing_the_functions_imports_no_more_than_they_need(tmp_path: Path) -> None:
    heavy = {"numpy", "scipy", "rich", "msgspec", "keras", "jax", "torch", "tensorflow", "altair", "pandas"}
    seen = f"print({heavy} & set(sys.modules))"
    done = python(f"import bench, sys; {seen}\nfrom bench import run, compare, load_report; {seen}", tmp_path)
    assert done.stdout == "set()\nset()\n", done.stderr


@pytest.mark.backend_free
def test_every_name_is_a_function_whatever_was_imported_before(tmp_path: Path) -> None:
    code = """
import bench.comparison.reports, bench.measure.versus, bench.page, bench.report.file, bench.commands.cli
import bench
print([name for name in bench.__all__ if not callable(getattr(bench, name))], {*bench.__all__} - {*dir(bench)})
"""
    done = python(code, tmp_path)
    assert done.stdout == "[] set()\n", done.stderr
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'runn'"):
        bench.runn  # noqa: B018


@pytest.mark.backend_free
def test_every_option_of_the_command_is_one_of_the_function() -> None:
    arguments = vars(_parser().parse_args(["run"]))
    others = {"output", "command", "debug", "json"}
    assert set(arguments) - others <= Asked.__annotations__.keys()
    shown = inspect.signature(bench.run).parameters
    assert {*Asked.__annotations__, "output", "quiet"} == set(shown)
    assert list(BY_NAME) == re.findall(r"^    (\w+): ", inspect.getdoc(Asked) or "", flags=re.MULTILINE)


@pytest.mark.backend_free
def test_the_table_of_options_agrees_with_the_types_and_with_the_options_of_a_measurement() -> None:
    hints = get_type_hints(Asked, localns={"Judge": Judge})
    fields = {field.name: field for field in dataclasses.fields(Options)}
    assert hints.keys() == BY_NAME.keys()
    for name, option in BY_NAME.items():
        allowed = [kind for kind in get_args(hints[name]) if kind is not type(None)]
        values = [value for kind in allowed if get_origin(kind) is Literal for value in get_args(kind)]
        assert option.choices == (tuple(values) or None), name
        if option.action is not None and option.action != "append":
            assert allowed == [bool], name
        elif option.type in (int, float):
            assert allowed == [option.type], name
        elif not values:
            assert str in allowed, name
        if option.attribute:
            assert option.attribute in fields, name
        if option.attribute and option.default is not None:
            assert fields[option.attribute].default == option.read(option.default), name
    assert (DEFAULTS["copies"], DEFAULTS["target_rmse"]) == (COPIES, TARGET_RMSE)
    assert all(name in BY_NAME["precision"].help for name in PRECISIONS)


@pytest.mark.backend_free
def test_the_command_and_the_function_mean_the_same() -> None:
    words = [
        *("run", "--backends", "jax,torch", "--loops", "fit,native", "--epochs", "2", "--quick", "--rounds", "7"),
        *("--precision", "2%", "--precision", "float32,bfloat16", "--budget", "5m", "--timeout", "9", "--threads", "1"),
        *("--round-seconds", "0.1", "--no-parity", "--resume", "--output", "out", "--data-path", "ml.zip"),
    ]
    asked: Asked = {
        "backends": ("jax", "torch"), "loops": ["fit", "native"], "epochs": 2, "quick": True, "rounds": 7,
        "precision": (0.02, "float32", "bfloat16"), "budget": 300, "timeout": 9, "threads": 1, "round_seconds": 0.1,
        "parity": False, "resume": True, "data_path": "ml.zip", "seeds": None,
    }  # fmt: skip
    assert options_of(_parser().parse_args(words)) == options_from("out", asked)
    default = options_of(_parser().parse_args(["run", "--output", "out", "--threads", "1"]))
    assert default == options_from(Path("out"), {"threads": 1})


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("words", "precision", "budget_s"),
    [
        ([], 0.02, 600),
        (["--precision", "mixed_bfloat16"], 0.02, 600),
        (["--precision", "1%"], 0.01, 600),
        (["--precision", "1%", "--budget", "20m"], 0.01, 1200),
        (["--processes", "20"], None, None),
        (["--rounds", "10"], None, None),
        (["--budget", "1m"], None, 60),
        (["--quick"], None, None),
    ],
)
def test_versus_measures_until_it_knows_unless_an_option_says_how_long(
    words: list[str], precision: float | None, budget_s: float | None
) -> None:
    arguments = _parser().parse_args(["versus", "old", "new", *words])
    settings = versus_options_from(arguments.output, asked_of(arguments)).settings()
    assert (settings.precision, settings.budget_s) == (precision, budget_s)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"batchsize": 10}, TypeError, "there is no option 'batchsize'; do you mean 'batch_size'?"),
        ({"backends": "tf"}, BenchError, "its name here is tensorflow"),
        ({"resume": True, "overwrite": True}, BenchError, "exclude each other"),
        ({"precision": (0.02, "3%")}, BenchError, "takes one share"),
        ({"precision": -0.1}, BenchError, "expected a share"),
        ({"budget": "soon"}, BenchError, "expected a time such as 90s"),
        ({"epochs": 0}, BenchError, "--epochs must be at least 1"),
    ],
)
def test_what_means_nothing_is_refused(asked: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        bench.run("never", **asked)  # type: ignore[arg-type]
    assert not Path("never").exists()


@pytest.mark.backend_free
def test_compare_takes_reports_and_where_they_lie(make_report: MakeReport, tmp_path: Path) -> None:
    base = bench.load_report(str(GOLDEN))
    assert base == bench.load_report(GOLDEN)
    found = bench.compare(base, GOLDEN, max_regression="10%")
    assert isinstance(found, Comparison)
    assert found == bench.compare(str(GOLDEN), base, max_regression=0.1)
    assert found.max_regression == 0.1
    assert bench.compare(GOLDEN, GOLDEN, drift="2%") == bench.compare(base, base, drift=0.02)
    with pytest.raises(BenchError, match="go together"):
        bench.compare(base, base, base_cell="jax/cpu/fit")
    with pytest.raises(BenchError, match="exclude each other"):
        bench.compare(base, base, drift=0.1, validation="x.json")
    with pytest.raises(BenchError, match="no report at"):
        bench.compare(base, tmp_path)
    with pytest.raises(BenchError, match="at least one report"):
        bench.judge_parity()


@pytest.mark.one_backend
def test_a_script_without_a_guard_measures(tmp_path: Path) -> None:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    script = tmp_path / "script.py"
    script.write_text(
        "from bench import run\n"
        f"report = run('out', backends={backend!r}, dataset='synthetic:50x40x2000', batch_size=100, processes=1,\n"
        "    seeds=1, rounds=2, round_seconds=0.02, threads=1, parity=False, quiet=True)\n"
        "print([(r.status, len(r.step_time_ms)) for r in report.runs])\n"
    )
    no_page = os.pathsep.join([str(ROOT / "tests/bench/no_page"), str(ROOT)])
    done = python(f"exec(open({str(script)!r}).read())", tmp_path, PYTHONPATH=no_page)
    assert (done.stdout, done.stderr) == ("[('ok', 2)]\n", "")
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.backend_free
@pytest.mark.skipif(not installed("jax"), reason="the documents measure jax")
def test_the_examples_of_the_documentation_run(a_checkout: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/api.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    done = python("\n".join(blocks), a_checkout)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert re.fullmatch(r"jax: [\d.]+ ms/step, 95 % interval \([\d.]+, [\d.]+\)", first)
    verdict, ratio, *_ = second.split()
    assert verdict == "faster"
    assert 0 < float(ratio) < 1
    assert done.stdout.splitlines()[-1].startswith("no report at results/of-nobody")
    assert (a_checkout / "page.html").stat().st_size > 10_000


@pytest.mark.backend_free
@pytest.mark.skipif(not installed("jax"), reason="the notebook measures jax")
def test_the_notebook_runs_from_top_to_bottom(a_checkout: Path) -> None:
    stored = json.loads((ROOT / "docs/notebook.ipynb").read_text())
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in stored["cells"])
    code = """
import json, nbclient, nbformat
notebook = nbformat.read("docs/notebook.ipynb", as_version=4)
nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": "docs"}}).execute()
print(json.dumps([cell.get("outputs", []) for cell in notebook.cells]))
"""
    done = python(code, a_checkout, JUPYTER_PLATFORM_DIRS="1")
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = json.loads(done.stdout.splitlines()[-1])
    pages = ["".join(output.get("data", {}).get("text/html", "")) for cell in outputs for output in cell]
    assert any("vega" in page for page in pages), "the plot"
    assert sum("<table" in page for page in pages) >= 2
    last = outputs[-1]
    said = "".join("".join(output.get("text", "")) for output in last)
    assert "jax/cpu/fit process 0: starting" in said
    assert "\\x1b" not in said
    assert "'ok'" in "".join(last[-1]["data"]["text/plain"])
