"""H204."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.unindexed_filter import RULE

from ..looking import findings, places

APP = """\
import psycopg2
from flask import Flask, jsonify
app = Flask(__name__)
@app.route("/")
def page():
    cur = psycopg2.connect("dbname=x").cursor()
    cur.execute("{}", (1,))
    return jsonify(cur.fetchall())
"""
DDL = """\
CREATE TABLE users (id serial PRIMARY KEY, name text, mail text UNIQUE, password text, active boolean, born date);
CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users, state text, made timestamp);
CREATE INDEX ON users (lower(name));
"""


def _places(folder: Path, sql: str, ddl: str = DDL) -> list[str]:
    return places(RULE, folder, {"app.py": APP.format(sql), "schema.sql": ddl})


@pytest.mark.parametrize("sql", [
    "SELECT * FROM users WHERE name = %s",
    "SELECT * FROM users WHERE name = %s AND password = %s",
    "SELECT * FROM users u WHERE u.name IN %s",
    "UPDATE users SET active = true WHERE name = %s",
    "DELETE FROM users WHERE name = %s",
    "SELECT * FROM users WHERE lower(mail) = %s",
    "SELECT * FROM orders WHERE made > %s",
    "SELECT * FROM users WHERE name ILIKE %s",
    "SELECT * FROM orders ORDER BY made DESC LIMIT 10",
    "SELECT * FROM orders o JOIN users u ON u.id = o.user_id WHERE state = %s",
    "SELECT * FROM orders WHERE id IN (SELECT id FROM users WHERE name = %s)",
])  # fmt: skip
def test_a_column_without_an_index_is_found_at_the_statement(tmp_path: Path, sql: str) -> None:
    assert _places(tmp_path, sql) == ["app.py:7:5"]


@pytest.mark.parametrize("sql", [
    "SELECT * FROM users WHERE id = %s",
    "SELECT * FROM users WHERE mail = %s",
    "SELECT * FROM users WHERE lower(name) = %s",
    "SELECT * FROM users WHERE id = %s AND name = %s",
    "SELECT * FROM orders WHERE user_id = %s AND state = %s",
    "SELECT * FROM users WHERE active = %s",
    "SELECT * FROM orders WHERE state = 'open'",
    "SELECT * FROM users ORDER BY name",
    "SELECT * FROM elsewhere WHERE name = %s",
    "SELECT * FROM users WHERE nothing = %s",
    "SELECT * FROM users u JOIN orders o ON o.user_id = u.id",
    "INSERT INTO users (name) VALUES (%s)",
])  # fmt: skip
def test_what_an_index_serves_is_left_alone(tmp_path: Path, sql: str) -> None:
    assert _places(tmp_path, sql) == []


def test_a_trigram_index_serves_a_search(tmp_path: Path) -> None:
    ddl = f"{DDL}CREATE INDEX ON users USING gin (name gin_trgm_ops);"
    assert _places(tmp_path, "SELECT * FROM users WHERE name ILIKE %s", ddl) == []


def test_one_column_is_one_finding_with_a_statement_to_run(tmp_path: Path) -> None:
    second = APP.format("SELECT id FROM users WHERE name = %s").replace("page", "two")
    app = APP.format("SELECT * FROM users WHERE name = %s") + second[second.index("@app") :]
    (found,) = findings(RULE, tmp_path, {"app.py": app, "schema.sql": DDL})
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS users_name_idx ON users (name);" in found.fix
    assert (len(found.more), found.severity, found.evidence[0].place.path) == (1, Severity.medium, "schema.sql")


def test_a_search_is_told_to_use_trigrams(tmp_path: Path) -> None:
    app = APP.format("SELECT * FROM users WHERE name ILIKE %s")
    (found,) = findings(RULE, tmp_path, {"app.py": app, "schema.sql": DDL})
    assert "USING gin (name gin_trgm_ops)" in found.fix
