"""H205."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.unindexed_foreign_key import RULE

from ..looking import findings, places

USERS = "CREATE TABLE users (id serial PRIMARY KEY);\n"
ORDERS = "CREATE TABLE orders (\n    id serial PRIMARY KEY,\n    user_id int REFERENCES users (id)\n);\n"


def _places(folder: Path, sql: str) -> list[str]:
    return places(RULE, folder, {"schema.sql": sql})


@pytest.mark.parametrize("sql, place", [
    (USERS + ORDERS, "schema.sql:4:17"),
    (USERS + ORDERS + "CREATE INDEX ON orders (id, user_id);", "schema.sql:4:17"),
    (USERS + ORDERS + "CREATE INDEX ON orders (user_id) WHERE id > 5;", "schema.sql:4:17"),
    ("CREATE TABLE a (x int);\nALTER TABLE ONLY public.a\n"
    "    ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES b(id);", "schema.sql:3:9"),
    ("CREATE TABLE a (x int, y int, PRIMARY KEY (x, y),\n FOREIGN KEY (y) REFERENCES b);", "schema.sql:2:2"),
])  # fmt: skip
def test_a_key_without_an_index_is_found_where_it_is_made(tmp_path: Path, sql: str, place: str) -> None:
    assert _places(tmp_path, sql) == [place]


@pytest.mark.parametrize("sql", [
    USERS,
    USERS + ORDERS + "CREATE INDEX ON orders (user_id);",
    USERS + ORDERS + "CREATE INDEX ON orders (user_id, id);",
    USERS + ORDERS + "CREATE INDEX ON orders (user_id) WHERE user_id IS NOT NULL;",
    "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y), FOREIGN KEY (x) REFERENCES b);",
    "CREATE TABLE a (x int UNIQUE REFERENCES b);",
    "CREATE TABLE a (x int PRIMARY KEY REFERENCES b);",
    "CREATE TABLE a (x int, y int, FOREIGN KEY (x, y) REFERENCES b (p, q)); CREATE INDEX ON a (y, x);",
    "CREATE TEMP TABLE a (x int REFERENCES b);",
    "CREATE TABLE a (id int AUTO_INCREMENT, x int REFERENCES b);",
])  # fmt: skip
def test_a_key_that_an_index_begins_with_is_left_alone(tmp_path: Path, sql: str) -> None:
    assert _places(tmp_path, sql) == []


def test_the_code_that_pays_for_it_is_the_evidence(tmp_path: Path) -> None:
    app = """\
        import psycopg2
        from flask import Flask
        app = Flask(__name__)
        @app.delete("/users/<int:user>")
        def remove(user):
            cur = psycopg2.connect("dbname=x").cursor()
            cur.execute("DELETE FROM orders WHERE user_id = %s", (user,))
            cur.execute("DELETE FROM users WHERE id = %s", (user,))
            return ""
        """
    (found,) = findings(RULE, tmp_path, {"app.py": app, "schema.sql": USERS + ORDERS})
    assert [each.place.line for each in found.evidence] == [7, 8]
    assert (found.severity, found.routes) == (Severity.medium, ("DELETE /users/<int:user>",))
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_user_id_idx ON orders (user_id);" in found.fix


def test_a_key_that_no_code_uses_is_low(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"schema.sql": USERS + ORDERS})
    assert found.severity == Severity.low


def test_a_name_that_needs_quotes_gets_them(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"schema.sql": 'CREATE TABLE "my orders" (x int REFERENCES b);'})
    assert 'ON "my orders" (x);' in found.fix
