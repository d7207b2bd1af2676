"""Plans of slow statements on a real server: nothing is executed, nobody waits, no value is kept."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql

from backend import connection, explain, get_db_connection, get_pool, install, monitor, slow, watch
from backend.events import SlowQuery, listen, unlisten
from backend.explain import MOST_ASKED, MOST_KEPT, MOST_QUEUED, Explainer, Question, explainer
from backend.fingerprint import statement_of
from backend.settings import load
from tests.support.children import FORKS, in_child
from tests.support.threads import until

from .conftest import MakePool

SLOW = "SELECT count(*) FROM explained WHERE note = %s AND number = 424242"


@pytest.fixture(autouse=True)
def _asks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection, "monitored", monitor.cursor_of)
    monkeypatch.setattr(explain, "PAUSE", 0.0)
    monkeypatch.setattr(explain, "IDLE", 0.02)
    explainer.clear()
    slow.clear()
    with monitor.watching():  # outside nothing is slow
        yield
    watch.stop()
    until(lambda: explainer._thread is None, "the thread has ended")
    explainer.clear()
    slow.clear()


def start(**given: Any) -> None:
    wanted = load({"DB_SLOW_QUERY_MS": 0.0001, **given}, {}, {})
    slow.start(wanted)
    explain.start(wanted)


def asked(count: int = 1) -> Callable[[], bool]:
    return lambda: sum(explainer.counts.values()) >= count


def run(pool: Any, query: Any, values: Any = None) -> None:
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute(query, values)


@pytest.mark.usefixtures("explained")
@pytest.mark.parametrize("through", ["dsn", "bouncer"])
def test_the_plan_of_a_slow_select_comes_without_its_values(
    through: str, request: pytest.FixtureRequest, dsn: str, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    if through == "bouncer":
        dsn = request.getfixturevalue("bouncer").url("app", "app")
    pool = make_pool(connect={"dsn": dsn}, reset="pgbouncer" if through == "bouncer" else "rollback")
    run(pool, SLOW, ("personal",))
    until(asked(), "the plan was asked for")
    assert explainer.counts == {"explained": 1}
    (found,) = explain.plans().values()
    assert found["text"].splitlines()[1:3] == [
        "  -> Seq Scan on explained (cost=1100 rows=1)",
        "       Filter: ((explained.note = ?::text) AND (explained.number = ?))",
    ]
    assert found["text"].endswith(
        "reads all of explained (2 MB) to find rows by note or number, and no index begins with that"
    )
    assert time.time() - 100 < found["when"] <= time.time()
    assert "plan of the slow query select count(*) from explained" in caplog.text
    assert "personal" not in caplog.text
    assert "424242" not in caplog.text


@pytest.mark.usefixtures("explained")
def test_the_next_log_line_of_the_statement_has_the_plan(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    pool = make_pool()
    run(pool, SLOW, ("a",))
    until(asked(), "the plan was asked for")
    slow.clear()
    run(pool, SLOW, ("b",))
    assert "; plan: Aggregate (cost=" in caplog.messages[-1]
    assert explainer.counts == {"explained": 1}  # once is enough for ten minutes


@pytest.mark.usefixtures("explained")
def test_with_values_asked_for_the_plan_has_them_but_those_of_secrets(make_pool: MakePool) -> None:
    start(DB_QUERY_VALUES=True)
    pool = make_pool()
    run(pool, SLOW, ("personal",))
    run(pool, "SELECT note AS password FROM explained WHERE note = %s", ("hunter2",))
    until(asked(2), "the plans were asked for")
    first, second = (found["text"] for found in explain.plans().values())
    assert "'personal'::text) AND (explained.number = 424242)" in first
    assert "note = ?::text" in second


@pytest.mark.usefixtures("explained")
def test_a_statement_that_timed_out_is_explained(make_pool: MakePool) -> None:
    start()
    query = "SELECT count(*) FROM explained a, explained b WHERE a.number + b.number = %s"
    pool = make_pool()
    with pytest.raises(psycopg2.extensions.QueryCanceledError), pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '30ms'")
        cursor.execute(query, (7,))
    until(asked(), "the plan was asked for")
    assert "Nested Loop" in explain.plans()[statement_of(query).id]["text"]


@pytest.mark.usefixtures("explained")
@pytest.mark.parametrize("query", [
    "SELECT volatile_write(2) FROM explained LIMIT 1", "SELECT stable_write()", "SELECT nextval('nothing')",
    "SELECT * FROM explained WHERE number = 1 FOR UPDATE", "SELECT 1 INTO TEMP something", "SELECT 1; SELECT 2",
    "WITH w AS (INSERT INTO written VALUES (1) RETURNING 1) SELECT * FROM w", "SELECT pg_sleep(0.01)",
])  # fmt: skip
def test_what_may_do_more_than_read_is_not_asked_about(query: str, make_pool: MakePool) -> None:
    start()
    try:
        run(make_pool(), query)
    except psycopg2.errors.UndefinedTable:
        return  # it is not asked about either: it failed
    until(asked(), "it was looked at")
    assert explainer.counts == {"writes": 1}


@pytest.mark.usefixtures("explained")
def test_a_function_that_lies_about_what_it_does_cannot_write_in_the_planner(
    make_pool: MakePool, dsn: str
) -> None:
    """The planner itself calls stable functions to estimate with; nothing in the statement shows this one."""
    start()
    pool = make_pool()
    with pool.connection() as conn:
        conn.cursor().execute("SELECT * FROM innocent LIMIT 1")
        conn.rollback()
    until(asked(), "the plan was asked for")
    assert explainer.counts == {"failed": 1}
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT * FROM innocent")
        cursor.execute("SELECT count(*) > 0 FROM written")
        assert cursor.fetchone() == (True,)  # so it would have been
        conn.rollback()
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM written")
        assert cursor.fetchone() == (0,)


@pytest.mark.usefixtures("explained")
def test_a_table_that_somebody_has_locked_is_not_waited_for(make_pool: MakePool, dsn: str) -> None:
    start()
    pool = make_pool(2, 3)
    run(pool, "SELECT count(*) FROM explained")
    until(asked(), "the plan was asked for")
    explainer.clear()
    bound = b"SELECT count(*) FROM explained"
    with closing(psycopg2.connect(dsn)) as locker, locker.cursor() as cursor:
        cursor.execute("LOCK TABLE explained IN ACCESS EXCLUSIVE MODE")
        explainer._enqueue(Question(statement_of(bound), bound, weakref.ref(pool)))
        until(asked(), "the plan was given up")
    assert explainer.counts == {"failed": 1}
    assert pool.stats()["used"] == 0
    run(pool, "SELECT 1")


@pytest.mark.usefixtures("explained")
def test_an_app_that_connects_by_itself_gets_plans_too(dsn: str) -> None:
    install()
    start()
    for _ in range(2):
        conn = psycopg2.connect(dsn)
        conn.cursor().execute("SELECT note FROM explained WHERE ref = 5")
        conn.close()
    until(asked(), "the plan was asked for")
    (found,) = explain.plans().values()
    assert found["text"].startswith("Index Scan using explained_ref_idx on explained (")


def test_a_pool_that_has_none_free_costs_a_retry_and_no_more(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "idle_connection", lambda pool: None)
    start()
    run(make_pool(), "SELECT 1")
    until(asked(), "it was looked at")
    assert explainer.counts == {"busy": 1}
    due = explainer._due[statement_of("SELECT 1").id] - time.monotonic()
    assert 0 < due <= explain.RETRY_AFTER


def test_explain_itself_is_no_slow_query_and_the_switch_works(make_pool: MakePool) -> None:
    found: list[SlowQuery] = []
    listen(SlowQuery, found.append)
    try:
        start()
        pool = make_pool()
        run(pool, "SELECT 1 FROM pg_class")
        until(asked(), "the plan was asked for")
        assert [each.statement.text for each in found] == ["select ? from pg_class"]
        assert found[0].explain is not None
        start(DB_EXPLAIN_SLOW=False)
        run(pool, "SELECT 2, 3 FROM pg_class")
        assert found[1].explain is None
        assert explainer.counts == {"explained": 1}
    finally:
        unlisten(SlowQuery, found.append)


@pytest.mark.usefixtures("explained")
def test_the_request_s_own_pool_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    start()
    with get_db_connection() as conn:
        query = sql.SQL("SELECT * FROM {} WHERE ref = {}").format(sql.Identifier("explained"), sql.Literal(7))
        conn.cursor().execute(query)
    until(asked(), "the plan was asked for")
    (found,) = explain.plans().values()
    assert found["text"].splitlines()[1].strip() == "Index Cond: (explained.ref = ?)"
    assert get_pool().stats()["used"] == 0


@pytest.mark.parametrize("query", ["UPDATE t SET a = 1", "SELEC 1", "", "-- nothing", "FETCH 1 FROM c"])
def test_what_is_no_select_is_not_taken_down(query: str) -> None:
    assert explainer.consider(None, statement_of(query)) is None
    assert not explainer._queue


def test_long_statements_and_other_encodings_are_left_out(make_pool: MakePool) -> None:
    start()
    pool = make_pool()
    run(pool, f"SELECT '{'x' * 70_000}'")
    with pool.connection() as conn:
        conn.set_client_encoding("LATIN1")
        conn.cursor().execute("SELECT 'é'")
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SET LOCAL standard_conforming_strings = off")
        cursor.execute(r"SELECT 'a\''; SELECT 1 --'")
    assert explainer.counts == {"long": 1, "unknown": 2}


def test_everything_is_bounded() -> None:
    fresh = Explainer()
    fresh._start_afresh()
    fresh._thread = explainer._thread or object()  # type: ignore[assignment]  # nobody takes anything out
    for number in range(2 * MOST_ASKED):
        fresh._set_due(statement_of(f"SELECT a{number}"), 1.0)
    for number in range(2 * MOST_QUEUED):
        fresh._enqueue(Question(statement_of(f"SELECT b{number}"), b"", weakref.ref(fresh)))
    for number in range(2 * MOST_KEPT):
        fresh._keep(statement_of(f"SELECT c{number}"), {"Node Type": "Result"}, "", is_secret=False)
    assert (len(fresh._due), len(fresh._queue), len(fresh.plans())) == (MOST_ASKED, MOST_QUEUED, MOST_KEPT)
    assert fresh.counts["full"] == MOST_QUEUED


def test_a_forked_child_starts_afresh() -> None:
    fresh = Explainer()
    fresh._changed.acquire()  # as another thread of the parent might
    fresh._pid = os.getpid() + 1  # what a child sees
    fresh._queue.append(Question(statement_of("SELECT 1"), b"", weakref.ref(fresh)))

    class Nobody:
        query, connection = b"SELECT 1", None

    ask = fresh.consider(Nobody, statement_of("SELECT 1"))
    assert ask is not None
    assert ask() is None
    assert not fresh._queue


@FORKS
@pytest.mark.usefixtures("explained")
def test_a_real_forked_child_asks_by_itself(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "IDLE", 10.0)  # the parent's thread is there at the fork
    start()
    pool = make_pool(1, 2)
    run(pool, SLOW, ("a",))
    until(asked(), "the plan was asked for")

    def child() -> tuple[int, int]:
        known = len(explain.plans()) + len(slow.groups())
        run(pool, SLOW, ("b",))
        until(asked(), "the plan was asked for")
        return known, len(explain.plans())

    assert in_child(child) == (0, 1)
    monkeypatch.setattr(explain, "IDLE", 0.02)
    with explainer._changed:
        explainer._changed.notify()
