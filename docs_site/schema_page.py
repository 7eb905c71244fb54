"""The table of `report.json`'s keys, from the records that define it and their docstrings."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from bench.schema.record import Record
from bench.schema.report import Report
from docs_site.tables import table

ENTRY = re.compile(r"^(?P<names>[a-z_0-9]+(?:, [a-z_0-9]+)*): (?P<words>.*)$")


def schema() -> str:
    """Return a section for each record: the report first, then the others in order of first use."""
    return "\n\n".join(_section(record) for record in _met(Report))


def _section(record: type[Record]) -> str:
    words = inspect.getdoc(record) or ""
    introduction = words.partition("\nAttributes:")[0].strip()
    described = attributes(words)
    rows = [
        (f"`{field.encode_name}`", _type(field.type), "" if field.required else "yes", described.get(field.name, ""))
        for field in msgspec.structs.fields(record)
    ]
    return f"### {record.__name__}\n\n{introduction}\n\n{table(('key', 'type', 'may be missing', 'what it is'), rows)}"


def attributes(docstring: str) -> dict[str, str]:
    """Return the description of each attribute in a Google-style docstring, also for names in a list.

    Args:
        docstring: docstring without the indentation of its class.
    """
    described: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.partition("\nAttributes:\n")[2].splitlines():
        if line and not line.startswith(" "):
            break
        entry = ENTRY.match(line[4:])
        if entry is not None:
            names = entry["names"].split(", ")
            described |= dict.fromkeys(names, entry["words"])
        else:
            described |= {name: f"{described[name]} {line.strip()}" for name in names}
    return {name: words.strip().replace("|", "&#124;") for name, words in described.items()}


def _met(record: type[Record], seen: dict[type[Record], None] | None = None) -> list[type[Record]]:
    seen = {} if seen is None else seen
    if record not in seen:
        seen[record] = None
        for field in msgspec.structs.fields(record):
            for inner in _records(field.type):
                _met(inner, seen)
    return list(seen)


def _records(kind: Any) -> Iterator[type[Record]]:
    if isinstance(kind, type) and issubclass(kind, Record) and get_origin(kind) is None:
        yield kind
    for inner in get_args(kind):
        if get_origin(kind) is not Literal:
            yield from _records(inner)


def _type(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join("null" if each is type(None) else _type(each) for each in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    if origin is tuple:
        return "list of " + ", ".join(_type(each) for each in inner)
    if origin is dict:
        return f"object of {_type(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, Record):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return {str: "string", int: "integer", float: "number", bool: "true or false"}.get(kind, "any")
