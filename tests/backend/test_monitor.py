"""Every way to ask the database is noted, with its line, and nothing of it changes for the app."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import sql
from psycopg2.extensions import cursor as plain

from backend import (
    PoolOptions,
    ThreadedConnectionPool,
    cached_cursor,
    connection,
    install,
    monitor,
    own_failures,
    query_cache,
    uninstall,
)
from backend.events import RequestEnded, listen, unlisten
from backend.monitor import QueryLog, watching
from tests.support.threads import Running

from .conftest import MakePool


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the cursors of all leases monitored, and nothing else."""
    monkeypatch.setattr(connection, "monitored", monitor.cursor_of)


@pytest.fixture
def conn(make_pool: MakePool) -> Any:
    """A lease."""
    return make_pool(1, 1).getconn()


def noted(log: QueryLog) -> list[tuple[str, str, int, int]]:
    """Return method, text, count and rows of what a log has."""
    groups = [group.event() for group in log.groups()]
    return [(group.method, group.statement.text, group.count, group.rows) for group in groups]


class Own(psycopg2.extras.RealDictCursor):
    """An app's own class."""

    def execute(self, query: Any, vars: Any = None) -> Any:
        return super().execute(f"{query} -- own", vars)


class Slotted(plain):
    """Of another layout than its base."""

    __slots__ = ("note",)


CLASSES = [
    plain, psycopg2.extras.DictCursor, psycopg2.extras.RealDictCursor, psycopg2.extras.NamedTupleCursor, Own,
    Slotted,
]  # fmt: skip
CONNECTIONS = [
    psycopg2.extras.RealDictConnection, psycopg2.extras.DictConnection, psycopg2.extras.NamedTupleConnection,
]  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_any_class_of_cursors_is_noted_and_stays_the_app_s(conn: Any, kind: Any) -> None:
    with watching() as log, conn.cursor(cursor_factory=kind) as cursor:
        cursor.execute("SELECT %s AS one", (1,))
        row = cursor.fetchone()
    assert isinstance(cursor, kind)
    assert type(cursor).__name__ == kind.__name__
    assert (row["one"] if isinstance(row, dict) else row[0]) == 1
    assert [(count, rows) for _, _, count, rows in noted(log)] == [(1, 1)]


@pytest.mark.parametrize("factory", CLASSES[1:5], ids=lambda kind: kind.__name__)
def test_a_connection_s_own_cursor_factory_is_kept(conn: Any, factory: Any) -> None:
    conn.cursor_factory = factory
    with watching() as log, conn.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert isinstance(cursor, factory)
    assert noted(log)[0][2] == 1
    assert conn.cursor_factory is factory


@pytest.mark.parametrize("factory", CONNECTIONS)
def test_a_connection_class_that_makes_cursors_of_its_own_is_noted(make_pool: MakePool, factory: Any) -> None:
    conn = make_pool(1, 1, connect={"connection_factory": factory}).getconn()
    with watching() as log, conn.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert type(cursor).__mro__[2] is not plain
    assert noted(log)[0][2] == 1


def test_a_factory_that_is_a_function_is_called_as_ever(conn: Any) -> None:
    def factory(*args: Any, **kwargs: Any) -> Any:
        return psycopg2.extras.DictCursor(*args, **kwargs)

    with watching() as log:
        cursor = conn.cursor(cursor_factory=factory)
        cursor.execute("SELECT 1")
    assert type(cursor) is psycopg2.extras.DictCursor
    assert noted(log) == []  # what a function makes is not looked into


def test_cursor_takes_its_arguments_by_place_and_by_name(conn: Any) -> None:
    by_place = conn.cursor("named"), conn.cursor("other", psycopg2.extras.DictCursor)
    for cursor in (*by_place, conn.cursor(name="third")):
        assert cursor.name in ("named", "other", "third")
        cursor.execute("SELECT 1")
        assert cursor.fetchone()[0] == 1
        cursor.close()


def test_named_cursors_are_noted_with_their_fetches(conn: Any) -> None:
    with watching() as log, conn.cursor("c") as cursor:
        cursor.execute("SELECT generate_series(1, 10)")
        assert len(cursor.fetchmany(4)) == 4
        assert len(cursor.fetchall()) == 6
    methods = [(method, count) for method, _, count, _ in noted(log)]
    assert methods == [("execute", 1), ("fetch", 1), ("fetch", 1)]


@pytest.fixture
def table(conn: Any) -> Any:
    """A temporary table with two columns."""
    with conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE numbers (a int, b text)")
    return conn


def test_executemany_is_one_query_with_its_rows(table: Any) -> None:
    with watching() as log, table.cursor() as cursor:
        cursor.executemany("INSERT INTO numbers VALUES (%s, %s)", [(n, "x") for n in range(3)])
    assert noted(log) == [("executemany", "insert into numbers values (...)", 1, 3)]


def test_execute_values_and_execute_batch_are_noted_at_the_app_s_line_as_pages(table: Any) -> None:
    rows = [(n, "x") for n in range(30)]
    with watching() as log, table.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, "INSERT INTO numbers VALUES %s", rows, page_size=10)
    (group,) = log.end()
    assert (group.count, group.rows, group.is_batch) == (3, 30, True)
    assert group.site.startswith("tests/backend/test_monitor.py:")


def test_callproc_is_noted_by_the_procedure_s_name(conn: Any) -> None:
    with watching() as log, conn.cursor() as cursor:
        cursor.callproc("lower", ("X",))
        assert cursor.fetchone()[0] == "x"
    assert noted(log) == [("callproc", "call lower()", 1, 1)]


def test_copy_is_noted_in_all_its_spellings(table: Any) -> None:
    with watching() as log, table.cursor() as cursor:
        cursor.copy_expert("COPY numbers FROM STDIN", io.StringIO("1\ta\n"))
        cursor.copy_from(io.StringIO("2\tb\n"), "numbers")
        cursor.copy_to(io.StringIO(), "numbers")
    assert [text for _, text, _, _ in noted(log)] == [
        "copy numbers from stdin", "copy numbers from stdin", "copy numbers to stdout",
    ]  # fmt: skip


def test_composed_statements_and_bytes_are_noted(conn: Any) -> None:
    with watching() as log, conn.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}").format(sql.Literal("secret")))
        cursor.execute(b"SELECT 'secret'")
    assert {text for _, text, _, _ in noted(log)} == {"select ?"}


@pytest.mark.parametrize("query", ["SELEC", b"SELEC", "", None, 5, sql.SQL("SELEC"), "SELECT %s", "SELECT '\x00'"])
def test_bad_statements_fail_as_they_do_without_the_kit(conn: Any, dsn: str, query: Any) -> None:
    bare = psycopg2.connect(dsn)
    outcomes = []
    with watching() as log:
        for each in (bare, conn):
            try:
                with each.cursor() as cursor:
                    cursor.execute(query, ("x", "y") if query == "SELECT %s" else None)
            except Exception as error:
                outcomes.append((type(error), str(error)))
            each.rollback()
    bare.close()
    assert outcomes[0] == outcomes[1]
    assert [group.errors for group in log.groups()] == [1]


def test_a_statement_of_a_megabyte_is_sent_whole(conn: Any) -> None:
    text = "SELECT length('" + "x" * 1_000_000 + "')"
    with watching() as log, conn.cursor() as cursor:
        cursor.execute(text)
        assert cursor.fetchone()[0] == 1_000_000
    assert len(log.groups()[0].line.statement.text) < 10_000


def test_outside_a_request_nothing_is_noted(conn: Any) -> None:
    log = QueryLog()
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert monitor.current() is None
    assert log.groups() == []


def test_slow_queries_are_told_of_in_a_block_and_not_outside(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(monitor, "slow", lambda *args: told.append(args))
    monkeypatch.setattr(monitor, "slow_after", 0.02)
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.03)")
        with watching("job") as log:
            cursor.execute("SELECT pg_sleep(%s)", (0.03,))
    (found,) = told
    assert (found[1], found[2], found[5]) == ("SELECT pg_sleep(%s)", (0.03,), log)
    assert found[3] >= 0.03
    assert found[4].f_code.co_name == "test_slow_queries_are_told_of_in_a_block_and_not_outside"


def test_a_cancelled_query_is_told_of_however_short_it_was(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(monitor, "slow", lambda *args: told.append(args))
    monkeypatch.setattr(monitor, "slow_after", 3600.0)
    with watching(), conn.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 20")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT pg_sleep(30)")
    assert [args[6].pgcode for args in told] == ["57014"]


def test_a_monitor_that_fails_fails_no_query(conn: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(own_failures, "_said", set())
    monkeypatch.setattr(monitor, "slow", broken)
    monkeypatch.setattr(monitor, "slow_after", -1.0)
    with watching(), conn.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT 1")
            assert cursor.fetchone()[0] == 1
    assert [record.getMessage() for record in caplog.records] == ["the monitor failed; this is logged once"]


def test_a_tag_is_sent_and_not_counted_as_another_statement(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor.tag_statements(lambda query, values, log: f"{query} /*tag*/")
    with watching() as log, conn.cursor() as cursor:
        for _ in range(2):
            cursor.execute("SELECT 1")
        assert cursor.query == b"SELECT 1 /*tag*/"
        cursor.executemany("SELECT %s", [(1,)])
        assert cursor.query == b"SELECT 1 /*tag*/"
    assert [group.line.statement.text for group in log.groups()] == ["select ?"] * 2


def test_the_query_cache_s_hits_are_no_queries(make_pool: MakePool) -> None:
    conn = make_pool(1, 1).getconn()
    with watching() as log, query_cache():
        for _ in range(3):
            with conn.cursor() as cursor:
                cursor.execute("SELECT 1")
                assert cursor.fetchone() == (1,)
    assert [(group.count, group.event().site.rpartition(" in ")[2]) for group in log.groups()] == [
        (1, "test_the_query_cache_s_hits_are_no_queries")
    ]


def test_behind_a_session_watch_the_line_is_the_app_s(make_pool: MakePool) -> None:
    conn = make_pool(1, 1, reset="watch").getconn()
    with watching() as log, conn.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert log.groups()[0].event().site.startswith("tests/backend/test_monitor.py:")


def test_psycopg2_connect_replaced_is_noted_with_no_edit(dsn: str) -> None:
    install(0, 2, PoolOptions(reset="reset"))
    try:
        with watching() as log:
            conn = psycopg2.connect(dsn)
            cursor = conn.cursor()
            cursor.execute("SELECT 1")
            conn.close()
        assert [group.count for group in log.groups()] == [1]
    finally:
        uninstall()


def test_cursor_classes_that_the_kit_has_dressed_are_monitored_once() -> None:
    kind = monitor.monitored(psycopg2.extras.DictCursor)
    assert monitor.monitored(kind) is kind
    assert monitor.monitored(psycopg2.extras.DictCursor) is kind
    assert issubclass(cached_cursor(kind), kind)


def test_a_class_that_will_not_have_subclasses_is_left_alone() -> None:
    class Final(plain):
        def __init_subclass__(cls) -> None:
            raise TypeError("final")

    assert monitor.monitored(Final) is Final


class TestLogs:
    @pytest.fixture
    def ended(self) -> Iterator[list[RequestEnded]]:
        """What listeners are told."""
        events: list[RequestEnded] = []
        listen(RequestEnded, events.append)
        yield events
        unlisten(RequestEnded, events.append)

    def test_a_block_is_told_of_as_a_request_is(self, conn: Any, ended: list[RequestEnded]) -> None:
        with watching("nightly"), conn.cursor() as cursor:
            cursor.execute("SELECT 1")
        (event,) = ended
        assert (event.kind, event.route, event.queries, event.status) == ("block", "nightly", 1, 0)
        assert 0 < event.query_seconds <= event.seconds

    def test_a_block_that_fails_is_ended_all_the_same(self, ended: list[RequestEnded]) -> None:
        with pytest.raises(ZeroDivisionError), watching("nightly"):
            raise ZeroDivisionError
        assert len(ended) == 1
        assert monitor.current() is None

    def test_a_request_inside_another_one_gives_back_its_place(self) -> None:
        first = monitor.begin(QueryLog())
        second = monitor.begin(QueryLog())
        assert second.outer is first
        monitor.end(second)
        assert monitor.current() is first
        monitor.end(first)
        assert monitor.current() is None

    def test_a_log_that_is_not_at_work_ends_without_taking_anybody_s_place(self) -> None:
        streamed = monitor.begin(QueryLog())
        monitor.at_work.set(None)
        with watching() as log:
            monitor.end(streamed)
            assert monitor.current() is log
        assert monitor.current() is None

    def test_each_thread_has_a_log_of_its_own(self, make_pool: MakePool) -> None:
        pool = make_pool(4, 4)
        gate = threading.Barrier(4)

        def work(number: int) -> int:
            with watching() as log, pool.connection() as conn:
                gate.wait(10)
                with conn.cursor() as cursor:
                    for _ in range(number + 1):
                        cursor.execute("SELECT 1")
            return log.query_count

        counts = [thread.result() for thread in [Running(work, number) for number in range(4)]]
        assert counts == [1, 2, 3, 4]


Make = Callable[..., ThreadedConnectionPool]
