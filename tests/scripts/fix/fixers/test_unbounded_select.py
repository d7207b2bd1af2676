"""A LIMIT where nothing bounds a list, when it is asked for; and a page to paste."""

from __future__ import annotations

import pytest

from scripts.fix.fixers.unbounded_select import FIXER, RULES
from tests.scripts.fix.fixing import Outcome, fixed_by

APP = '''
import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)
SQL = "SELECT id FROM orders"


@app.get("/orders")
def orders():
    conn = psycopg2.connect("dbname=shop")
    cur = conn.cursor()
    cur.execute({sql})
    return jsonify(cur.fetchall())
'''


def bounded(sql: str, unsafe: bool = True) -> Outcome:
    """Return what becomes of a list."""
    return fixed_by((FIXER,), {"app.py": APP.replace("{sql}", sql)}, *RULES, unsafe=unsafe)


@pytest.mark.parametrize(
    ("sql", "becomes"),
    [
        ('"SELECT id, total FROM orders"', '"SELECT id, total FROM orders LIMIT 1000"'),
        ("'SELECT * FROM orders ORDER BY id;'", "'SELECT * FROM orders ORDER BY id LIMIT 1000;'"),
        ('"""\n    SELECT *\n    FROM orders\n    """', '"""\n    SELECT *\n    FROM orders LIMIT 1000\n    """'),
        ('"SELECT * "\n        "FROM orders"', '"SELECT * "\n        "FROM orders LIMIT 1000"'),
    ],
)  # fmt: skip
def test_the_limit_goes_behind_the_last_word(sql: str, becomes: str) -> None:
    assert f"cur.execute({becomes})" in bounded(sql).files["app.py"]


def test_nothing_is_changed_unless_it_is_asked_for() -> None:
    found = bounded('"SELECT id FROM orders ORDER BY placed_at DESC"', unsafe=False)
    assert not found.changes
    assert len(found.unsafe) == 1
    assert 'ORDERS = CursorPages("SELECT id FROM orders", order="placed_at DESC")' in found.unsafe[0].note


@pytest.mark.parametrize("sql", ["SQL", "'SELECT id FROM orders -- all'", "'SELECT id FROM orders;\\n'"])
def test_a_text_whose_end_is_elsewhere_is_left_alone(sql: str) -> None:
    found = bounded(sql)
    assert not found.changes
    assert found.left


def test_a_bounded_list_is_left_alone() -> None:
    found = bounded('"SELECT id FROM orders LIMIT 5"')
    assert not found.changes
    assert not found.left
