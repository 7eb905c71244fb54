"""The options that choose the ratings, for every command that needs ratings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from movierank.data.datasets import load_dataset
from movierank.data.ratings import Dataset


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the ratings; shared with `python -m bench`."""
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
    """Load the dataset that `add_data_options` describes, with a line on stderr before each slow step."""
    return load_dataset(
        arguments.dataset,
        source=arguments.data_source,
        path=arguments.data_path,
        refresh=refresh,
        progress=lambda line: print(line, file=sys.stderr),
    )
