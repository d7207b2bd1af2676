"""Where values differ first."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.bench.queries.compare import difference


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}]}, None),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, "$.a[1].b: 'x' against 'y'"),
        ({"a": 1}, {"a": 1, "b": 2}, "$.b: too much"),
        ({"a": 1, "b": 2}, {"a": 1}, "$.b: missing"),
        ([1, 2], [1], "$: 2 elements against 1"),
        ([1, 2], [3], "$[0]: 1 against 3"),
        ("1.50", 1.5, "$: '1.50' against 1.5"),
        (1, True, "$: 1 against True"),
        (1, 1.0, "$: 1 against 1.0"),
        ([], None, "$: [] against None"),
    ],
)
def test_the_first_difference_is_named(ours: Any, theirs: Any, said: str | None) -> None:
    assert difference(ours, theirs) == said


def test_long_values_are_cut() -> None:
    assert len(difference("a" * 1000, "b" * 1000) or "") < 200
