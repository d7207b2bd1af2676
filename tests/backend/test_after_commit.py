"""A function that waits for a commit runs after it, once, and never on a rollback, however that ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from flask import Flask

from backend import (
    Hardening,
    ThreadedConnectionPool,
    after_commit,
    close_pool,
    get_db_connection,
    install,
    transaction,
)
from scripts.stack.postgres import Cluster

SEEN = "SELECT count(*) FROM promised"


@pytest.fixture
def pool(dsn: str) -> Iterator[ThreadedConnectionPool]:
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS promised (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        cursor.execute("TRUNCATE promised")
    made = ThreadedConnectionPool(1, 3, dsn)
    yield made
    if not made.closed:
        made.closeall()


@pytest.fixture
def count(dsn: str) -> Callable[[], int]:
    """How many rows another session sees."""

    def rows() -> int:
        with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
            cursor.execute(SEEN)
            return int(cursor.fetchone()[0])

    return rows


def _insert(conn: object, value: int = 1) -> None:
    with conn.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("INSERT INTO promised VALUES (%s)", (value,))


def test_it_runs_when_others_can_see_the_change_and_not_before(pool: ThreadedConnectionPool, count) -> None:
    seen: list[int] = []
    conn = pool.getconn()
    _insert(conn)
    promise = after_commit(conn, lambda: seen.append(count()))
    assert promise is not None and promise.is_open() and seen == []
    conn.commit()
    assert seen == [1] and not promise.is_open()
    conn.commit()
    pool.putconn(conn)
    assert seen == [1]


@pytest.mark.parametrize("how", ["pool", "connection", "helper", "drop-in"])
def test_the_end_of_every_kind_of_with_block_is_a_commit(pool, url, monkeypatch, how: str) -> None:
    ran: list[str] = []
    if how == "pool":
        with pool.connection() as conn:
            _insert(conn)
            after_commit(conn, lambda: ran.append(how))
    elif how == "connection":
        conn = pool.getconn()
        with conn:
            _insert(conn)
            after_commit(conn, lambda: ran.append(how))
        pool.putconn(conn)
    elif how == "helper":
        monkeypatch.setenv("DATABASE_URL", url)
        with transaction() as conn:
            _insert(conn)
            after_commit(conn, lambda: ran.append(how))
    else:
        install(1, 2)
        with psycopg2.connect(url) as conn:
            _insert(conn)
            after_commit(conn, lambda: ran.append(how))
        conn.close()
    assert ran == [how]


@pytest.mark.parametrize("how", ["rollback", "with", "return", "close", "server"])
def test_a_rollback_lets_it_go(pool: ThreadedConnectionPool, how: str) -> None:
    ran: list[int] = []
    conn = pool.getconn()
    _insert(conn)
    promise = after_commit(conn, lambda: ran.append(1), in_doubt=True)
    if how == "rollback":
        conn.rollback()
    elif how == "with":
        with pytest.raises(ZeroDivisionError), conn:
            raise ZeroDivisionError
    elif how == "close":
        conn.close()
    elif how == "server":  # a statement failed: COMMIT is then a rollback, and no error
        with pytest.raises(psycopg2.errors.DivisionByZero), conn.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        conn.commit()
    pool.putconn(conn)
    assert ran == [] and promise is not None and not promise.is_open()


def test_a_commit_that_the_server_refuses_lets_it_go(pool: ThreadedConnectionPool) -> None:
    ran: list[int] = []
    with pytest.raises(psycopg2.errors.UniqueViolation), pool.connection() as conn:
        _insert(conn)
        _insert(conn)  # the constraint is deferred to the commit
        after_commit(conn, lambda: ran.append(1), in_doubt=True)
    assert ran == []


def test_a_commit_whose_answer_is_lost_runs_what_says_so(pool: ThreadedConnectionPool, cluster: Cluster) -> None:
    ran: list[str] = []
    conn = pool.getconn()
    _insert(conn)
    after_commit(conn, lambda: ran.append("in doubt"), in_doubt=True)
    after_commit(conn, lambda: ran.append("surely"))
    cluster.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
    with pytest.raises(psycopg2.Error):
        conn.commit()
    pool.putconn(conn)
    assert ran == ["in doubt"]


def test_a_commit_as_sql_text_is_not_seen_and_is_told(pool: ThreadedConnectionPool, caplog) -> None:
    ran: list[str] = []
    conn = pool.getconn()
    _insert(conn)
    after_commit(conn, lambda: ran.append("in doubt"), in_doubt=True)
    after_commit(conn, lambda: ran.append("surely"))
    with conn.cursor() as cursor:
        cursor.execute("COMMIT")
    with caplog.at_level(logging.WARNING):
        pool.putconn(conn)
    assert ran == ["in doubt"]
    assert "1 function(s) waited for a commit that never came" in caplog.text


def test_in_autocommit_it_runs_at_once_and_in_a_transaction_begun_by_hand_at_its_end(pool) -> None:
    ran: list[str] = []
    conn = pool.getconn()
    conn.autocommit = True
    assert after_commit(conn, lambda: ran.append("at once")) is None
    assert ran == ["at once"]
    with conn.cursor() as cursor:
        cursor.execute("BEGIN")
        after_commit(conn, lambda: ran.append("later"), in_doubt=True)
        conn.commit()  # psycopg2 does nothing in autocommit
        assert ran == ["at once"]
        cursor.execute("COMMIT")
    pool.putconn(conn)
    assert ran == ["at once", "later"]


def test_without_a_connection_it_runs_at_once() -> None:
    ran: list[int] = []
    assert after_commit(None, lambda: ran.append(1)) is None and ran == [1]


def test_a_function_that_fails_is_logged_and_the_next_one_runs(pool, count, caplog) -> None:
    ran: list[int] = []
    with pool.connection() as conn:
        _insert(conn)
        after_commit(conn, lambda: 1 / 0)
        after_commit(conn, lambda: ran.append(1))
    assert ran == [1] and count() == 1
    assert "the transaction is committed" in caplog.text


def test_the_next_lease_of_the_object_owes_nothing(pool: ThreadedConnectionPool) -> None:
    ran: list[int] = []
    conn = pool.getconn()
    _insert(conn)
    after_commit(conn, lambda: ran.append(1))
    pool.putconn(conn)
    again = pool.getconn()
    assert again is conn
    _insert(again)
    again.commit()
    pool.putconn(again)
    assert ran == []


def test_two_phase_commit_is_one(pool: ThreadedConnectionPool) -> None:
    ran: list[str] = []
    conn = pool.getconn()
    for end in ("tpc_commit", "tpc_rollback"):
        conn.tpc_begin(conn.xid(1, f"promised-{end}", "q"))
        _insert(conn)
        after_commit(conn, lambda end=end: ran.append(end))  # type: ignore[misc]
        getattr(conn, end)()
    pool.putconn(conn)
    assert ran == ["tpc_commit"]


def test_a_connection_that_nobody_watches_is_refused(dsn: str, pool: ThreadedConnectionPool) -> None:
    with closing(psycopg2.connect(dsn)) as plain, pytest.raises(TypeError, match="leased from the pool"):
        after_commit(plain, print)
    conn = pool.getconn()
    pool.putconn(conn)
    with pytest.raises(TypeError, match="given back"):
        after_commit(conn, print)


def test_a_shared_lease_runs_it_at_the_outermost_end(url: str, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    ran: list[int] = []
    with get_db_connection() as conn:
        with conn:
            after_commit(conn, lambda: ran.append(1))
        assert ran == []
    assert ran == [1]
    close_pool()


def test_what_a_nested_transaction_said_goes_with_its_rollback(url: str, pool, count, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    ran: list[str] = []
    app = Flask("nested")
    Hardening(app)
    with app.app_context(), transaction() as conn:
        _insert(conn, 1)
        after_commit(conn, lambda: ran.append("outer"))
        with pytest.raises(ZeroDivisionError), transaction() as inner:
            _insert(inner, 2)
            gone = after_commit(inner, lambda: ran.append("never"), in_doubt=True)
            raise ZeroDivisionError
        with transaction() as inner:
            after_commit(inner, lambda: ran.append("inner"))
        assert ran == [] and gone is not None and not gone.is_open()
    assert ran == ["outer", "inner"] and count() == 1
    close_pool()


def test_a_transaction_within_autocommit_reads_runs_it_at_its_own_end(url: str, pool, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    ran: list[int] = []
    app = Flask("nested")
    Hardening(app)
    with app.app_context(), get_db_connection(autocommit=True):
        with transaction() as conn:
            _insert(conn, 3)
            after_commit(conn, lambda: ran.append(1))
            assert ran == []
        assert ran == [1]
    close_pool()
