"""Any report, with any values in its fields, written and read back."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.file import load_report, save_report, with_unknown_keys
from bench.schema.record import Record
from bench.schema.report import SCHEMA, Report
from bench.schema.run import Run

pytestmark = pytest.mark.backend_free


def instances(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type; numbers are finite, as JSON has no others."""
    if isinstance(kind, type) and issubclass(kind, Record):
        hints = {name: hint for name, hint in get_type_hints(kind).items() if name in kind.__struct_fields__}
        return st.builds(kind, **{name: instances(hint) for name, hint in hints.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return st.lists(instances(arguments[0]), max_size=2)
    if origin is tuple:
        return st.tuples(*map(instances, arguments))
    if origin is dict:
        return st.dictionaries(*map(instances, arguments), max_size=2)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (UnionType, Union):  # `Literal[...] | None` is of the older kind
        return st.one_of(*map(instances, arguments))
    plain = {float: st.floats(allow_nan=False, allow_infinity=False), int: st.integers(-(2**63), 2**63 - 1)}
    return {**plain, str: st.text(max_size=8), bool: st.booleans(), type(None): st.none()}[kind]


@given(report=instances(Report))
def test_every_report_reads_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, report: Report) -> None:
    report = msgspec.structs.replace(report, schema=SCHEMA)
    directory = tmp_path_factory.mktemp("report")
    for _ in range(2):
        save_report(report, directory)
        assert load_report(directory) == report


@given(run=instances(Run))
def test_a_run_survives_an_older_version_that_does_not_know_all_its_keys(run: Run) -> None:
    later = {**msgspec.to_builtins(run), "key_of_a_later_version": {"deep": [1]}}
    known = msgspec.convert(msgspec.json.decode(msgspec.json.encode(later)), Run)
    assert known == run
    assert with_unknown_keys(msgspec.to_builtins(known), later) == later
