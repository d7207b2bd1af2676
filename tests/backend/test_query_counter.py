"""QueryCounter counts what a block, a function, a thread and a request inside ask, and says when it cannot see."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from flask import Flask, Response

from backend import (
    Hardening,
    MonitorError,
    QueryCounter,
    get_db_connection,
    install,
    uninstall,
    unpooled,
    watch,
    watching,
)
from backend import connection as leases


@pytest.fixture
def plain(dsn: str) -> Iterator[str]:
    """A DSN whose connections are pooled; nothing was monitored before."""
    watch.stop()
    install(0)
    yield dsn
    uninstall()


def _ask(dsn: str, times: int = 1) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        for number in range(times):
            cursor.execute("SELECT %s AS number", (number,))


def test_a_block_s_queries_are_counted_with_their_lines_and_times(plain: str) -> None:
    with QueryCounter() as counter:
        _ask(plain, 3)
        assert counter.count == 3  # so far
        _ask(plain, 1)
    assert (counter.count, len(counter.queries)) == (4, 1)
    found = counter.queries[0]
    assert (found.count, found.statement.text) == (4, "select ? as number")
    assert found.site.startswith("tests/backend/test_query_counter.py:")
    assert found.site.endswith(" in _ask")
    assert 0 < counter.seconds == pytest.approx(sum(group.seconds for group in counter.queries))


def test_what_is_asked_after_the_block_does_not_count(plain: str) -> None:
    with QueryCounter() as counter:
        _ask(plain)
    _ask(plain)
    assert counter.count == 1


def test_the_most_frequent_statement_comes_first(plain: str) -> None:
    with QueryCounter() as counter, closing(psycopg2.connect(plain)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT 'once'::text AS t")
        for _ in range(3):
            cursor.execute("SELECT 3")
    assert [group.count for group in counter.queries] == [3, 1]


def test_blocks_nest_and_the_outer_one_has_all(plain: str) -> None:
    with QueryCounter() as outer:
        _ask(plain)
        with QueryCounter() as inner:
            _ask(plain, 2)
        with watching("a job"):
            _ask(plain, 3)
    assert (inner.count, outer.count) == (2, 6)


def test_a_loop_around_inner_blocks_is_a_repeat_of_the_outer_one(plain: str) -> None:
    with QueryCounter() as outer:
        for _ in range(4):
            with QueryCounter() as inner:
                _ask(plain)
    assert not inner.repeats
    assert [found.count for found in outer.repeats] == [4]


def test_str_says_it_in_one_line(plain: str) -> None:
    with QueryCounter() as counter:
        _ask(plain, 7)
    text = str(counter)
    assert text.startswith("7 queries in ")
    assert text.endswith(" ms, 1 repeat")


def test_a_decorated_function_is_counted_afresh_at_each_call(plain: str) -> None:
    counters: list[QueryCounter] = []

    @QueryCounter(told=counters.append)
    def load(times: int) -> str:
        """Load."""
        _ask(plain, times)
        return "done"

    assert (load(1), load(2), load.__doc__) == ("done", "done", "Load.")
    assert [counter.count for counter in counters] == [1, 2]


def test_a_decorated_function_is_logged_by_its_name(plain: str, caplog: pytest.LogCaptureFixture) -> None:
    @QueryCounter("nightly report")
    def load() -> None:
        _ask(plain)

    with caplog.at_level(logging.INFO, "backend.query_counter"):
        load()
    assert [record.getMessage()[:26] for record in caplog.records] == ["nightly report: 1 query in"]


def test_a_recursive_function_can_be_decorated(plain: str) -> None:
    counters: list[QueryCounter] = []

    @QueryCounter(told=counters.append)
    def load(depth: int) -> None:
        _ask(plain)
        if depth:
            load(depth - 1)

    load(2)
    assert [counter.count for counter in counters] == [1, 2, 3]


def test_generators_and_coroutines_are_counted_as_they_run(plain: str) -> None:
    counters: list[QueryCounter] = []

    @QueryCounter(told=counters.append)
    def each() -> Iterator[int]:
        for number in range(2):
            _ask(plain)
            yield number

    @QueryCounter(told=counters.append)
    async def load() -> None:
        _ask(plain)
        await asyncio.sleep(0)
        _ask(plain, 2)

    assert list(each()) == [0, 1]
    asyncio.run(load())
    assert [counter.count for counter in counters] == [2, 3]


def test_an_asynchronous_generator_is_refused() -> None:
    async def each() -> Any:
        yield 1

    with pytest.raises(MonitorError, match="async generator"):
        QueryCounter()(each)


def test_threads_count_where_they_were_given_to(plain: str) -> None:
    with QueryCounter() as counter:
        started = [threading.Thread(target=counter.in_thread(_ask), args=(plain, 25)) for _ in range(4)]
        unseen = threading.Thread(target=_ask, args=(plain, 5))
        for thread in (*started, unseen):
            thread.start()
        for thread in (*started, unseen):
            thread.join()
    assert counter.count == 100


def test_in_thread_works_inside_the_block_only(plain: str) -> None:
    with pytest.raises(MonitorError, match="inside the block"):
        QueryCounter().in_thread(print)


def test_one_counter_is_for_one_block_at_a_time(plain: str) -> None:
    counter = QueryCounter()
    with counter:
        _ask(plain)
        with pytest.raises(MonitorError, match="counting already"), counter:
            pass
    with counter:
        _ask(plain, 2)
    assert counter.count == 2


def test_a_block_that_could_not_be_seen_is_an_error_and_no_zero(dsn: str) -> None:
    with pytest.raises(MonitorError, match=r"install\(\)") as caught, QueryCounter():
        _ask(dsn)
    assert caught.value.code == "H503"


def test_an_error_inside_is_not_hidden_by_the_blindness() -> None:
    with pytest.raises(ZeroDivisionError), QueryCounter():
        raise ZeroDivisionError


def test_a_block_without_queries_is_zero_where_they_would_have_been_seen(plain: str) -> None:
    with QueryCounter() as counter:
        pass
    assert (counter.count, counter.queries, str(counter)) == (0, (), "0 queries in 0.0 ms")


def test_the_kit_s_own_pools_are_seen_without_install(dsn: str, make_pool: Any) -> None:
    pool = make_pool()
    with QueryCounter() as counter, pool.connection() as conn:
        conn.cursor().execute("SELECT 1")
    assert counter.count == 1


def test_the_monitor_is_as_before_when_the_last_block_ends(plain: str) -> None:
    assert leases.monitored is None
    with QueryCounter():
        with QueryCounter():
            pass
        assert leases.monitored is not None
    assert leases.monitored is None


def test_monitoring_that_was_switched_on_meanwhile_stays_on(plain: str) -> None:
    with QueryCounter():
        watch.watch_cursors()
    assert leases.monitored is not None
    watch.stop()


def test_failed_queries_count_as_well(plain: str) -> None:
    with QueryCounter() as counter, closing(psycopg2.connect(plain)) as conn:
        with pytest.raises(psycopg2.Error), conn.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")
        conn.rollback()
    assert [(group.count, group.errors) for group in counter.queries] == [(1, 1)]


def test_unpooled_connections_are_seen_when_they_are_watched(dsn: str) -> None:
    unpooled.watch_connects()
    try:
        with QueryCounter() as counter:
            _ask(dsn, 2)
            from psycopg2.extras import RealDictConnection, RealDictCursor

            with closing(psycopg2.connect(dsn, connection_factory=RealDictConnection)) as conn:
                cursor = conn.cursor()
                cursor.execute("SELECT 1 AS one")
                assert (cursor.fetchone(), isinstance(cursor, RealDictCursor)) == ({"one": 1}, True)
            with closing(psycopg2.connect(dsn)) as conn, conn.cursor("named") as named:
                named.execute("SELECT 1")
                assert named.fetchall() == [(1,)]
    finally:
        unpooled.unwatch_connects()
    assert counter.count >= 4
    assert not unpooled.is_watching()


def test_pools_open_their_connections_through_watched_connects_as_ever(dsn: str) -> None:
    unpooled.watch_connects()
    try:
        install(0)
        with QueryCounter() as counter:
            _ask(dsn, 2)
        assert counter.count == 2
        with pytest.raises(MonitorError, match="uninstall"):
            unpooled.unwatch_connects()
        uninstall()
    finally:
        unpooled.unwatch_connects()


@pytest.fixture
def app(url: str) -> Iterator[Flask]:
    """An app of two routes, one of them streamed."""
    made = Flask(__name__)
    Hardening(made, DATABASE_URL=url, DB_REPEAT_LIMIT=5)

    @made.get("/who")
    def who() -> str:
        with get_db_connection() as conn, conn.cursor() as cursor:
            for _ in range(2):
                cursor.execute("SELECT current_user")
        return "who"

    @made.get("/stream")
    def stream() -> Response:
        conn = get_db_connection()
        cursor = conn.cursor()
        cursor.execute("SELECT 1")

        def rows() -> Iterator[str]:
            for _ in range(3):
                cursor.execute("SELECT 2")
                yield "row"

        return Response(rows())

    yield made
    watch.stop()


def test_each_request_inside_is_judged_by_itself(app: Flask) -> None:
    client = app.test_client()
    with QueryCounter() as counter:
        for _ in range(3):
            client.get("/who")
    assert (counter.count, counter.repeats) == (6, ())


def test_a_repeat_within_a_request_names_its_route(app: Flask) -> None:
    client = app.test_client()
    with QueryCounter(limit=1) as counter:
        client.get("/who")
    assert [(found.route, found.count) for found in counter.repeats] == [("/who", 2)]


def test_a_streamed_body_counts_whether_or_not_it_was_read(app: Flask) -> None:
    client = app.test_client()
    with QueryCounter() as unread:
        response = client.get("/stream")
        client.get("/who")
    response.close()
    with QueryCounter() as read:
        assert client.get("/stream").text == "rowrowrow"
        client.get("/who")
    assert (unread.count, read.count) == (4, 6)
