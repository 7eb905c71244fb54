"""The options that choose the ratings, for every command of both programs that needs ratings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from movierank.data.ratings import Dataset


DATA_OPTIONS: dict[str, dict[str, Any]] = {
    "dataset": {
        "help": "100k, latest-small, 1m, 20m, 25m, or synthetic:USERSxMOVIESxRATINGS",
        "metavar": "NAME",
        "default": "100k",
    },
    "data_source": {"help": "auto, tfds, wheel, local or synthetic", "metavar": "SOURCE", "default": "auto"},
    "data_path": {"help": "MovieLens folder or zip, for --data-source local", "metavar": "PATH", "type": Path},
}


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the ratings."""
    group = parser.add_argument_group("data")
    for name, settings in DATA_OPTIONS.items():
        default = " (default: %(default)s)" if "default" in settings else ""
        group.add_argument(f"--{name.replace('_', '-')}", **{**settings, "help": f"{settings['help']}{default}"})


def dataset_from(arguments: argparse.Namespace, *, refresh: bool = False) -> Dataset:
    """Load the dataset that `add_data_options` describes, with a line on stderr before each slow step."""
    from movierank.data.datasets import load_dataset

    return load_dataset(
        arguments.dataset,
        source=arguments.data_source,
        path=arguments.data_path,
        refresh=refresh,
        progress=lambda line: print(line, file=sys.stderr),
    )
