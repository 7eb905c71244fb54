"""Usage and environments that `python -m movierank` refuses before it begins."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from movierank.cli import main

Done = subprocess.CompletedProcess[str]
Movierank = Callable[..., Done]


def refused(done: Done, message: str) -> None:
    """Check that a command said in at most two lines why it failed."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Preparing ")]
    assert done.returncode == 2, done.stderr
    assert re.search(message, done.stderr), done.stderr
    assert 1 <= len(lines) <= 2, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rank --user 1 --model none.keras", r"no model at none\.keras; train one with `python -m movierank train`"),
        ("rank --user 1 --movies 1,two", r"--movies takes movie ids such as 204,141,131; received '1,two'"),
        ("rank --user 1 --top 0", r"--top must be at least 1; received 0"),
        ("rank --user one", r"argument --user: invalid int value: 'one'\nSee python -m movierank rank --help"),
        ("rank", r"the following arguments are required: --user"),
        ("train --dataset 100m", r"Unknown dataset '100m'; choose 100k"),
        ("train --dataset synthetic:60x50", r"'synthetic:60x50' is not synthetic:USERSxMOVIESxRATINGS"),
        ("train --model model.h5", r"--model must end in \.keras; received model\.h5"),
        ("train --model nowhere/model.keras", r"there is no folder nowhere; create it first"),
        ("train --epochs 0", r"--epochs and --batch-size must be at least 1"),
        ("train --batch-size -1", r"--epochs and --batch-size must be at least 1"),
        ("train --dataset synthetic:9x9x90 --split 2:1", r"Unknown split '2:1'"),
        ("train --backend theano", r"argument --backend: invalid choice: 'theano'.*torch"),
        ("ranks", r"invalid choice: 'ranks'"),
    ],
)
def test_bad_input_is_refused_in_a_line_or_two(
    tmp_path: Path,
    empty_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments.split())
    except SystemExit as end:
        code = int(end.code or 0)
    refused(Done([], code, *capsys.readouterr()), message)


def test_a_bad_command_ends_its_process_with_2_and_one_line(movierank: Movierank, tmp_path: Path) -> None:
    done = movierank("rank", "--user", "1", cwd=tmp_path)
    refused(done, r"no model at ranking_model\.keras")
    assert len(done.stderr.splitlines()) == 1


def test_a_backend_that_keras_is_told_to_use_but_we_do_not_know_is_refused(
    movierank: Movierank, tmp_path: Path
) -> None:
    done = movierank("train", "--dataset", "synthetic:9x9x90", cwd=tmp_path, KERAS_BACKEND="theano")
    refused(done, r"KERAS_BACKEND is 'theano'; set it to jax, torch, tensorflow, or use --backend")


@pytest.mark.parametrize(("name", "extra"), [("jax", "jax"), ("torch", "torch"), ("tensorflow", "tf")])
def test_a_backend_that_is_not_installed_is_said_with_the_way_to_install_it(
    movierank: Movierank, tmp_path: Path, name: str, extra: str
) -> None:
    # Where it is installed, a package before it on the path raises what Python raises where it is not.
    (tmp_path / name).mkdir()
    raises = f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
    (tmp_path / name / "__init__.py").write_text(raises)
    done = movierank("train", "--dataset", "synthetic:9x9x90", "--backend", name, cwd=tmp_path)
    refused(done, rf"cannot import Keras with {name} \(No module named '{name}'\): pip install .*\[{extra}\]'$")


def test_debug_shows_where_an_error_comes_from(movierank: Movierank, tmp_path: Path) -> None:
    done = movierank("--debug", "rank", "--user", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("movierank.errors.MovierankError: no model at")
