"""docs/repeats.md names everything that it is about."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from backend import QueryCounter, assert_queries, no_repeats, pytest_plugin
from backend.events import QueryGroup

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "repeats.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "assert_queries", "no_repeats", "QueryCounter", "watching", "RepeatsError", "QueryCountError",
        "MonitorError", "DB_REPEAT_LIMIT", "DB_REPEATS", "HARDEN_ENV", "Server-Timing", "X-Query-Count",
        "add_app_folder", "--fail-on-repeats", "--query-report", "harden_install",
        "harden_repeat_limit", "query_counter",
    ],
)  # fmt: skip
def test_every_name_is_on_the_page(name: str) -> None:
    assert name in PAGE


def test_every_parameter_and_every_part_of_a_counter_is_on_the_page() -> None:
    for function in (assert_queries, no_repeats, QueryCounter):
        for name in set(inspect.signature(function).parameters) - {"name"}:
            assert f"{name}=" in PAGE, name
    for name in set(vars(QueryCounter)) - {"check_sight"}:
        assert name.startswith("_") or f"counter.{name}" in PAGE, name
    shown = re.findall(r"\.(\w+)", re.findall(r"^counter\.queries.*$", PAGE, re.MULTILINE)[0].partition("#")[2])
    assert set(shown) - {"text"} <= set(QueryGroup._fields)


def test_every_marker_is_on_the_page() -> None:
    for marker in pytest_plugin.MARKERS:
        assert f"@pytest.mark.{marker.partition('(')[0]}" in PAGE
