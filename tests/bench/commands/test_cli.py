"""`python -m bench` as a user runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.commands.cli import main

pytestmark = pytest.mark.backend_free

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parents[1] / "golden" / "report-1.json"
SMALL = "synthetic:60x50x3000"
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of this module, at first empty."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def bench(tmp_path: Path, cache: Path):
    """Run a command in a process of its own, in a folder of its own."""

    def run(*arguments: str | Path, **variables: str) -> Done:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MOVIERANK_CACHE": str(cache), **variables}
        command = [sys.executable, "-m", "bench", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run


@pytest.fixture
def here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command in this process, for commands that end at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVIERANK_CACHE", str(cache))
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str | Path) -> Done:
        try:
            code = main([*map(str, arguments)])
        except SystemExit as end:
            code = int(end.code or 0)
        return Done([], code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


def refused(done: Done, message: str) -> None:
    """Check that a command said in at most two lines why it failed, and did nothing."""
    assert done.returncode == 2, done.stderr
    assert re.search(message, done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(("usage: ", " ", "Preparing "))]
    assert 1 <= len(said) <= 2, done.stderr
    assert done.stdout == ""


def changed(path: Path, change: Any) -> Path:
    """Write the golden report, changed by `change`, to `path`."""
    report = json.loads(GOLDEN.read_text())
    change(report)
    path.write_text(json.dumps(report))
    return path


def slow(factor: float) -> Any:
    """A change that makes every step of every run take `factor` times as long."""

    def change(report: dict[str, Any]) -> None:
        for run in report["runs"]:
            run["step_time_ms"] = [factor * value for value in run["step_time_ms"]]

    return change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--backends theano", r"^bench: unknown backend 'theano'; choose from jax, torch, tensorflow$"),
        ("--backends jax,tf", r"^bench: unknown backend 'tf' \(tox calls it tf; its name here is tensorflow\)"),
        ("--backends ,", r"^bench: no backend given"),
        ("--devices tpu", r"^bench: unknown device 'tpu'; choose from cpu, gpu, gpu:N"),
        ("--loops lightning", r"^bench: unknown loop 'lightning'; choose from fit"),
        ("--dataset 100m", r"^bench: Unknown dataset '100m'; choose 100k"),
        ("--dataset synthetic:60x50", r"'synthetic:60x50' is not synthetic:USERSxMOVIESxRATINGS"),
        ("--batch-size 0", r"^bench: --batch-size must be at least 1; received 0$"),
        ("--batch-size -1000", r"^bench: --batch-size must be at least 1; received -1000$"),
        ("--batch-size 2401", r"^bench: --batch-size 2401 is larger than the train part \(2,400 ratings\)$"),
        ("--batch-size many", r"argument --batch-size: invalid int value: 'many'"),
        ("--learning-rate nan", r"^bench: --learning-rate must be above 0 and finite; received nan$"),
        ("--timeout inf", "^bench: --timeout must be above 0 and finite; received inf$"),
        ("--timeout 0", r"^bench: --timeout must be above 0 and finite; received 0\.0$"),
        ("--split half", r"^bench: Unknown split 'half'; use tutorial, or FRACTION:SEED"),
        ("--split tutorial", r"^bench: The tutorial's split is not defined for synthetic:60x50x3000"),
        ("--init random", r"argument --init: invalid choice: 'random'"),
        ("--precision 2", r"argument --precision: 2 would be 200 %; write 2%, or 0\.02"),
        ("--resume --overwrite", r"argument --overwrite: not allowed with argument --resume"),
        ("--output file/report", r"^bench: cannot write to file/report: Not a directory; choose another --output$"),
    ],
)
def test_run_refuses_bad_input_and_leaves_no_report(here, tmp_path: Path, options: str, message: str) -> None:
    (tmp_path / "file").touch()
    refused(here("run", "--dataset", SMALL, "--batch-size", "100", "--output", "out", *options.split()), message)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_bad_command_ends_its_process_with_2_and_one_line(bench) -> None:
    done = bench("run", "--backends", "tf")
    refused(done, r"^bench: unknown backend 'tf'")
    assert len(done.stderr.splitlines()) == 1


def test_run_leaves_a_folder_alone_that_holds_a_report(bench, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(GOLDEN.read_bytes())
    refused(
        bench("run", "--dataset", SMALL, "--batch-size", "100", "--output", tmp_path),
        r"^bench: /.* already holds a report; choose another --output, --resume or --overwrite$",
    )
    assert (tmp_path / "report.json").read_bytes() == GOLDEN.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow_datasets") is None, reason="TFDS is not installed here")
def test_run_without_network_and_cache_says_what_to_do(bench, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"  # the discard port, on which nobody listens
    variables = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nobody)
    offline = {**variables, "PIP_NO_INDEX": "1", "MOVIERANK_CACHE": str(tmp_path / "cache")}
    done = bench("run", "--output", "out", **offline)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "bench: Could not prepare 100k:" in done.stderr
    assert re.search(r"\n  tfds: .*\n  wheel: ", done.stderr), done.stderr
    advice = "Check the network, or give MovieLens's own files: --data-source local --data-path FOLDER_OR_ZIP"
    assert done.stderr.splitlines()[-1] == advice
    assert not (tmp_path / "out").exists()


def test_the_parser_loads_nothing_heavy() -> None:
    heavy = {"numpy", "scipy", "pandas", "rich", "altair", "keras", "jax", "torch", "tensorflow"}
    code = f"import sys; from bench.commands.cli import _parser; _parser(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr


def test_compare_of_a_report_with_itself_finds_nothing(bench) -> None:
    done = bench("compare", GOLDEN, GOLDEN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "jax/cpu/fit" in done.stdout


def test_compare_ends_with_1_where_something_became_slower(bench, tmp_path: Path) -> None:
    new = changed(tmp_path / "new.json", slow(100))
    done = bench("compare", GOLDEN, new, COLUMNS="200")
    assert (done.returncode, done.stderr) == (1, "")
    assert "slower" in done.stdout
    assert bench("compare", new, GOLDEN).returncode == 0
    assert bench("compare", GOLDEN, new, "--max-regression", "100000%").returncode == 0


def test_compare_ends_with_1_where_the_model_became_worse(bench, tmp_path: Path) -> None:
    def worse(report: dict[str, Any]) -> None:
        for run in report["runs"]:
            if run["test_rmse"] is not None:
                run["test_rmse"] += 0.01

    assert bench("compare", GOLDEN, changed(tmp_path / "new.json", worse)).returncode == 1


def test_compare_says_no_less_than_its_exit_code_where_nothing_can_be_timed(here, tmp_path: Path) -> None:
    def only(backend: str, verdict: str) -> Any:
        def change(report: dict[str, Any]) -> None:
            report["runs"] = [run for run in report["runs"] if run["backend"] == backend]
            records = [record for record in report["parity"] if record["a"] == f"{backend}/cpu/fit"]
            report["parity"] = [{**record, "verdict": verdict, "known": None} for record in records]

        return change

    base = changed(tmp_path / "base.json", only("jax", "within"))
    done = here("compare", base, changed(tmp_path / "faulty.json", only("tensorflow", "outside")))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("Something is out of parity.\n")
    done = here("compare", base, changed(tmp_path / "sound.json", only("tensorflow", "within")))
    assert (done.returncode, done.stderr) == (2, "bench: the two have nothing that can be compared\n")


def test_compare_prints_json_with_its_own_exit_code(bench, tmp_path: Path) -> None:
    for path, code in ((GOLDEN, 0), (changed(tmp_path / "new.json", slow(100)), 1)):
        done = bench("compare", GOLDEN, path, "--json")
        comparison = json.loads(done.stdout)
        assert (done.returncode, comparison["exit_code"]) == (code, code)
        assert {row["cell"] for row in comparison["step_time"]} == {
            f"{b}/cpu/fit" for b in ("jax", "torch", "tensorflow")
        }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "none", GOLDEN], r"^bench: no report at none: it should hold a report\.json$"),
        (["compare", GOLDEN, "."], r"^bench: no report at \.: it should hold a report\.json$"),
        (["compare", GOLDEN, "cut.json"], r"^bench: cut\.json is not a report: "),
        (
            ["compare", "later.json", GOLDEN],
            r"^bench: later\.json has schema movierank-bench/2, .*; upgrade movierank-bench$",
        ),
        (["compare", "zero.json", GOLDEN], r"^bench: .*step time"),
        (["compare", GOLDEN], r"the following arguments are required: NEW"),
        (
            ["compare", GOLDEN, GOLDEN, "--max-regression", "five"],
            r"expected a share such as 5% or 0\.05; received 'five'",
        ),
        (
            ["compare", GOLDEN, GOLDEN, "--max-regression", "5"],
            r"argument --max-regression: 5 would be 500 %; write 5%, or 0\.05\nSee",
        ),
        (["compare", GOLDEN, GOLDEN, "--max-regression=-5%"], r"expected a share such as 5% or 0\.05; received '-5%'"),
        (["compare", GOLDEN, GOLDEN, "--max-regression", "nan%"], r"expected a share such as 5% or 0\.05"),
        (["page", "none", "-o", "page.html"], r"^bench: no report at none"),
        (
            ["export", GOLDEN, "--to", "junit", "--json"],
            r"^bench: without -o the export itself goes to standard out",
        ),
        (["validate", "--judge", "bytes"], r"^bench: bytes is not a result of `bench validate`: "),
        (["compare", "bytes", GOLDEN], r"^bench: bytes is not a report: "),
        (["compare", "sweep.json", GOLDEN], r"of `bench sweep`, which `bench page` shows$"),
        (
            ["page", "score.json", "-o", "x.html"],
            r"^bench: score\.json has schema .*-score/2, .*; upgrade movierank-bench$",
        ),
        (["page", GOLDEN, "-o", "bytes/x.html"], r"^bench: cannot write bytes/x\.html: bytes is not a folder$"),
        (["history", GOLDEN, "--cell", "jax"], r"^bench: no report has a step time of jax; there are jax/cpu/fit, "),
        (["run", "--resume"], r"^bench: --resume goes on with the report in --output; say which$"),
        (["sweep", "--resume"], r"^bench: --resume goes on with the sweep in --output; say which$"),
        (["mutants", "--output", "."], r"^bench: --output \. is a folder; name a file, such as result\.json$"),
        (["measure"], r"invalid choice: 'measure'"),
        ([], r"the following arguments are required: COMMAND"),
    ],
)
def test_bad_usage_is_refused(here, tmp_path: Path, arguments: list[str | Path], message: str) -> None:
    (tmp_path / "cut.json").write_bytes(GOLDEN.read_bytes()[:9000])
    changed(tmp_path / "later.json", lambda report: report.update(schema="movierank-bench/2"))
    changed(tmp_path / "zero.json", slow(0))
    (tmp_path / "bytes").write_bytes(b'{"schema": "movierank-bench/1", "created": "\xff", "backend": "\xff"}')
    (tmp_path / "sweep.json").write_text('{"schema": "movierank-bench-sweep/1"}')
    (tmp_path / "score.json").write_text('{"schema": "movierank-bench-score/2"}')
    refused(here(*arguments), message)


def test_debug_shows_where_an_error_comes_from(bench) -> None:
    done = bench("--debug", "compare", "none", "none")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("bench.errors.BenchError: no report at none")


def test_a_terminal_that_says_it_has_no_columns_gets_the_answer(bench) -> None:
    assert bench("compare", GOLDEN, GOLDEN, COLUMNS="0").stdout == bench("compare", GOLDEN, GOLDEN).stdout != ""


def test_the_schema_describes_the_golden_report(bench) -> None:
    done = bench("schema")
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    golden = json.loads(GOLDEN.read_text())
    records = schema["$defs"]
    report = records[schema["$ref"].removeprefix("#/$defs/")]
    assert set(report["required"]) <= golden.keys()
    described = {
        name: records[definition["$ref"].removeprefix("#/$defs/")]
        for name, definition in (
            *((name, report["properties"][name]) for name in ("machine", "software", "workload", "settings")),
            ("runs", report["properties"]["runs"]["items"]),
        )
    }
    for name, record in described.items():
        for found in golden[name] if name == "runs" else [golden[name]]:
            assert set(record["required"]) <= found.keys(), name
            for key, value in found.items():
                if key in record["properties"]:
                    assert fits(value, record["properties"][key]), (name, key)
    assert records["Run"]["properties"]["status"]["enum"] == sorted(
        ["ok", "failed", "killed", "timeout", "interrupted", "skipped"]
    )


def fits(value: Any, definition: dict[str, Any]) -> bool:
    """Return whether a value has one of the JSON types that a property of the schema allows."""
    kinds = {kind["type"] for kind in definition.get("anyOf", [definition]) if "type" in kind}
    name = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    found = "null" if value is None else name[type(value)]
    return not kinds or found in kinds or (found == "integer" and "number" in kinds)
