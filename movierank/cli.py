"""`python -m movierank`: prepare data, train and save the model, rank movies with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from movierank.commands import rank as rank_command
from movierank.commands import train as train_command
from movierank.commands.data_options import add_data_options, dataset_from
from movierank.commands.lasting_output import lasting_output
from movierank.commands.short_parser import ShortParser
from movierank.data.cache import CacheSlot, cache_root
from movierank.errors import MovierankError

EXAMPLES = """examples:
  python -m movierank train --backend jax
  python -m movierank rank --user 42 --movies 204,141,131
  python -m movierank rank --user 42 --top 10 --exclude-rated --backend torch
  python -m movierank train --help            all options of a command

exit codes: 0 fine; 2 bad input or usage; 3 interrupted
"""
PREPARE_EXAMPLES = """examples:
  python -m movierank prepare
  python -m movierank prepare --dataset 1m --data-source local --data-path ml-1m.zip
  python -m movierank prepare --json | jq -r .cache
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 fine, 2 bad input, 3 interrupted."""
    with lasting_output():
        return _carry_out(_parser().parse_args(argv))


def _carry_out(arguments: argparse.Namespace) -> int:
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


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = ShortParser(
        prog="python -m movierank",
        description="The keras-rs movie ranking model on MovieLens, on any Keras backend.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    prepare = commands.add_parser(
        "prepare",
        help="fetch a dataset into the cache",
        description="Fetches a dataset into the cache. The other commands also do so where it is missing.",
        epilog=PREPARE_EXAMPLES,
    )
    add_data_options(prepare)
    prepare.add_argument("--refresh", action="store_true", help="build it again even if the cache has it")
    prepare.add_argument("--json", action="store_true", help="print JSON instead of a sentence")
    prepare.set_defaults(command=_prepare)

    train_command.add(commands)
    rank_command.add(commands)
    return parser


def _prepare(arguments: argparse.Namespace) -> int:
    dataset = dataset_from(arguments, refresh=arguments.refresh)
    if arguments.json:
        summary = {
            "dataset": dataset.name,
            "source": dataset.source,
            "ratings": len(dataset.ratings),
            "num_users": dataset.num_users,
            "num_movies": dataset.num_movies,
            "sha256": dataset.sha256,
            "cache": str(CacheSlot(cache_root(), dataset.name).folder),
        }
        print(json.dumps(summary, indent=2))
        return 0
    print(
        f"{dataset.name} from {dataset.source}: {len(dataset.ratings):,} ratings, highest user id "
        f"{dataset.num_users:,}, highest movie id {dataset.num_movies:,}, sha256 {dataset.sha256[:12]}"
    )
    return 0
