"""`python -m movierank rank`: its options and its output."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from movierank.commands.data_options import add_data_options, dataset_from
from movierank.commands.model_options import add_model_options, import_keras
from movierank.errors import MovierankError
from movierank.model_file import check_model, load_model

if TYPE_CHECKING:
    from movierank.ranking import RankedMovie

EXAMPLES = """examples:
  python -m movierank rank --user 42 --movies 204,141,131
  python -m movierank rank --user 42 --top 10 --exclude-rated --backend torch
  python -m movierank rank --user 42 --json | jq -r '.movies[].title'
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program's."""
    rank = commands.add_parser(
        "rank",
        help="rank movies for a user with a saved model",
        description="Ranks movies for a user of the dataset by the stars that a saved model predicts, best first.",
        epilog=EXAMPLES,
    )
    add_data_options(rank)
    add_model_options(rank)
    rank.add_argument("--user", type=int, required=True, help="user id")
    rank.add_argument("--movies", help="comma-separated movie ids (default: the whole catalogue)")
    rank.add_argument("--top", type=int, help="number of movies to show (default: all of --movies, else 10)")
    rank.add_argument("--exclude-rated", action="store_true", help="leave out movies that the user has rated")
    rank.add_argument("--json", action="store_true", help="print JSON instead of a table")
    rank.set_defaults(command=_rank)


def _rank(arguments: argparse.Namespace) -> int:
    movie_ids = _parse_ids(arguments.movies)
    if arguments.top is not None and arguments.top < 1:
        raise MovierankError(f"--top must be at least 1; received {arguments.top}")
    check_model(arguments.model)
    dataset = dataset_from(arguments)
    import_keras(arguments.backend)
    from movierank.ranking import rank_movies

    ranking = rank_movies(
        load_model(arguments.model),
        dataset,
        arguments.user,
        movie_ids=movie_ids,
        top=arguments.top or (None if movie_ids else 10),
        exclude_rated=arguments.exclude_rated,
    )
    if arguments.json:
        encoded = msgspec.json.encode({"user": arguments.user, "movies": ranking})
        print(msgspec.json.format(encoded, indent=2).decode())
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


def _print_ranking(user: int, ranking: Sequence[RankedMovie]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Movies for user {user}")
    table.add_column("#", justify="right")
    table.add_column("Movie", overflow="fold")
    table.add_column("Id", justify="right")
    table.add_column("Stars", justify="right")
    for place, movie in enumerate(ranking, start=1):
        table.add_row(str(place), Text(movie.title), str(movie.movie_id), f"{movie.stars:.2f}")
    Console().print(table)
