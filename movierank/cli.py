"""`python -m movierank`: prepare data, train and save the model, rank movies with it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from movierank.backends import BACKENDS, extra_of
from movierank.datasets import load_dataset
from movierank.errors import MovierankError
from movierank.loops import LOOPS
from movierank.ratings import Dataset
from movierank.short_parser import ShortParser
from movierank.splits import default_split, split_ratings

if TYPE_CHECKING:
    from movierank.model import RankingModel
    from movierank.ranking import RankedMovie

DEFAULT_MODEL = Path("ranking_model.keras")

EXAMPLES = """examples:
  python -m movierank train --backend jax
  python -m movierank rank --user 42 --movies 204,141,131
  python -m movierank rank --user 42 --top 10 --exclude-rated --backend torch
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 fine, 2 bad input."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except MovierankError as error:
        if arguments.debug:
            raise
        print(f"movierank: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("movierank: interrupted", file=sys.stderr)
        return 3
    return code


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose the ratings; shared with `python -m bench`."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        default="100k",
        metavar="NAME",
        help="100k, latest-small, 1m, 20m, 25m, or synthetic:USERSxMOVIESxRATINGS (default: %(default)s)",
    )
    group.add_argument(
        "--data-source",
        default="auto",
        metavar="SOURCE",
        help="auto, tfds, wheel, local or synthetic (default: %(default)s)",
    )
    group.add_argument(
        "--data-path", type=Path, metavar="PATH", help="MovieLens folder or zip, for --data-source local"
    )


def dataset_from(arguments: argparse.Namespace, *, refresh: bool = False) -> Dataset:
    """Loads the dataset that `add_data_options` describes, saying on stderr what takes long."""
    return load_dataset(
        arguments.dataset,
        source=arguments.data_source,
        path=arguments.data_path,
        refresh=refresh,
        progress=lambda line: print(line, file=sys.stderr),
    )


def _parser() -> argparse.ArgumentParser:
    parser = ShortParser(
        prog="python -m movierank",
        description="The keras-rs movie ranking model on MovieLens, on any Keras backend.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = commands.add_parser("prepare", help="fetch a dataset into the cache")
    add_data_options(prepare)
    prepare.add_argument("--refresh", action="store_true", help="build it anew, also when the cache has it")
    prepare.set_defaults(command=_prepare)

    train = commands.add_parser("train", help="train the model and save it")
    add_data_options(train)
    _add_model_options(train)
    train.add_argument("--split", help="tutorial, or FRACTION:SEED such as 0.8:42 (default: by dataset)")
    train.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
    train.add_argument("--batch-size", type=int, default=1000, help="(default: %(default)s)")
    train.add_argument("--seed", type=int, default=0, help="of the initial weights (default: %(default)s)")
    train.add_argument(
        "--loop",
        choices=LOOPS,
        default="fit",
        help="Keras's own fit; or an epoch at a time on the device: fused (Keras's step) or native (written by hand) "
        "(default: %(default)s)",
    )
    train.set_defaults(command=_train)

    rank = commands.add_parser("rank", help="rank movies for a user with a saved model")
    add_data_options(rank)
    _add_model_options(rank)
    rank.add_argument("--user", type=int, required=True, help="user id")
    rank.add_argument("--movies", help="comma-separated movie ids (default: the whole catalogue)")
    rank.add_argument("--top", type=int, help="how many to show (default: all of --movies, else 10)")
    rank.add_argument("--exclude-rated", action="store_true", help="leave out what the user has rated")
    rank.add_argument("--json", action="store_true", help="print JSON instead of a table")
    rank.set_defaults(command=_rank)
    return parser


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="file of the model (default: %(default)s)")
    parser.add_argument(
        "--backend", choices=BACKENDS, help="Keras backend (default: KERAS_BACKEND, then Keras's own choice)"
    )


def _prepare(arguments: argparse.Namespace) -> int:
    dataset = dataset_from(arguments, refresh=arguments.refresh)
    print(
        f"{dataset.name} from {dataset.source}: {len(dataset.ratings):,} ratings, highest user id "
        f"{dataset.num_users:,}, highest movie id {dataset.num_movies:,}, sha256 {dataset.sha256[:12]}"
    )
    return 0


def _train(arguments: argparse.Namespace) -> int:
    if arguments.epochs < 1 or arguments.batch_size < 1 or arguments.seed < 0:
        raise MovierankError("--epochs and --batch-size must be at least 1, --seed at least 0")
    if arguments.model.suffix != ".keras":
        raise MovierankError(f"--model must end in .keras; received {arguments.model}")
    if not arguments.model.absolute().parent.is_dir():
        raise MovierankError(f"there is no folder {arguments.model.parent}; create it first")
    dataset = dataset_from(arguments)
    split = split_ratings(dataset, arguments.split or default_split(arguments.dataset))
    _import_keras(arguments.backend)
    from movierank import training
    from movierank.model import RankingModel
    from movierank.weights import initial_weights

    model = RankingModel(dataset.num_users + 1, dataset.num_movies + 1)
    model.load_initial_weights(initial_weights(dataset.num_users, dataset.num_movies, seed=arguments.seed))
    training.compile_model(model)
    training.fit(
        model,
        split.train,
        batch_size=arguments.batch_size,
        epochs=arguments.epochs,
        loop=arguments.loop,
        on_epoch=lambda record: print(f"epoch {record.epoch}/{arguments.epochs}: train RMSE {record.rmse:.4f}"),
    )
    result = training.evaluate(model, split.test, batch_size=arguments.batch_size)
    _save_model(model, arguments.model)
    print(f"test RMSE {result.rmse:.4f} ({4 * result.rmse:.2f} stars); saved {arguments.model}")
    return 0


def _rank(arguments: argparse.Namespace) -> int:
    movie_ids = _parse_ids(arguments.movies)
    if arguments.top is not None and arguments.top < 1:
        raise MovierankError(f"--top must be at least 1; received {arguments.top}")
    if not arguments.model.is_file():
        raise MovierankError(f"no model at {arguments.model}; train one with `python -m movierank train`")
    dataset = dataset_from(arguments)
    _import_keras(arguments.backend)
    from movierank.ranking import rank_movies

    ranking = rank_movies(
        _load_model(arguments.model),
        dataset,
        arguments.user,
        movie_ids=movie_ids,
        top=arguments.top or (None if movie_ids else 10),
        exclude_rated=arguments.exclude_rated,
    )
    if arguments.json:
        print(json.dumps({"user": arguments.user, "movies": [asdict(movie) for movie in ranking]}, indent=2))
    else:
        _print_ranking(arguments.user, ranking)
    return 0


def _parse_ids(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise MovierankError(f"--movies takes movie ids such as 204,141,131; received {text!r}") from None


def _save_model(model: RankingModel, path: Path) -> None:
    temporary = path.with_name(f".{os.getpid()}.keras")  # a full disk must not cost an older model
    try:
        model.save(temporary)
        temporary.replace(path)
    except OSError as error:
        raise MovierankError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _load_model(path: Path) -> RankingModel:
    import keras

    from movierank.model import RankingModel

    if not zipfile.is_zipfile(path):
        raise MovierankError(f"{path} is damaged or no .keras file; train a model with `python -m movierank train`")
    try:
        model = keras.saving.load_model(path)
    except Exception as error:  # Keras raises whatever the part that it failed in raises
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise MovierankError(f"cannot load {path}: {reason}") from error
    if not isinstance(model, RankingModel):
        raise MovierankError(f"{path} holds a {type(model).__name__}, not a RankingModel")
    return model


def _import_keras(backend: str | None) -> None:
    if backend:
        os.environ["KERAS_BACKEND"] = backend
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen and chosen not in BACKENDS:
        raise MovierankError(f"KERAS_BACKEND is {chosen!r}; set it to {', '.join(BACKENDS)}, or use --backend")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras  # noqa: F401  # the first import decides the backend, so a failure is reported here
    except ImportError as error:
        if not chosen:
            raise MovierankError(
                f"cannot import Keras ({error}); choose an installed backend with --backend"
            ) from error
        extra = extra_of(chosen)
        raise MovierankError(
            f"cannot import Keras with {chosen} ({error}); install it with `pip install 'movierank-bench[{extra}]'`"
        ) from error


def _print_ranking(user: int, ranking: Sequence[RankedMovie]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Movies for user {user}")
    table.add_column("#", justify="right")
    table.add_column("Movie")
    table.add_column("Id", justify="right")
    table.add_column("Stars", justify="right")
    for place, movie in enumerate(ranking, start=1):
        table.add_row(str(place), Text(movie.title), str(movie.movie_id), f"{movie.stars:.2f}")
    Console().print(table)
