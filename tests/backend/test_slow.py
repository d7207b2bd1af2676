"""Slow queries on a real server: what is reported, what it is called, what stays out, and what the log says."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from contextvars import copy_context
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from backend import Hardening, connection, events, explain, get_db_connection, monitor, slow, watch
from backend.events import SlowQuery
from backend.fingerprint import statement_of
from backend.monitor import watching
from backend.settings import load
from tests.support.threads import Running

from .conftest import MakePool

SLEEP = "SELECT pg_sleep(0.03), %s"


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "monitored", monitor.cursor_of)
    slow.clear()
    with watching():  # outside nothing is told
        yield
    watch.stop()
    slow.clear()
    explain.explainer.clear()


@pytest.fixture
def told() -> Iterator[list[SlowQuery]]:
    """Slow queries, in their order."""
    found: list[SlowQuery] = []
    events.listen(SlowQuery, found.append)
    yield found
    events.unlisten(SlowQuery, found.append)


def start(**settings: Any) -> None:
    slow.start(load({"DB_SLOW_QUERY_MS": 10, **settings}, {}, {}))


def test_a_slow_query_is_told_with_its_line_and_without_its_values(
    make_pool: MakePool, told: list[SlowQuery]
) -> None:
    start()
    with make_pool().connection() as conn:
        conn.cursor().execute(SLEEP, ("personal",))
        conn.cursor().execute("SELECT 1")
    (found,) = told
    assert found.statement.text == "select pg_sleep(?), ?"
    assert found.site.endswith("in test_a_slow_query_is_told_with_its_line_and_without_its_values")
    assert "test_slow.py:" in found.site
    assert found.seconds >= 0.03
    assert (found.rows, found.route, found.request_id, found.sqlstate, found.values) == (1, "", "", "", None)
    assert not found.is_timeout


def test_of_a_helper_in_another_file_the_caller_is_told_as_well(
    make_pool: MakePool, told: list[SlowQuery], tmp_path: Path
) -> None:
    start()
    helper: dict[str, Any] = {}
    source = "def query(conn, sql):\n    conn.cursor().execute(sql)\n"
    exec(compile(source, str(tmp_path / "db.py"), "exec"), helper)
    with make_pool().connection() as conn:
        helper["query"](conn, "SELECT pg_sleep(0.03)")
        _sleep(conn)
    by_helper, here = told
    assert by_helper.site.endswith("db.py:2 in query")
    assert by_helper.caller.endswith(" in test_of_a_helper_in_another_file_the_caller_is_told_as_well")
    assert f"{by_helper.site}, called from {by_helper.caller}" in slow.message(by_helper)
    assert "called from" not in slow.message(here)


def test_decorators_around_a_view_are_not_told_as_its_callers(
    make_pool: MakePool, told: list[SlowQuery], tmp_path: Path
) -> None:
    start()
    decorators: dict[str, Any] = {}
    exec(compile("def call(f, *args):\n    f(*args)\n", str(tmp_path / "auth.py"), "exec"), decorators)
    with make_pool().connection() as conn, watching() as watched:
        watched.kind, watched.function = "request", "shop._sleep"
        decorators["call"](_sleep, conn)
    assert (told[0].site.rpartition(" in ")[2], told[0].caller) == ("_sleep", "")


def _sleep(conn: Any) -> None:
    conn.cursor().execute("SELECT pg_sleep(0.03)")


def test_a_limit_of_a_few_milliseconds_is_told_as_one(make_pool: MakePool, told: list[SlowQuery]) -> None:
    start(DB_SLOW_QUERY_MS=2)
    with make_pool().connection() as conn:
        _sleep(conn)
    assert "(limit 0.0020)" in slow.message(told[0])


def test_0_reports_nothing(make_pool: MakePool, told: list[SlowQuery]) -> None:
    start()
    start(DB_SLOW_QUERY_MS=0)
    with make_pool().connection() as conn:
        conn.cursor().execute(SLEEP, (1,))
    assert told == []


def test_outside_a_request_and_a_block_nothing_is_told(make_pool: MakePool, told: list[SlowQuery]) -> None:
    start()
    with make_pool().connection() as conn:
        copy_context().run(_sleep_unwatched, conn)
        _sleep(conn)
    assert len(told) == 1


def _sleep_unwatched(conn: Any) -> None:
    monitor.at_work.set(None)
    _sleep(conn)
    with pytest.raises(psycopg2.errors.QueryCanceled), conn.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '20ms'")
        cursor.execute("SELECT pg_sleep(20)")
    conn.rollback()


def test_it_says_whose_query_it_was(url: str, told: list[SlowQuery]) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, DB_SLOW_QUERY_MS=10)

    @app.get("/users/<int:number>")
    def profile(number: int) -> str:
        get_db_connection().cursor().execute(SLEEP, (number,))
        with watching("inner"):
            get_db_connection().cursor().execute(SLEEP, (number,))
        return ""

    assert app.test_client().get("/users/4711", headers={"X-Request-ID": "abc"}).status_code == 200
    whose = [(found.route, found.request_id) for found in told]
    assert whose == [("/users/<int:number>", "abc"), ("inner", "abc")]


@pytest.mark.parametrize("through", ["dsn", "bouncer"])
def test_a_statement_timeout_is_called_that(
    through: str, request: pytest.FixtureRequest, told: list[SlowQuery], url: str, make_pool: MakePool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    start(DB_SLOW_QUERY_MS=60_000)
    if through == "bouncer":
        url = request.getfixturevalue("bouncer").url("app", "app")
    pool = make_pool(connect={"dsn": url}, reset="pgbouncer" if through == "bouncer" else "rollback")
    with pytest.raises(psycopg2.extensions.QueryCanceledError), pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '50ms'")
        cursor.execute("SELECT pg_sleep(20)")
    (found,) = told
    assert (found.sqlstate, found.is_timeout, found.rows) == ("57014", True, -1)
    assert "statement_timeout ended a query after " in caplog.text


def test_a_cancel_is_no_timeout(
    make_pool: MakePool, told: list[SlowQuery], caplog: pytest.LogCaptureFixture
) -> None:
    start(DB_SLOW_QUERY_MS=60_000)
    conn = make_pool().getconn()
    timer = threading.Timer(0.1, lambda: psycopg2.extensions.connection.cancel(conn))
    timer.start()
    with pytest.raises(psycopg2.extensions.QueryCanceledError), conn.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")
    timer.join()
    (found,) = told
    assert (found.sqlstate, found.is_timeout) == ("57014", False)
    assert "query cancelled after " in caplog.text


class _Error(Exception):
    """What the driver raises, as a server that speaks German says it."""

    pgcode = "57014"

    class diag:
        message_primary = "storniere Anfrage wegen Zeitüberschreitung"


def test_in_another_language_the_time_tells_a_timeout_from_a_cancel(make_pool: MakePool, dsn: str) -> None:
    pool = make_pool(connect={"dsn": dsn, "options": "-c statement_timeout=2s"})
    with pool.connection() as conn, conn.cursor() as cursor:
        assert slow._is_timeout(cursor, "57014", _Error(), 2.01)
        assert not slow._is_timeout(cursor, "57014", _Error(), 1.5)
    with make_pool(statement_timeout_ms=1500).connection() as conn, conn.cursor() as cursor:
        assert slow._is_timeout(cursor, "57014", _Error(), 1.5)
    with make_pool().connection() as conn, conn.cursor() as cursor:
        assert not slow._is_timeout(cursor, "57014", _Error(), 100.0)  # nobody knows: it is called cancelled


def test_a_lock_timeout_and_a_deadlock_are_called_that(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    pool = make_pool(1, 3)
    one, other = pool.getconn(), pool.getconn()
    for conn, key in ((one, 71), (other, 72)):
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    with pytest.raises(psycopg2.errors.LockNotAvailable), pool.connection() as third, third.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '50ms'")
        cursor.execute("SELECT pg_advisory_xact_lock(71)")
    assert "lock not granted after " in caplog.text
    waiting = Running(copy_context().run, one.cursor().execute, "SELECT pg_advisory_xact_lock(72)")
    try:
        other.cursor().execute("SELECT pg_advisory_xact_lock(71)")
    except psycopg2.errors.DeadlockDetected:
        other.rollback()
        waiting.join()
    else:
        assert isinstance(waiting.error(), psycopg2.errors.DeadlockDetected)
    assert "deadlock after " in caplog.text


def test_values_are_told_when_asked_for_and_never_those_of_passwords(
    make_pool: MakePool, told: list[SlowQuery], caplog: pytest.LogCaptureFixture
) -> None:
    start(DB_QUERY_VALUES=True, DB_SLOW_QUERY_MS=0.0001)
    with make_pool().connection() as conn, conn.cursor() as cursor:
        cursor.execute(SLEEP, ("x" * 300,))
        cursor.execute("SELECT %(password)s", {"password": "hunter2"})
        with pytest.raises(psycopg2.Error):
            cursor.execute("ALTER ROLE no_such PASSWORD %s", ("hunter2",))
    assert "values: '" + "x" * 40 in caplog.text
    assert "x" * 101 not in caplog.text
    assert "hunter2" not in caplog.text
    assert [found.values for found in told][1:] == ["withheld, for the statement names a secret"] * 2


@pytest.mark.parametrize("query", [
    "SELECT pg_sleep(0.03), 'personal'", b"SELECT pg_sleep(0.03), 'personal'",
    sql.SQL("SELECT pg_sleep(0.03), {}").format(sql.Literal("personal")), "SELEC pg_sleep(1), 'personal'",
    f"SELECT pg_sleep(0.03), '{'personal' * 130_000}'", "SELECT pg_sleep(0.03) /* personal */",
    b"SELECT pg_sleep(0.03) -- \xff personal",
])  # fmt: skip
def test_whatever_the_sql_is_made_of_no_value_gets_out(
    query: Any, make_pool: MakePool, told: list[SlowQuery], caplog: pytest.LogCaptureFixture
) -> None:
    start(DB_SLOW_QUERY_MS=0.0001)
    pool = make_pool()
    conn = pool.getconn()
    try:
        conn.cursor().execute(query)
    except psycopg2.Error as error:
        assert error.pgcode in ("42601", "22021")
    assert len(told) == 1
    assert "personal" not in caplog.text
    assert len(caplog.messages[0]) < 1500
    assert len(caplog.messages[0].splitlines()) == 1


def test_batches_procedures_and_named_cursors_are_told_too(make_pool: MakePool, told: list[SlowQuery]) -> None:
    start()
    with make_pool().connection() as conn, watching("job"):
        conn.cursor().executemany(SLEEP, [(1,), (2,)])
        conn.cursor().callproc("pg_sleep", (0.03,))
        named = conn.cursor("named", cursor_factory=RealDictCursor)
        named.execute(SLEEP, (1,))
        named.fetchall()
    texts = [found.statement.text for found in told]
    assert texts[:2] == ["select pg_sleep(?), ?", "call pg_sleep()"]
    assert texts[-1] == "fetch"  # on a busy machine its DECLARE is slow as well
    assert {found.route for found in told} == {"job"}


def test_the_first_is_logged_at_once_and_the_rest_is_summed_up(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    with make_pool().connection() as conn, conn.cursor() as cursor:
        for number in range(4):
            cursor.execute(SLEEP, (number,))
        assert len(caplog.messages) == 1
        slow._table._rows[statement_of(SLEEP).id].quiet[""].until = 0.0
        cursor.execute(SLEEP, (4,))
    first, second = caplog.records
    assert first.getMessage().startswith("slow query: 0.")
    assert " s (limit 0.01) at " in first.getMessage()
    assert first.getMessage().endswith(", 1 rows: select pg_sleep(?), ?")
    assert "; 3 more since the last line, 0." in second.getMessage()
    assert isinstance(vars(first)["event"], SlowQuery)
    assert first.levelno == logging.WARNING


def test_groups_have_what_the_page_shows(make_pool: MakePool, told: list[SlowQuery]) -> None:
    start()
    with make_pool().connection() as conn:
        for name in ("/a", "/b", "/a"):
            with watching(name):
                conn.cursor().execute(SLEEP, (1,))
        conn.cursor().execute("SELECT pg_sleep(0.02)")
    first, second = slow.groups()
    assert first["statement"]["text"] == "select pg_sleep(?), ?"
    assert (first["count"], first["routes"], first["site"]) == (3, ["/a", "/b"], told[0].site)
    assert first["slowest"] <= first["seconds"]
    assert second["count"] == 1
    assert len(slow.groups(1)) == 1
    assert set(first) == {
        "count", "failed", "last", "routes", "seconds", "site", "slowest", "statement", "timeouts",
    }  # fmt: skip


def test_a_listener_that_fails_costs_the_app_nothing(make_pool: MakePool) -> None:
    def broken(_: SlowQuery) -> None:
        raise RuntimeError("broken")

    start()
    events.listen(SlowQuery, broken)
    try:
        with make_pool().connection() as conn, closing(conn.cursor()) as cursor:
            cursor.execute(SLEEP, (7,))
            assert cursor.fetchone()[1] == 7
    finally:
        events.unlisten(SlowQuery, broken)
