"""H207."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.window_count import RULE

from ..looking import findings, places

HEAD = """\
import psycopg2
from flask import Flask, jsonify, request
app = Flask(__name__)
@app.route("/")
def page():
    cur = psycopg2.connect("dbname=x").cursor()
"""


def _app(code: str) -> dict[str, str]:
    return {"app.py": HEAD + indent(dedent(code).lstrip("\n"), "    ")}


@pytest.mark.parametrize("sql", [
    "SELECT id, name, count(*) OVER () FROM parts ORDER BY id LIMIT 20 OFFSET %s",
    "SELECT *, COUNT( id ) over( ) AS total FROM parts WHERE kind = %s LIMIT %s",
    "WITH p AS (SELECT id, count(1) OVER () AS n FROM parts) SELECT * FROM p LIMIT 10",
])  # fmt: skip
def test_a_page_with_a_window_count_is_found_at_its_execute(tmp_path: Path, sql: str) -> None:
    code = f'cur.execute("{sql}", (1, 2))\nreturn jsonify(cur.fetchall())\n'
    found = findings(RULE, tmp_path, _app(code))
    assert [str(each.place.line) for each in found] == ["7"]
    assert found[0].place.col == 5 and found[0].severity is Severity.medium and found[0].routes == ("GET /",)


@pytest.mark.parametrize("sql", [
    "SELECT id, count(*) OVER () FROM parts",
    "SELECT id, count(*) OVER (PARTITION BY kind) FROM parts LIMIT 20",
    "SELECT id, row_number() OVER () FROM parts LIMIT 20",
    "SELECT id, count(*) OVER (ORDER BY id) FROM parts LIMIT 20",
    "SELECT kind, count(*) FROM parts GROUP BY kind LIMIT 20",
    "SELECT id FROM parts ORDER BY id LIMIT 20 OFFSET %s",
])  # fmt: skip
def test_other_pages_and_other_windows_are_left_alone(tmp_path: Path, sql: str) -> None:
    code = f'cur.execute("{sql}", (1, 2))\nreturn jsonify(cur.fetchall())\n'
    assert places(RULE, tmp_path, _app(code)) == []


def test_a_count_beside_the_page_of_the_same_list_is_found(tmp_path: Path) -> None:
    found = findings(RULE, tmp_path, _app("""
        kind = request.args["kind"]
        cur.execute("SELECT count(*) FROM parts WHERE kind = %s", (kind,))
        total = cur.fetchone()[0]
        cur.execute("SELECT id FROM parts WHERE kind = %s ORDER BY id LIMIT 20 OFFSET %s", (kind, 3))
        return jsonify(total=total, parts=cur.fetchall())
    """))
    assert [(each.place.line, each.place.col, each.severity) for each in found] == [(8, 5, Severity.low)]
    assert found[0].evidence[0].place.line == 10


@pytest.mark.parametrize(("count", "page"), [
    ("SELECT count(*) FROM orders", "SELECT id FROM parts ORDER BY id LIMIT 20 OFFSET 20"),
    ("SELECT count(*) FROM parts WHERE is_new", "SELECT id FROM parts WHERE kind = %s LIMIT 20 OFFSET 20"),
    ("SELECT count(*) FROM parts", "SELECT id FROM parts ORDER BY id LIMIT 20"),
    ("SELECT kind, count(*) FROM parts GROUP BY kind", "SELECT id FROM parts LIMIT 20 OFFSET 20"),
    ("SELECT count(*) FROM (SELECT 1 FROM parts LIMIT 10000) p", "SELECT id FROM parts LIMIT 20 OFFSET 20"),
])  # fmt: skip
def test_a_count_of_something_else_is_left_alone(tmp_path: Path, count: str, page: str) -> None:
    code = (
        f'cur.execute("{count}")\nn = cur.fetchone()\n'
        f'cur.execute("{page}")\nreturn jsonify(n, cur.fetchall())\n'
    )
    assert places(RULE, tmp_path, _app(code)) == []


def test_a_script_that_counts_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import psycopg2\ncur = psycopg2.connect('').cursor()\n"
        "cur.execute('SELECT id, count(*) OVER () FROM parts LIMIT 5')\n"
    )
    assert places(RULE, tmp_path, {"app.py": HEAD + "    return ''\n", "tool.py": code}) == []
