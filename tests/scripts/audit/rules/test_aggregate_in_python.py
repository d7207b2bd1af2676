"""H208."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.aggregate_in_python import RULE

from ..looking import findings, places

HEAD = """\
import psycopg2
from collections import Counter, defaultdict
from flask import Flask, jsonify, render_template, request
app = Flask(__name__)
@app.route("/")
def page():
    cur = psycopg2.connect("dbname=x").cursor()
    cur.execute("SELECT * FROM orders")
"""  # the fetch is in line 9


def _app(code: str, sql: str = "SELECT * FROM orders") -> dict[str, str]:
    return {"app.py": HEAD.replace("SELECT * FROM orders", sql) + indent(dedent(code).lstrip("\n"), "    ")}


@pytest.mark.parametrize(("code", "column", "what"), [
    ("return jsonify(n=len(cur.fetchall()))", 26, "counted"),
    ("rows = cur.fetchall()\nn = len(rows)\nreturn jsonify(n)", 12, "counted"),
    ("rows = cur.fetchall()\nif not rows:\n    return 'none'\nreturn jsonify(sum(r['x'] for r in rows))", 12,
     "tested for being there and added up"),
    ("rows = cur.fetchall()\nif len(rows) > 0:\n    return 'some'\nreturn 'none'", 12, "tested for being there"),
    ("if cur.fetchall():\n    return 'some'\nreturn 'none'", 8, "tested for being there"),
    ("return jsonify(sum([float(r[2]) * r[3] for r in cur.fetchall() if r['paid']]))", 53, "added up"),
    ("total = 0\nfor r in cur.fetchall():\n    total += r['x']\nreturn jsonify(total)", 14, "added up"),
    ("best = max(r['x'] for r in cur.fetchall())\nreturn jsonify(best)", 32, "compared"),
    ("return jsonify(Counter(r['state'] for r in cur.fetchall()))", 48, "counted or added up by group"),
    ("n = defaultdict(int)\nfor r in cur.fetchall():\n    if r['paid']:\n        n[r['state']] += 1\n"
     "return jsonify(n)", 14, "counted or added up by group"),
])  # fmt: skip
def test_rows_that_only_become_a_figure_are_found(tmp_path: Path, code: str, column: int, what: str) -> None:
    found = findings(RULE, tmp_path, _app(code))
    assert [each.place.col for each in found] == [column]
    assert f"only {what} here" in found[0].message and found[0].severity is Severity.medium


@pytest.mark.parametrize("code", [
    "rows = cur.fetchall()\nreturn jsonify(rows=rows, total=len(rows))",
    "rows = cur.fetchall()\nprint(len(rows))\nreturn render_template('a.html', rows=rows)",
    "rows = cur.fetchall()\nfor r in rows:\n    print(r)\nreturn str(len(rows))",
    "rows = cur.fetchall()\nreturn jsonify(rows or [])",
    "rows = cur.fetchall()\nif len(rows) > 0:\n    return jsonify(rows[0])\nreturn ''",
    "rows = cur.fetchall()\nrows = rows[1:]\nreturn str(len(rows))",
    "rows = cur.fetchall()\ndef later():\n    return rows\nreturn str(len(rows))",
    "rows = cur.fetchall()\nreturn str(len(rows)) + str(locals())",
    "return jsonify(max(cur.fetchall()))",
    "return jsonify(sum(price_of(r) for r in cur.fetchall()))",
    "return jsonify([r['x'] for r in cur.fetchall()])",
    "seen = []\nfor r in cur.fetchall():\n    seen += [r]\n    print(r)\nreturn jsonify(seen)",
    "total = 0\nfor r in cur.fetchall():\n    total += r['x']\n    show(r)\nreturn jsonify(total)",
    "return jsonify(n=cur.fetchone()[0])",
    "return jsonify(n=len(request.args))",
])  # fmt: skip
def test_rows_that_anything_else_needs_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, _app(code)) == []


@pytest.mark.parametrize("sql", [
    "SELECT * FROM orders LIMIT 50",
    "SELECT count(*) FROM orders",
    "INSERT INTO orders DEFAULT VALUES RETURNING id",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT 1",
])  # fmt: skip
def test_statements_of_few_rows_or_with_an_effect_are_left_alone(tmp_path: Path, sql: str) -> None:
    assert places(RULE, tmp_path, _app("return str(len(cur.fetchall()))", sql)) == []


def test_a_test_for_being_there_by_a_key_is_left_alone_and_a_count_of_it_is_low(tmp_path: Path) -> None:
    sql = "SELECT * FROM orders WHERE customer_id = 7"
    assert places(RULE, tmp_path, _app("if cur.fetchall():\n    return 'a'\nreturn 'b'", sql)) == []
    found = findings(RULE, tmp_path, _app("return str(len(cur.fetchall()))", sql))
    assert [each.severity for each in found] == [Severity.low]


def test_rows_of_a_helper_are_followed_to_the_statement_that_the_call_brings(tmp_path: Path) -> None:
    code = HEAD[: HEAD.index("@app")] + dedent("""
        def query(sql):
            cur = psycopg2.connect("dbname=x").cursor()
            cur.execute(sql)
            return cur.fetchall()
        @app.route("/")
        def page():
            return str(len(query("SELECT id FROM orders")))
        @app.route("/all")
        def everything():
            return jsonify(query("SELECT id FROM customers"))
    """)
    found = findings(RULE, tmp_path, {"app.py": code})
    assert [(each.place.line, each.place.col) for each in found] == [(12, 20)]
    assert "FROM orders" in found[0].message


@pytest.mark.parametrize(("sql", "code", "advice"), [
    ("SELECT id, name FROM orders WHERE paid ORDER BY id", "str(len(cur.fetchall()))",
     "`SELECT count(*) FROM orders WHERE paid`"),
    ("SELECT * FROM orders", "str(bool(cur.fetchall()))", "`SELECT EXISTS (SELECT 1 FROM orders)`"),
    ("SELECT DISTINCT city FROM orders", "str(len(cur.fetchall()))", "Ask for the number"),
    ("SELECT * FROM orders", "str(sum(r[1] for r in cur.fetchall()))", "Ask for the number"),
])  # fmt: skip
def test_the_statement_to_send_is_said_where_it_is_plain(
    tmp_path: Path, sql: str, code: str, advice: str
) -> None:
    assert advice in findings(RULE, tmp_path, _app(f"return {code}", sql))[0].fix
