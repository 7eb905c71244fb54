from __future__ import annotations

import pytest

from bench.report.names import short_names

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["results/mine", "results/yours"], ["mine", "yours"]),
        (["/r/a/base", "/r/a/new", "/r/b/base", "/r/b/new"], ["a/base", "a/new", "b/base", "b/new"]),
        (["/r/a/x/base", "/r/b/x/base", "/r/mine"], ["a/x/base", "b/x/base", "mine"]),
        (["/r/upgrade/base"], ["upgrade/base"]),
        (["base", "upgrade/base"], ["base", "upgrade/base"]),
        (["a/report.json", "b/report.json", "c.json"], ["a", "b", "c.json"]),
        (["a", "a/report.json"], ["a", "a/report.json"]),
        (["."], ["."]),
    ],
)
def test_a_name_is_as_short_as_distinguishes_reports(paths: list[str], names: list[str]) -> None:
    assert list(short_names(paths).values()) == names
    assert len(set(names)) == len(names)
