"""Conditions that are decided by what a function is given."""

from __future__ import annotations

import ast

import pytest

from scripts.fix.loops.deciding import decided


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("None", False), ("3 > 2", True), ("'a' == 'b'", False), ("1 < 'a'", None), ("row is None", False),
        ("row != None", True), ("isinstance([row], list)", True), ("isinstance(row, (list, tuple))", False),
        ("isinstance(row, str)", None), ("row > 3", None), ("row or 1", True), ("row and 0", False),
        ("row or 0", None), ("()", False), ("{'a': row}", True), ("other()", None),
    ],
)  # fmt: skip
def test_a_condition_is_decided_where_it_does_not_depend_on_the_row(test: str, holds: bool | None) -> None:
    assert decided(ast.parse(test, mode="eval").body) is holds
