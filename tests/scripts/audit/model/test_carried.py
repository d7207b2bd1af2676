"""Which names a loop's body may have from the turn before."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.audit.model.carried import carried

from .interpreting import interpreted, statements


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("x = f(row)\ng(x)", "f g"),
        ("sql += ' AND x'", "sql"),
        ("g(last)\nlast = row", "g last"),
        ("if row:\n    x = 1\ng(x)", "g x"),
        ("a, b = row\ng(a, b)", "g"),
        ("with open(row) as file:\n    x = file\ng(x)", "g open"),
        ("for each in row:\n    total = total + each", "each total"),
        ("try:\n    x = 1\nexcept E:\n    pass\ng(x)", "E g x"),
    ],
)
def test_a_name_is_carried_when_it_may_be_read_first(body: str, names: str) -> None:
    assert carried([ast.parse("row").body[0].value], ast.parse(body).body) == frozenset(names.split())  # type: ignore[attr-defined]


def test_a_text_that_grows_by_turns_is_seen_as_it_grows(tmp_path: Path) -> None:
    project = interpreted(tmp_path, app=dedent("""
        import psycopg2

        def find(conditions):
            sql = "SELECT id FROM users WHERE true"
            for condition in conditions:
                sql += " AND x = %s"
            psycopg2.connect("").cursor().execute(sql)
    """))
    assert "SELECT id FROM users WHERE true AND x = %s" in statements(project)
