"""`python -m movierank` as a user runs it, and its errors for bad models and data."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import keras
import msgspec
import pytest

from movierank.backends import BACKENDS
from movierank.cli import main
from movierank.data.datasets import load_dataset
from movierank.data.stored import seal
from movierank.model import RankingModel
from movierank.weights import initial_weights

ROOT = Path(__file__).parents[3]
DATASET = "synthetic:60x50x3000"
Done = subprocess.CompletedProcess[str]
Movierank = Callable[..., Done]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the user works."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def training(home: Path, movierank: Movierank) -> Done:
    """A training on the current backend that has left its model in `home`."""
    return movierank("train", "--dataset", DATASET, "--batch-size", "100", cwd=home, KERAS_BACKEND=backend())


@pytest.fixture
def at_home(home: Path, training: Done, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let commands of this process work in `home`, after the training."""
    assert training.returncode == 0, training.stderr
    monkeypatch.chdir(home)
    monkeypatch.setenv("MOVIERANK_CACHE", str(home / "cache"))
    monkeypatch.setenv("KERAS_BACKEND", backend())
    return home


def backend() -> str:
    return str(keras.backend.backend())


def rmse_of(text: str) -> float:
    found = re.search(r"test RMSE (\S+)", text)
    assert found is not None, text
    return float(found[1])


def ranking(text: str) -> list[tuple[int, str, int, float]]:
    """Read a printed table: place, title, movie id, stars."""
    rows = re.findall(r"│ +(\d+) │ (.+?) +│ +(\d+) │ +(-?[\d.]+) │", text)
    return [(int(place), title, int(movie), float(stars)) for place, title, movie, stars in rows]


def test_training_says_how_good_the_model_is_and_saves_it(home: Path, training: Done) -> None:
    assert training.returncode == 0, training.stderr
    *epochs, last = training.stdout.splitlines()
    scores = [re.fullmatch(rf"epoch {n}/5: train RMSE (0\.\d{{4}})", line) for n, line in enumerate(epochs, start=1)]
    assert len(scores) == 5
    assert all(scores)
    result = re.fullmatch(r"test RMSE (0\.\d{4}) \((\d\.\d\d) stars\); saved ranking_model\.keras", last)
    assert result is not None, last
    assert float(result[2]) == pytest.approx(4 * float(result[1]), abs=0.006)
    assert float(result[1]) < 0.3, "worse than always predicting the mean"
    assert [path.name for path in home.iterdir() if path.suffix == ".keras"] == ["ranking_model.keras"]


@pytest.mark.parametrize("loop", ["fused", "native"])
def test_training_by_another_loop_ends_at_the_same_model(
    at_home: Path, training: Done, capsys: pytest.CaptureFixture[str], loop: str
) -> None:
    options = ["--dataset", DATASET, "--batch-size", "100", "--model", f"{loop}.keras", "--loop", loop, "--json"]
    assert main(["train", *options]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["test_rmse"] == pytest.approx(rmse_of(training.stdout), abs=0.0002)
    assert (found["file"], found["backend"], found["loop"], found["epochs"]) == (f"{loop}.keras", backend(), loop, 5)
    assert [record["epoch"] for record in found["history"]] == [1, 2, 3, 4, 5]
    assert found["seconds"] > 0
    assert said.err.splitlines() == [f"epoch {r['epoch']}/5: train RMSE {r['rmse']:.4f}" for r in found["history"]]
    (at_home / f"{loop}.keras").unlink()


def test_a_model_ranks_the_same_in_another_process_on_another_backend(
    at_home: Path, movierank: Movierank, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [name for name in BACKENDS if name != backend() and importlib.util.find_spec(name)]
    if not others:
        pytest.skip("no second backend is installed here")
    options = ["rank", "--dataset", DATASET, "--user", "3"]
    assert main(options) == 0
    here = ranking(capsys.readouterr().out)
    done = movierank(*options, "--backend", others[0], cwd=at_home)
    assert done.returncode == 0, done.stderr
    there = ranking(done.stdout)
    assert [row[0] for row in here] == list(range(1, 11)), "the best ten"
    assert [row[:3] for row in there] == [row[:3] for row in here]
    assert [row[3] for row in there] == pytest.approx([row[3] for row in here], abs=0.0101), "but for a rounded digit"


def test_named_movies_are_printed_with_titles_and_stars_best_first(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", "--dataset", DATASET, "--user", "42", "--movies", "20,7,31,7"]) == 0
    text = capsys.readouterr().out
    assert "Movies for user 42" in text
    rows = ranking(text)
    assert sorted(row[1:3] for row in rows) == [("Movie 20", 20), ("Movie 31", 31), ("Movie 7", 7)]
    stars = [row[3] for row in rows]
    assert stars == sorted(stars, reverse=True)
    assert all(1 < value < 5 for value in stars)
    assert main(["rank", "--dataset", DATASET, "--user", "42", "--movies", "20,7,31,7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["user"] == 42
    assert [row["movie_id"] for row in found["movies"]] == [row[2] for row in rows]
    assert [round(row["stars"], 2) for row in found["movies"]] == stars


def test_top_and_exclude_rated_choose_what_is_shown(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", "--dataset", DATASET, "--user", "3", "--top", "50"]) == 0
    whole = [row[2] for row in ranking(capsys.readouterr().out)]
    assert len(whole) == 50
    assert main(["rank", "--dataset", DATASET, "--user", "3", "--top", "4"]) == 0
    assert [row[2] for row in ranking(capsys.readouterr().out)] == whole[:4]
    assert main(["rank", "--dataset", DATASET, "--user", "3", "--top", "50", "--exclude-rated"]) == 0
    assert 0 < len(ranking(capsys.readouterr().out)) < 50


def test_a_title_in_brackets_is_shown_as_it_is(empty_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "synthetic:2x3x6"
    load_dataset(name)
    (manifest,) = empty_cache.rglob("manifest.json")
    manifest.unlink()
    (manifest.parent / "titles.json").write_text('{"1": "[bold]One[/]", "2": "[rec] (2007)", "3": "Three"}')
    seal(manifest.parent, name, "synthetic", {})
    model = RankingModel(3, 4)
    model.load_initial_weights(initial_weights(2, 3))
    model.save(empty_cache / "model.keras")
    assert main(["rank", "--dataset", name, "--user", "1", "--model", str(empty_cache / "model.keras")]) == 0
    titles = {row[1] for row in ranking(capsys.readouterr().out)}
    assert titles == {"[bold]One[/]", "[rec] (2007)", "Three"}


def test_what_was_prepared_is_told(empty_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--dataset", "synthetic:9x8x40"]) == 0
    words = capsys.readouterr().out
    assert words.startswith(
        "synthetic:9x8x40 from synthetic: 40 ratings, highest user id 9, highest movie id 8, sha256"
    )
    assert main(["prepare", "--dataset", "synthetic:9x8x40", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        "dataset": "synthetic:9x8x40", "source": "synthetic", "ratings": 40, "num_users": 9, "num_movies": 8,
        "sha256": load_dataset("synthetic:9x8x40").sha256, "cache": str(empty_cache / "synthetic-9x8x40"),
    }  # fmt: skip


def test_a_reader_that_goes_away_is_no_error(at_home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "movierank", "prepare", "--dataset", DATASET, "--json"]
    done = subprocess.run(
        command,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def unread() -> Iterator[TextIO]:
    """A stream that hands each line on at once, to a reader that has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stream:
        yield stream


@pytest.mark.usefixtures("at_home")
def test_a_training_whose_reader_goes_away_goes_on_and_is_saved(tmp_path: Path, unread: TextIO) -> None:
    model = tmp_path / "unread.keras"
    with contextlib.redirect_stdout(unread):
        assert main(["train", "--dataset", DATASET, "--epochs", "2", "--model", str(model)]) == 0
    assert model.exists()


@pytest.mark.usefixtures("at_home")
def test_an_error_that_nobody_reads_has_its_exit_code(unread: TextIO) -> None:
    with contextlib.redirect_stderr(unread):
        assert main(["rank", "--dataset", DATASET, "--user", "61"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--user", "61"], "user 61 is not in synthetic:60x50x3000: users go from 1 to 60"),
        (["--user", "1", "--movies", "7,51"], "no movie 51 in synthetic:60x50x3000"),
        (["--user", "1", "--dataset", "synthetic:61x50x3000"], "name the dataset it was trained on with --dataset"),
    ],
)
def test_what_the_model_or_the_data_does_not_have_is_refused(
    at_home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["rank", "--dataset", DATASET, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(params=["cut off", "empty", "another zip", "another model"])
def bad_model(request: pytest.FixtureRequest, at_home: Path, tmp_path: Path) -> tuple[Path, str]:
    """Return a file that is not a ranking model, and the error for it."""
    path = tmp_path / "bad.keras"
    match request.param:
        case "cut off":
            path.write_bytes((at_home / "ranking_model.keras").read_bytes()[:20_000])
            return path, "bad.keras is damaged or not a .keras file; train a model"
        case "empty":
            path.touch()
            return path, "bad.keras is damaged or not a .keras file"
        case "another zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("metadata.json", msgspec.json.encode({}))
            return path, "cannot load"
        case _:
            keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]).save(path)
            return path, "holds a Sequential, not a RankingModel"


def test_a_file_that_is_no_ranking_model_is_refused(
    bad_model: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, message = bad_model
    assert main(["rank", "--dataset", DATASET, "--user", "1", "--model", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_full_disk_is_said_and_the_older_model_stays(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (at_home / "ranking_model.keras").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of files fails the write as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        assert main(["train", "--dataset", DATASET, "--epochs", "1"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr().err == "movierank: cannot write ranking_model.keras: File too large\n"
    assert (at_home / "ranking_model.keras").read_bytes() == before
    assert [path.name for path in at_home.iterdir() if path.suffix == ".keras"] == ["ranking_model.keras"]
