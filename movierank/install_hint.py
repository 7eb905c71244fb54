"""The shell command that installs an extra of this package, which is on no index while it runs from a clone."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

NAME = "movierank-bench"


def install_hint(extra: str, *, for_report: bool = False) -> str:
    """Return a command for a shell: `pip install '.[jax]'` in the clone, with the clone's folder from anywhere else.

    The package runs from a clone where `pyproject.toml` lies beside it, or where pip recorded a folder as its origin
    (`direct_url.json` of the distribution, PEP 610). If pip recorded an archive or a repository, the command names
    that. Otherwise the package came from an index.

    Args:
        extra: extra of this package, such as `jax`.
        for_report: whether the command is for a report, which others read; then it names no folder of this machine.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    beside = Path(__file__).resolve().parents[1]
    if (beside / "pyproject.toml").is_file():
        return _in_clone(beside, extra, _folder_of(url) == beside and _is_editable(origin), for_report)
    if "dir_info" in origin and (folder := _folder_of(url)) is not None and folder.is_dir():
        return _in_clone(folder, extra, _is_editable(origin), for_report)
    wanted = f"{NAME}[{extra}]"
    if "vcs_info" in origin:
        vcs, revision = origin["vcs_info"]["vcs"], origin["vcs_info"].get("requested_revision")
        wanted += f" @ {vcs}+{url}" + (f"@{revision}" if revision else "")
    elif "archive_info" in origin and not (for_report and url.startswith("file:")):
        wanted += f" @ {url}"
    return f"pip install {shlex.quote(wanted)}"


def _in_clone(folder: Path, extra: str, editable: bool, for_report: bool) -> str:
    there = "." if for_report or folder.samefile(".") else str(folder)
    wanted = shlex.quote(f"{there}[{extra}]")
    return f"pip install {'-e ' if editable else ''}{wanted}" + (" in the clone" if for_report else "")


def _origin() -> dict[str, Any]:
    """Return pip's record of the package's origin; an empty dict where it is not installed or came from an index."""
    try:
        text = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    return json.loads(text) if text else {}


def _is_editable(origin: dict[str, Any]) -> bool:
    return bool(origin.get("dir_info", {}).get("editable", False))


def _folder_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)).resolve() if parts.scheme == "file" else None
