"""Statements with a comment that says who asks: the same answers, one entry in pg_stat_statements, no way out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import unquote

import psycopg2
import pytest
from flask import Blueprint, Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql
from psycopg2.extras import RealDictCursor, execute_batch, execute_values

from backend import Hardening, connection, get_db_connection, many, monitor, one, watch
from backend.query_log import QueryLog
from backend.settings import load
from backend.sql_comments import start, tag_for, tagged
from scripts.stack.postgres import Cluster

from .conftest import MakePool

TAG = "/*framework='flask',function='views.profile',route='%2Fusers%2F%3Cid%3E'*/"
OWN = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@pytest.fixture(autouse=True)
def _off_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "monitored", monitor.cursor_of)
    yield
    monitor.tag_statements(None)
    watch.stop()


def log(route: str = "/users/<id>", function: str = "views.profile") -> QueryLog:
    made = QueryLog("request", "GET", route, "abc")
    made.function = function
    return made


@pytest.fixture
def conn(make_pool: MakePool) -> Iterator[Any]:
    """A lease, in a request whose statements are tagged."""
    start(load({"DB_SQL_COMMENTS": True}, {}, {}))
    request = monitor.begin(log())
    yield make_pool().getconn()
    monitor.end(request)


def seen(cursor: Any, query: Any, values: Any = None) -> str:
    """Return what the server was sent, once the answer is the same as without a comment."""
    cursor.execute(query, values)
    rows = cursor.fetchall()
    with_tag = cursor.query.decode()
    monitor.tag_statements(None)
    cursor.execute(query, values)
    assert cursor.fetchall() == rows
    monitor.tag_statements(tagged)
    return str(with_tag)


@pytest.mark.parametrize(("query", "values", "sent"), [
    ("SELECT 1", None, f"SELECT 1 {TAG}"),
    ("SELECT 1;", None, f"SELECT 1 {TAG};"),
    ("SELECT 1 ; \n", None, f"SELECT 1 {TAG};"),
    ("SELECT 1 -- one", None, f"SELECT 1 -- one\n{TAG}"),
    ("SELECT 1 -- one;", None, f"SELECT 1 -- one\n{TAG};"),
    ("SELECT 1 -- one\n", None, f"SELECT 1 -- one\n{TAG}"),
    ("SELECT 1 -- one\n + 1", None, f"SELECT 1 -- one\n + 1 {TAG}"),
    ("SELECT '--'", None, f"SELECT '--'\n{TAG}"),
    ("SELECT 1 /* one */", None, f"SELECT 1 /* one */ {TAG}"),
    ("SELECT 1 /*traceparent='00-1'*/", None, "SELECT 1 /*traceparent='00-1'*/"),
    ("SELECT 1 /*a='b',c='d'*/;", None, "SELECT 1 /*a='b',c='d'*/;"),
    ("SELECT 'a%'", None, f"SELECT 'a%' {TAG}"),
    ("SELECT 'a%%', %s", (5,), f"SELECT 'a%', 5 {TAG}"),
    ("SELECT %(a)s", {"a": "x%"}, f"SELECT 'x%' {TAG}"),
    ("SELECT 1", (), f"SELECT 1 {TAG}"),
    ("SELECT 1", {}, f"SELECT 1 {TAG}"),
    (b"SELECT 'a%'", None, f"SELECT 'a%' {TAG}"),
    (b"SELECT 'a%%', %s;", (5,), f"SELECT 'a%', 5 {TAG};"),
    ("SELECT 'ü'".encode(), None, f"SELECT 'ü' {TAG}"),
    (sql.SQL("SELECT 1 -- one"), None, f"SELECT 1 -- one\n{TAG}"),
    (sql.SQL("SELECT {}, %s").format(sql.Literal("a%%")), (5,), f"SELECT 'a%', 5\n{TAG}"),
    (sql.SQL("SELECT {}").format(sql.Literal("a%")), None, f"SELECT 'a%'\n{TAG}"),
])  # fmt: skip
def test_the_server_is_sent_the_statement_with_its_comment(query: Any, values: Any, sent: str, conn: Any) -> None:
    assert seen(conn.cursor(), query, values) == sent


@pytest.mark.parametrize("through", ["dsn", "bouncer"])
def test_pg_stat_activity_shows_who_asks(
    through: str, request: pytest.FixtureRequest, make_pool: MakePool, url: str
) -> None:
    if through == "bouncer":
        url = request.getfixturevalue("bouncer").url("app", "app")
    app = Flask(__name__)
    transaction = "transaction" if through == "bouncer" else "off"
    Hardening(app, DATABASE_URL=url, DB_SQL_COMMENTS=True, DB_PGBOUNCER=transaction)
    views = Blueprint("views", __name__)

    @views.get("/users/<id>")
    def profile(id: str) -> str:
        with get_db_connection() as conn, conn.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(f"{OWN} AND %s <> ''", (id,))
            return str(cursor.fetchone()["query"])

    app.register_blueprint(views)
    for path in ("5", "*%2F;--", "'", "x*/ DROP TABLE x; /*"):
        answer = app.test_client().get(f"/users/{path}")
        assert answer.status_code in (200, 404)
        assert answer.status_code == 404 or answer.get_data(as_text=True).endswith(TAG)


def test_pg_stat_statements_counts_the_routes_of_a_statement_as_one(
    cluster: Cluster, make_pool: MakePool
) -> None:
    start(load({"DB_SQL_COMMENTS": True}, {}, {}))
    with closing(cluster.connect("app")) as admin, admin.cursor() as cursor:
        with make_pool().connection() as conn:
            for number in range(4):
                request = monitor.begin(log(f"/route/{number}"))
                conn.cursor().execute("SELECT min(relallvisible) + %s FROM pg_class", (number,))
                monitor.end(request)
        cursor.execute("SELECT calls, query FROM pg_stat_statements WHERE query ~ 'min.relallvisible'")
        (entry,) = cursor.fetchall()
        assert entry[0] == 4
        assert entry[1].startswith("SELECT min(relallvisible) + $1 FROM pg_class")


def test_batches_named_cursors_and_copy_work(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute("CREATE TEMP TABLE tagged (a int, b text)")
    cursor.executemany("INSERT INTO tagged VALUES (%s, '100 %%')", [(1,), (2,)])
    assert cursor.query.decode().endswith(TAG)
    execute_values(cursor, "INSERT INTO tagged VALUES %s", [(3, "%"), (4, "%s")])
    assert cursor.query.decode().endswith(f"(4,'%s') {TAG}")
    execute_batch(cursor, "INSERT INTO tagged VALUES (%s, 'x')", [(5,), (6,)])
    assert cursor.query.decode().count(TAG) == 1
    cursor.copy_expert("COPY tagged FROM STDIN", io.StringIO("7\tx\n"))
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT a FROM tagged ORDER BY a) TO STDOUT", out)
    assert out.getvalue() == "1\n2\n3\n4\n5\n6\n7\n"
    cursor.execute("SELECT b FROM tagged WHERE a < 5 ORDER BY a")
    assert cursor.fetchall() == [("100 %",), ("100 %",), ("%",), ("%s",)]
    for end in ("", ";", " -- all"):
        with conn.cursor("named") as named:
            named.execute(f"SELECT a FROM tagged WHERE a > %s{end}", (5,))
            assert sorted(named.fetchall()) == [(6,), (7,)]
    conn.rollback()


def test_the_kit_s_kept_plans_stay_as_they_are(conn: Any) -> None:
    conn.autocommit = True
    document = one("SELECT %(n)s AS n, {rest}", rest=many("SELECT g FROM generate_series(1, 2) g"))
    texts = []
    for number in range(3):
        assert json.loads(document.json(conn, n=number)) == {"n": number, "rest": [{"g": 1}, {"g": 2}]}
        with conn.cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_prepared_statements")
            texts += [row[0] for row in cursor.fetchall()]
    assert texts
    assert not any("flask" in text for text in texts)


@pytest.mark.parametrize("query", ["", b"", None, 5, " ", ";"])
def test_what_is_no_statement_fails_as_ever(query: Any, make_pool: MakePool) -> None:
    with make_pool().connection() as conn:
        with pytest.raises((psycopg2.ProgrammingError, TypeError)) as plain:
            conn.cursor().execute(query)
        start(load({"DB_SQL_COMMENTS": True}, {}, {}))
        request = monitor.begin(log())
        with pytest.raises((psycopg2.ProgrammingError, TypeError)) as with_comments:
            conn.cursor().execute(query)
        monitor.end(request)
        assert str(plain.value) == str(with_comments.value)


def test_outside_of_requests_and_without_the_setting_nothing_is_added(make_pool: MakePool) -> None:
    with make_pool().connection() as conn, conn.cursor() as cursor:
        start(load({"DB_SQL_COMMENTS": True}, {}, {}))
        cursor.execute("SELECT 1")
        assert cursor.query == b"SELECT 1"
        with monitor.watching("job */ "):
            cursor.execute("SELECT 1")
            assert cursor.query == b"SELECT 1"
        start(load({}, {}, {}))
        request = monitor.begin(log())
        cursor.execute("SELECT 1")
        assert cursor.query == b"SELECT 1"
        monitor.end(request)


def test_a_request_s_comment_is_made_once_and_not_before_its_route_is_known() -> None:
    request = log(route="")
    assert tagged("SELECT 1", None, request) == "SELECT 1"
    assert request.tag is None
    request.route = "/users/<id>"
    assert tagged("SELECT 1", None, request) == f"SELECT 1 {TAG}"
    request.route = "/another"
    assert tagged("SELECT 1", None, request) == f"SELECT 1 {TAG}"
    inner = QueryLog("block", route="inner")
    inner.outer = request
    assert tagged("SELECT 1", None, inner).endswith("route='%2Fanother'*/")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_in_a_name_closes_the_comment(route: str, function: str) -> None:
    tag = tag_for(route, function)
    inside = tag[2:-2]
    assert tag.isascii()
    assert "*/" not in inside
    assert "/*" not in inside
    pairs = dict(pair.split("=", 1) for pair in inside.split(","))
    assert list(pairs) == sorted(pairs)
    assert all(value[0] == value[-1] == "'" and "'" not in value[1:-1] for value in pairs.values())
    if route.isprintable() and route:
        assert unquote(pairs["route"][1:-1]) == route


PIECES = st.sampled_from([
    "SELECT 1", "'", "''", "--", "\n", ";", "/*", "*/", "$$", '"', "E'\\'", " ", "+ 1", ", 'x'", "%", "-", "/",
    "*", "SELECT 'a'", "\\",
])  # fmt: skip


def test_no_statement_means_something_else_with_its_comment(dsn: str) -> None:
    """Whatever a statement ends in: the same rows, or the same kind of error."""
    request = log()
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        conn.autocommit = True

        def outcome(query: str) -> Any:
            try:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else cursor.statusmessage
            except psycopg2.Error as error:
                return error.pgcode or str(error)

        @settings(max_examples=400, deadline=None)
        @given(st.lists(PIECES, max_size=7))
        def same(pieces: list[str]) -> None:
            query = "SELECT 1" + "".join(pieces)
            assert outcome(tagged(query, None, request)) == outcome(query)

        same()


def test_a_megabyte_is_no_problem(conn: Any) -> None:
    cursor = conn.cursor()
    cursor.execute(f"SELECT '{'x' * 1_000_000}'")
    assert len(cursor.fetchone()[0]) == 1_000_000


def test_pgbouncer_s_console_is_left_alone() -> None:
    assert tagged("SHOW POOLS", None, log()) == "SHOW POOLS"
