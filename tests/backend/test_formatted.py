"""Documents in the app's old formats, against what Python itself made of the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import NodeError, many, one
from backend.formats import FLASK_JSON, STR_JSON, Formats
from backend.formatted import formatted

flask_json = Flask(__name__).json
VALUES = """
    SELECT v.at, v.at::timestamp AS local_at, v.at::date AS day, v.number, v.number::numeric(12, 3) AS short,
           v.at::time AS clock, ARRAY[v.at, NULL] AS moments, ARRAY[v.number, NULL, 0] AS numbers,
           ARRAY[v.at::date] AS days, NULL::timestamptz[] AS none, v.number::float8 AS float, true AS yes
    FROM (VALUES (%(at)s::timestamptz, %(number)s::numeric)) v (at, number)"""


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def legacy_row(conn: Any, sql: str, **parameters: Any) -> dict[str, Any]:
    with conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute(sql, parameters)
        return dict(cursor.fetchone())


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))
NUMBERS = st.one_of(
    st.decimals(-(10**8), 10**8, places=3), st.decimals(-1, 1, places=12), st.decimals(0, 0, places=9),
    st.sampled_from(["0.000001", "0.0000001", "-0.00000012", "NaN", "0", "0.000000", "0.0000000", "1e-20"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=MOMENTS | MOMENTS.map(lambda at: at.replace(microsecond=0)), number=NUMBERS)
def test_flask_json_is_what_jsonify_made_of_the_same_row(conn: Any, at: datetime, number: Any) -> None:
    columns = "at, local_at, day, number, short, moments, numbers, days, none, yes"
    sql = f"SELECT {columns} FROM ({VALUES}) x"
    legacy = flask_json.loads(flask_json.dumps(legacy_row(conn, sql, at=at, number=str(number))))
    assert formatted(one(sql), FLASK_JSON).fetch(conn, at=at, number=str(number)) == legacy


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=MOMENTS | MOMENTS.map(lambda at: at.replace(microsecond=0)), number=NUMBERS)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_str_json_is_what_default_str_made_of_the_row(conn: Any, zone: str, at: datetime, number: Any) -> None:
    at = at.replace(year=max(at.year, 1952))  # before, offsets had seconds
    with conn.cursor() as cursor:
        cursor.execute(f"SET timezone = '{zone}'")
    sql = f"SELECT at, local_at, day, number, short, clock, moments, numbers, days, none FROM ({VALUES}) x"
    legacy = json.loads(json.dumps(legacy_row(conn, sql, at=at, number=str(number)), default=str))
    assert formatted(one(sql), STR_JSON).fetch(conn, at=at, number=str(number)) == legacy


@pytest.mark.parametrize("at", [datetime(2024, 3, 1, 8, 20, 30, 120000), datetime(2024, 3, 1, 8, 20, 30)])
def test_isoformat_and_floats(conn: Any, at: datetime) -> None:
    sql = "SELECT at, at::timestamp AS local_at, clock, number FROM (" + VALUES + ") x"
    row = legacy_row(conn, sql, at=at.replace(tzinfo=timezone.utc), number="12.50")
    got = formatted(one(sql), Formats(timestamps="isoformat", decimals="float")).fetch(
        conn, at=at.replace(tzinfo=timezone.utc), number="12.50"
    )
    assert got == {
        **{name: row[name].isoformat() for name in ("at", "local_at", "clock")}, "number": float(row["number"]),
    }  # fmt: skip


@pytest.mark.parametrize("infinity", ["infinity", "-infinity"])
@pytest.mark.parametrize("kind", ["timestamp", "date"])
def test_infinities_are_what_psycopg2_and_flask_make_of_them(conn: Any, infinity: str, kind: str) -> None:
    sql = f"SELECT '{infinity}'::{kind} AS at"
    legacy = flask_json.loads(flask_json.dumps(legacy_row(conn, sql)))
    assert formatted(one(sql), FLASK_JSON).fetch(conn) == legacy


@pytest.mark.parametrize("infinity", ["infinity", "-infinity"])
@pytest.mark.parametrize("kind", ["timestamp", "timestamptz", "date"])
def test_infinities_are_what_psycopg2_and_str_make_of_them(conn: Any, infinity: str, kind: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute("SET timezone = 'Asia/Kolkata'")
    sql = f"SELECT '{infinity}'::{kind} AS at"
    legacy = json.loads(json.dumps(legacy_row(conn, sql), default=str))
    assert formatted(one(sql), STR_JSON).fetch(conn) == legacy


def test_every_node_of_a_tree_is_formatted_and_its_order_and_shape_stay(conn: Any) -> None:
    tree = one(
        """WITH c AS (SELECT 1 AS id, 1.50 AS credit, 'a%' AS name)
           SELECT c.id, c.credit, c.name, {orders}, {latest} FROM c WHERE c.id = %(id)s""",
        orders=many(
            """SELECT o.n, o.n * 1.10 AS total, {lines} FROM generate_series(1, %(id)s + 1) o (n)
               ORDER BY o.n DESC""",
            lines=many("SELECT o.n + c.id AS m, 2.0 * l.x AS price FROM generate_series(1, 2) l (x) ORDER BY l.x"),
        ),
        latest=one("SELECT date '2024-03-01' AS day WHERE c.id > 5"),
    )
    lines = {n: [{"m": n + 1, "price": price} for price in ("2.0", "4.0")] for n in (1, 2)}
    old = formatted(tree, FLASK_JSON)
    for _ in range(2):
        assert old.fetch(conn, id=1) == {
            "id": 1, "credit": "1.50", "name": "a%", "latest": None,
            "orders": [{"n": 2, "total": "2.20", "lines": lines[2]}, {"n": 1, "total": "1.10", "lines": lines[1]}],
        }  # fmt: skip
    assert old.json(conn, id=2) is None


def test_a_parent_without_from_and_names_that_need_quotes(conn: Any) -> None:
    tree = one('SELECT %(n)s AS n, {kids}', kids=many('SELECT 1.0 AS "a ""50%%"" {b}", %(n)s AS n'))
    assert formatted(tree, FLASK_JSON).fetch(conn, n=3) == {"n": 3, "kids": [{'a "50%" {b}': "1.0", "n": 3}]}


def test_a_document_without_such_values_is_the_same_statement(conn: Any) -> None:
    tree = one("SELECT 1 AS id, {kids}", kids=many("SELECT 'x' AS text"))
    assert formatted(tree, FLASK_JSON).statement(conn).sql == tree.sql


def test_it_is_one_statement_after_the_first_call(conn: Any) -> None:
    sent: list[str] = []

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, sql: Any, vars: Any = None) -> None:
            sent.append(sql)
            super().execute(sql, vars)

    conn.cursor_factory = Cursor
    old = formatted(one("SELECT 1.0 AS x, {kids}", kids=many("SELECT now() AS at")), FLASK_JSON)
    old.json(conn)
    first = len(sent)
    old.json(conn)
    assert len(sent) == first + 1


def test_a_hole_that_cannot_be_described_is_refused_with_its_name(conn: Any) -> None:
    tree = many("SELECT x.* FROM (SELECT a.n, {kids} FROM generate_series(1, 2) a (n)) x", kids=many("SELECT a.n"))
    assert len(tree.fetch(conn)) == 2
    with pytest.raises(NodeError, match=r"{kids} must stand in the outermost SELECT list"):
        formatted(tree, FLASK_JSON).fetch(conn)


@pytest.mark.parametrize("options", [{"timestamps": "iso"}, {"dates": "iso"}, {"decimals": "money"}])
def test_an_unknown_format_is_refused_with_the_choices(options: dict[str, str]) -> None:
    with pytest.raises(NodeError, match="is not one of json, "):
        Formats(**options)


def test_parameters_are_checked_as_the_nodes(conn: Any) -> None:
    with pytest.raises(NodeError, match="missing n"):
        formatted(one("SELECT %(n)s AS n"), FLASK_JSON).json(conn)
