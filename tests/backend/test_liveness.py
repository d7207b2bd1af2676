"""Whether the server is still there: asked of the socket, and of the server only when the socket has news."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from backend import liveness
from tests.support.sql import run
from tests.support.threads import until

from .conftest import MakePool


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        yield connection


def test_an_idle_socket_is_quiet(conn: Any) -> None:
    poll = liveness.watch(conn)
    assert not poll(0)
    run(conn, "SELECT 1")
    conn.rollback()
    assert not poll(0)


def test_a_terminated_backend_makes_it_readable_and_silent(conn: Any, terminate: Callable[..., None]) -> None:
    """One `conn.poll()` says that all is well: its first read takes the farewell, only a second sees the end."""
    poll = liveness.watch(conn)
    terminate(conn)
    until(lambda: poll(0), "the farewell arrives")
    assert not liveness.answers(conn)


@pytest.mark.parametrize("autocommit", [False, True])
def test_asking_leaves_the_session_as_it_was(conn: Any, autocommit: bool) -> None:
    conn.autocommit = autocommit
    assert liveness.answers(conn)
    assert conn.autocommit is autocommit
    assert conn.info.transaction_status == TRANSACTION_STATUS_IDLE


def test_a_connection_in_a_transaction_or_closed_is_not_asked(conn: Any) -> None:
    run(conn, "SELECT 1")
    assert not liveness.answers(conn)
    conn.close()
    assert not liveness.answers(conn)


def test_a_notification_on_an_idle_connection_is_no_death(make_pool: MakePool, conn: Any) -> None:
    pool = make_pool(1, 1)
    listener = pool.getconn()
    run(listener, "LISTEN news")
    listener.commit()
    pid = listener.info.backend_pid
    pool.putconn(listener)
    conn.autocommit = True
    run(conn, "NOTIFY news")
    until(lambda: listener._record.poll(0), "the notification arrives")
    assert pool.getconn(timeout=0).info.backend_pid == pid
