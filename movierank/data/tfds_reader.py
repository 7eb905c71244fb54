"""The one process that imports TFDS and TensorFlow: it builds a MovieLens dataset and writes plain arrays.

`movierank.data.tfds_source`, its only caller, starts it as `python -m movierank.data.tfds_reader`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from movierank.data.ratings import Int32Array, Ratings, stars_to_label
from movierank.data.stored import write_arrays

SOFTWARE = "software.json"
ERROR_PREFIX = "movierank: "
MISSING_PREFIX = "movierank-missing: "
# The tutorial's pipeline: shuffle(100_000, seed=42, reshuffle_each_iteration=False).
SHUFFLE_BUFFER = 100_000
SHUFFLE_SEED = 42
WITH_TUTORIAL_ORDER = ("100k", "latest-small")
# TFDS retries for minutes where there is no network, so the address is tried first.
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 15
BATCH = 10_000


@dataclass(frozen=True)
class ExtractedFolder:
    """A substitute for TFDS's download manager where the extracted files already exist."""

    folder: Path

    def download_and_extract(self, url: str) -> str:
        """Return the folder that holds `ml-NAME`, whatever the address."""
        return str(self.folder)


def read(name: str, output: Path, scratch: Path, extracted: Path | None) -> None:
    """Write the arrays of MovieLens `name` in TFDS's record order into `output`.

    Args:
        name: `100k`, `latest-small`, `1m`, `20m` or `25m`.
        output: existing folder for the arrays, the titles and the versions used.
        scratch: folder for TFDS's own files.
        extracted: folder that holds `ml-NAME`; None lets TFDS download it from GroupLens.
    """
    import tensorflow_datasets as tfds

    if extracted is None:
        _require_reachable(tfds.builder(f"movielens/{name}-ratings", data_dir=scratch).builder_config.download_url)
    import tensorflow as tf

    titles = _read_titles(tfds, _build(tfds, f"movielens/{name}-movies", scratch, extracted))
    ratings = _read_ratings(tf, tfds, _build(tfds, f"movielens/{name}-ratings", scratch, extracted))
    order = tutorial_order(tf, len(ratings)) if name in WITH_TUTORIAL_ORDER else None
    write_arrays(output, ratings, order, titles)
    versions = {"tensorflow": tf.__version__, "tensorflow-datasets": tfds.__version__}
    (output / SOFTWARE).write_bytes(msgspec.json.encode(versions))


def tutorial_order(tf: Any, num_ratings: int) -> Int32Array:
    """Return int32 [num_ratings], the place of each record in the tutorial's `tf.data` shuffle."""
    indices = tf.data.Dataset.range(num_ratings).shuffle(
        SHUFFLE_BUFFER, seed=SHUFFLE_SEED, reshuffle_each_iteration=False
    )
    return np.concatenate([batch.numpy() for batch in indices.batch(BATCH)]).astype(np.int32)


def _build(tfds: Any, config: str, scratch: Path, extracted: Path | None) -> Any:
    builder = tfds.builder(config, data_dir=scratch)
    if extracted is not None:
        split_generators = builder._split_generators
        builder._split_generators = lambda dl_manager: split_generators(ExtractedFolder(extracted))
    builder.download_and_prepare()
    return builder


def _read_titles(tfds: Any, builder: Any) -> dict[int, str]:
    titles: dict[int, str] = {}
    for batch in _batches(tfds, builder, "movie_id", "movie_title"):
        pairs = zip(batch["movie_id"].numpy(), batch["movie_title"].numpy(), strict=True)
        titles.update((int(movie), title.decode()) for movie, title in pairs)
    return titles


def _read_ratings(tf: Any, tfds: Any, builder: Any) -> Ratings:
    users, movies, stars = [], [], []
    for batch in _batches(tfds, builder, "user_id", "movie_id", "user_rating"):
        users.append(tf.strings.to_number(batch["user_id"], tf.int32).numpy())
        movies.append(tf.strings.to_number(batch["movie_id"], tf.int32).numpy())
        stars.append(batch["user_rating"].numpy())
    return Ratings(np.concatenate(users), np.concatenate(movies), stars_to_label(np.concatenate(stars)))


def _batches(tfds: Any, builder: Any, *features: str) -> Any:
    # Genres are left out: their number differs from movie to movie, so records with them cannot be batched.
    wanted = tfds.decode.PartialDecoding(dict.fromkeys(features, True))
    return builder.as_dataset(split="train", decoders=wanted).batch(BATCH)


def _require_reachable(url: str) -> None:
    import requests  # TFDS downloads with this package, so the same proxies and certificates apply

    host = url.split("/")[2]
    try:
        answer = requests.head(url, timeout=(CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S), allow_redirects=True)
    except requests.RequestException as error:
        raise ConnectionError(f"{host} cannot be reached ({_cause(error)})") from error
    if not answer.ok:
        raise ConnectionError(f"{host} answers {answer.status_code} {answer.reason}")


def _cause(error: BaseException) -> str:
    # urllib3 wraps the reason a few levels deep: MaxRetryError has it as `reason`.
    inner = error.args[0] if error.args else error
    return type(getattr(inner, "reason", inner)).__name__


def main() -> int:
    """Run the command line; a failure ends it with exit code 1 and one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m movierank.data.tfds_reader")
    parser.add_argument("name")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--extracted", type=Path)
    options = parser.parse_args()
    try:
        read(options.name, options.output, options.scratch, options.extracted)
    except ImportError as error:
        print(f"{MISSING_PREFIX}{error}", file=sys.stderr)
        return 1
    except ConnectionError as error:
        print(f"{ERROR_PREFIX}{error}", file=sys.stderr)
        return 1
    except Exception as error:
        summary = " ".join(str(error).split())[:200]
        print(f"{ERROR_PREFIX}TFDS stopped with {type(error).__name__}: {summary}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
