"""H209."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.select_star import RULE

from ..looking import findings, places

HEAD = """\
import psycopg2
from flask import Flask, jsonify, render_template
app = Flask(__name__)
@app.route("/")
def page():
    cur = psycopg2.connect("dbname=x").cursor()
    cur.execute("SELECT * FROM papers")
"""  # the statement is in line 7
DDL = """\
CREATE TABLE papers (id serial PRIMARY KEY, title text, author text, year int, scan bytea, facts jsonb);
CREATE TABLE people (id serial PRIMARY KEY, name text, mail text, phone text, town text, born date);
"""


def _app(code: str, sql: str = "SELECT * FROM papers") -> dict[str, str]:
    text = HEAD.replace("SELECT * FROM papers", sql) + indent(dedent(code).lstrip("\n"), "    ")
    return {"app.py": text, "schema.sql": DDL}


@pytest.mark.parametrize(("code", "columns"), [
    ("return jsonify([r['title'] for r in cur.fetchall()])", "title"),
    ("rows = cur.fetchall()\nif not rows:\n    return ''\nreturn jsonify([(r['year'], r['title']) for r in rows])",
     "title, year"),
    ("names = []\nfor r in cur.fetchall():\n    if r.get('year'):\n        names.append(r['title'])\n"
     "return jsonify(names)", "title, year"),
    ("return jsonify([r[1] for r in cur.fetchall()])", "title"),
    ("return jsonify([r.title for r in cur.fetchall()])", "title"),
    ("row = cur.fetchone()\nif row is None:\n    return ''\nreturn row['author']", "author"),
    ("return cur.fetchone()[2]", "author"),
    ("rows = cur.fetchall()\nreturn rows[0]['title'] + str(len(rows))", "title"),
])  # fmt: skip
def test_a_star_of_which_little_is_read_is_found_at_its_statement(
    tmp_path: Path, code: str, columns: str
) -> None:
    [finding] = findings(RULE, tmp_path, _app(code))
    assert (finding.place.line, finding.place.col, finding.severity) == (7, 5, Severity.medium)
    assert "of papers's 6 columns" in finding.message and "scan bytea, facts jsonb" in finding.message
    assert finding.fix == f"Name what is read: `SELECT {columns} FROM papers ...`."


@pytest.mark.parametrize("code", [
    "return jsonify(cur.fetchall())",
    "rows = cur.fetchall()\nreturn render_template('a.html', rows=rows)",
    "return jsonify([dict(r) for r in cur.fetchall()])",
    "return jsonify([r for r in cur.fetchall()])",
    "return jsonify([t for i, t, a, y, s, f in cur.fetchall()])",
    "rows = cur.fetchall()\nshow(rows[0])\nreturn rows[0]['title']",
    "for r in cur.fetchall():\n    r['title'] = 'x'\nreturn ''",
    "for r in cur.fetchall():\n    save(r, r['title'])\nreturn ''",
    "return jsonify([r[key] for r in cur.fetchall()])",
    "return jsonify([list(r.values()) for r in cur.fetchall()])",
    "return jsonify([r['title'] + str(r['other']) for r in cur.fetchall()])",
    "row = cur.fetchone()\nreturn jsonify(row)",
    "if cur.fetchone():\n    return 'there'\nreturn ''",
])  # fmt: skip
def test_rows_that_are_needed_as_a_whole_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, _app(code)) == []


@pytest.mark.parametrize("sql", [
    "SELECT title FROM papers",
    "SELECT *, 1 FROM papers",
    "SELECT * FROM papers JOIN people ON people.id = papers.id",
    "SELECT * FROM (SELECT * FROM papers) p",
    "SELECT * FROM elsewhere",
    "SELECT * FROM papers UNION SELECT * FROM papers",
    "SELECT * FROM papers FOR UPDATE",
])  # fmt: skip
def test_other_statements_are_left_alone(tmp_path: Path, sql: str) -> None:
    assert places(RULE, tmp_path, _app("return jsonify([r['title'] for r in cur.fetchall()])", sql)) == []


def test_a_table_without_wide_columns_is_told_when_most_of_a_list_is_not_read(tmp_path: Path) -> None:
    sql = "SELECT * FROM people p WHERE town = %s"
    [finding] = findings(RULE, tmp_path, _app("return jsonify([r['name'] for r in cur.fetchall()])", sql))
    assert finding.severity is Severity.low and finding.gain == "6 columns a row -> 1"
    most = "return jsonify([r['name'] + r['mail'] + r['phone'] + r['town'] for r in cur.fetchall()])"
    assert places(RULE, tmp_path, _app(most, sql)) == []
    assert places(RULE, tmp_path, _app("return cur.fetchone()['name']", sql)) == []
