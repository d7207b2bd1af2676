"""How a stream ends: read to the end, closed, forgotten, cut, stalled, forked, or with the interpreter."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE
from werkzeug.exceptions import ServiceUnavailable

from backend import PoolTimeout, StreamError, StreamOptions, get_db_connection, get_pool, stream_csv, stream_json
from backend.byte_queue import Abandoned, ByteQueue, Stalled
from backend.database_helper import SharedPool
from backend.extension import Hardening
from scripts.stack.postgres import Cluster
from tests.support.children import FORKS, in_child
from tests.support.threads import Running, together, until

from .conftest import MakePool

ENDLESS = "SELECT n, repeat('x', 100) AS filler FROM (SELECT generate_series(1, 100000000) AS n) s"
FAILS = "SELECT 1 / (100000 - n) AS x, repeat('x', 100) AS filler FROM (SELECT generate_series(1, 1000000) AS n) s"
# Not at the second row: what the server's buffer of 8 KiB keeps back would keep the first one from arriving.
SLEEPS = (
    "SELECT n, repeat('x', 99), CASE WHEN n = 5000 THEN pg_sleep(60)::text END FROM generate_series(1, 9999) n"
)
GONE = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture(params=["copy", "cursor"])
def via(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def endless(pool: Any, via: str = "copy", sql: str = ENDLESS, **options: Any) -> Any:
    return stream_csv(sql, pool=pool, options=StreamOptions(via=via, **options)).response


def streaming_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "stream-copy"]


def check_same_backend(pool: Any, pid: int) -> None:
    """The connection was healthy enough to be kept, and the statement is over."""
    with pool.connection() as conn, conn.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] == pid
    assert pool.stats()["used"] == 0


def backend_pid(pool: Any) -> int:
    with pool.connection() as conn:
        return int(conn.info.backend_pid)


@pytest.mark.parametrize("pieces", [0, 1, 5])
def test_close_gives_the_same_connection_back_at_once(make_pool: MakePool, via: str, pieces: int) -> None:
    """Also before the first piece was taken: a generator's close() would do nothing then."""
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    stream = endless(pool, via)
    for _ in range(pieces):
        next(stream)
    stream.close()
    assert pool.stats()["used"] == 0
    assert not streaming_threads()
    stream.close()
    assert list(stream) == []
    check_same_backend(pool, pid)


def test_close_in_the_middle_of_a_long_statement_cancels_it(make_pool: MakePool) -> None:
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    stream = endless(pool, sql=SLEEPS)
    next(stream)
    stream.close()  # far sooner than the 60 s of the second row
    check_same_backend(pool, pid)


def test_a_cancel_never_hits_the_connections_next_user(make_pool: MakePool) -> None:
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    for count in range(40):
        sql = "SELECT n, repeat('x', 100) AS filler FROM generate_series(1, %s) n"
        stream: Any = stream_csv(sql, [count * 100], pool=pool).response
        next(stream)
        stream.close()
        with pool.connection() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.002)")
    check_same_backend(pool, pid)


def test_streams_cut_by_many_threads_at_once_disturb_nobody(make_pool: MakePool) -> None:
    """A cancel that comes late would end somebody's sleep, by an error."""
    pool = make_pool(1, 6, timeout=30)

    def work(number: int) -> None:
        for count in range(12):
            if number % 2:
                with pool.connection() as conn, conn.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(0.003)")
                continue
            stream = endless(pool, ("copy", "cursor")[number % 4 // 2], most=8)
            for _ in range(count % 4):
                next(stream)
            stream.close()

    together(8, work, 60)
    assert pool.stats()["used"] == 0
    assert pool.stats()["opened"] <= 6


def test_a_forgotten_stream_is_closed_by_the_collector(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1)
    stream = endless(pool, via)
    next(stream)
    del stream
    gc.collect()
    until(lambda: pool.stats()["used"] == 0 and not streaming_threads(), "the connection is back")


def test_a_view_that_fails_after_it_began_a_stream_loses_nothing(url: str, via: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=2)

    @app.get("/")
    def view() -> Any:
        stream_csv(ENDLESS, options=StreamOptions(via=via))
        raise LookupError("after all")

    assert app.test_client().get("/").status_code == 500
    until(lambda: gc.collect() is None or get_pool().stats()["used"] == 0, "the connection is back")


def test_an_error_in_the_middle_ends_in_torn_bytes_and_an_error(
    make_pool: MakePool, via: str, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(1, 1)
    taken = []
    with pytest.raises(StreamError, match="cut off: division by zero") as caught:
        for piece in endless(pool, via, FAILS):
            taken.append(piece)
    assert isinstance(caught.value.__cause__, psycopg2.errors.DivisionByZero)
    assert taken[-1].startswith(b'"INCOMPLETE')
    assert pool.stats()["used"] == 0
    assert len([record for record in caplog.records if "was cut off: division by zero" in record.message]) == 1
    with pytest.raises(StreamError):
        b"".join(stream_json(FAILS, pool=pool, options=StreamOptions(via=via)).response)  # type: ignore[arg-type]


def test_an_error_within_the_first_rows_is_raised_before_there_is_a_response(
    make_pool: MakePool, via: str
) -> None:
    with pytest.raises(psycopg2.errors.DivisionByZero):
        endless(make_pool(), via, "SELECT 1 / (5 - n) FROM generate_series(1, 10) n")


def test_a_server_that_is_gone_in_the_middle_is_an_error_and_the_pool_goes_on(
    make_pool: MakePool, via: str, terminate: Callable[..., None]
) -> None:
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    stream = endless(pool, via)
    next(stream)
    ender = Running(terminate, pid)  # a backend that waits in send() sees it once somebody reads
    with pytest.raises(StreamError, match="cut off"):
        list(zip(stream, range(10**5)))  # noqa: B905
    ender.join()
    stream.close()
    assert pool.stats()["used"] == 0
    assert backend_pid(pool) != pid


def test_who_takes_nothing_for_too_long_is_cut_off_and_hears_of_it(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    stream = endless(pool, stall_timeout=0.2)
    until(lambda: pool.stats()["used"] == 0, "the connection is back, though nobody has closed the stream")
    check_same_backend(pool, pid)
    with pytest.raises(StreamError, match=r"the client took nothing for 0\.2 s"):
        list(stream)
    assert len([record for record in caplog.records if "cut off" in record.message]) == 1


def test_postgresql_ends_a_cursor_that_nobody_reads(make_pool: MakePool, cluster: Cluster) -> None:
    pool = make_pool(1, 1)
    pid = backend_pid(pool)
    stream = endless(pool, "cursor", stall_timeout=0.2)
    until(lambda: not cluster.execute(GONE, (pid,)), "the backend has ended")
    with pytest.raises(StreamError, match="cut off"):
        list(stream)
    assert pool.stats()["used"] == 0


def test_a_stream_that_takes_too_long_as_a_whole_is_cut_off(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1)
    stream = endless(pool, via, timeout=0.5)
    with pytest.raises(StreamError, match=r"statement timeout|longer than|took nothing"):
        for _ in stream:
            pass
    assert pool.stats()["used"] == 0


def test_so_many_at_a_time_and_a_503_for_the_next(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 8)
    two = [endless(pool, via), endless(pool, via)]  # a quarter of 8
    with pytest.raises(ServiceUnavailable) as caught:
        endless(pool, via)
    assert caught.value.retry_after == 5
    third = endless(pool, via, most=3)
    two[0].close()
    third.close()
    endless(pool, via).close()
    two[1].close()
    other = make_pool(1, 1)
    endless(other, via).close()  # one at least, and each pool counts for itself
    for wrong in ("SELECT nope", "DROP", ENDLESS):
        try:
            endless(other, via, wrong).close()
        except (psycopg2.Error, StreamError):
            pass
    assert (pool.stats()["used"], other.stats()["used"]) == (0, 0)


def test_an_exhausted_pool_is_an_error_before_the_first_byte(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1, timeout=0.1)
    held = pool.getconn()
    with pytest.raises(PoolTimeout):
        endless(pool, via)
    pool.putconn(held)
    endless(pool, via).close()


def test_a_thread_that_holds_the_only_connection_does_not_wait_for_itself(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1, SharedPool, timeout=600)
    with pool.connection(), pytest.raises(PoolTimeout):
        endless(pool, via)


def test_the_requests_own_connection_is_back_while_the_body_is_still_sent(url: str, via: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=2)

    @app.get("/")
    def view() -> Any:
        get_db_connection().cursor().execute("SELECT 1")
        return stream_csv(ENDLESS, options=StreamOptions(via=via))

    answer = app.test_client().get("/", buffered=False)
    assert answer.status_code == 200
    assert get_pool().stats()["used"] == 1
    answer.close()
    assert get_pool().stats()["used"] == 0


def test_a_thread_that_gave_this_connection_back_before_can_still_cut_the_stream(url: str) -> None:
    """The pool refuses a connection to threads that gave it back and still refer to it; a cancel must pass."""
    pool = SharedPool(1, 1, url)
    stale = pool.getconn()
    stale.close()
    stream = endless(pool, sql=SLEEPS)
    next(stream)
    stream.close()
    assert pool.stats()["used"] == 0
    assert stale.closed
    pool.closeall()


def test_a_closed_pool_cuts_its_streams(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1)
    stream = endless(pool, via)
    next(stream)
    pool.closeall()
    with pytest.raises(StreamError):
        list(zip(stream, range(10**5)))  # noqa: B905
    stream.close()
    assert not streaming_threads()


def wait_for(conn: Any) -> None:
    import select

    while (state := conn.poll()) != POLL_OK:
        ready = {POLL_READ: ([conn], []), POLL_WRITE: ([], [conn])}[state]
        select.select(*ready, [], 10)


def test_with_a_wait_callback_it_takes_the_cursor_and_says_why_not_copy(make_pool: MakePool) -> None:
    psycopg2.extensions.set_wait_callback(wait_for)
    try:
        pool = make_pool(1, 1)
        stream = endless(pool, "auto")
        assert not streaming_threads()
        stream.close()
        with pytest.raises(StreamError, match="no COPY while a wait callback is set"):
            endless(pool, "copy")
        sql = "SELECT n FROM generate_series(1, 3000) n"
        assert len(b"".join(endless(pool, "auto", sql)).splitlines()) == 3001
    finally:
        psycopg2.extensions.set_wait_callback(None)


@FORKS
def test_a_forked_child_leaves_its_parents_stream_alone(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 4)
    stream = endless(pool, via)
    next(stream)

    def child() -> None:
        with pytest.raises(StreamError, match="belongs to the parent"):
            next(stream)
        stream.close()
        endless(pool, via).close()  # its own, and it counts from none

    in_child(child)
    assert next(stream)
    stream.close()
    assert pool.stats()["used"] == 0


def test_the_interpreter_ends_in_the_middle_of_a_stream_without_a_word(url: str) -> None:
    code = (
        "from backend import *\n"
        f"stream = stream_csv({ENDLESS!r}, pool=ThreadedConnectionPool(1, 1, {url!r})).response\n"
        "next(stream); next(stream)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_client_that_goes_away_is_one_quiet_line(make_pool: MakePool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "backend"):
        stream = endless(make_pool(), via="copy")
        next(stream)
        stream.close()
    [line] = [record for record in caplog.records if "stream" in record.message]
    assert "the client went away, after " in line.message
    assert line.levelno == logging.INFO


def test_memory_stays_flat_while_many_rows_pass(make_pool: MakePool, via: str) -> None:
    pool = make_pool(1, 1)
    count = 400_000 if via == "copy" else 60_000
    sql = f"SELECT n, repeat('x', 100) AS filler FROM (SELECT generate_series(1, {count}) AS n) s"
    for piece in endless(pool, via, sql):
        assert len(piece) < 2**20
    before = _memory()
    peak = 0
    for number, _ in enumerate(endless(pool, via, sql)):
        if number % 50 == 0:
            peak = max(peak, _memory() - before)
    assert peak < 5 * 2**20


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_the_queue_holds_so_many_chunks_and_wakes_whoever_waits() -> None:
    queue = ByteQueue(2, 0.0)
    queue.put(b"1")
    queue.put(b"2")
    filler = Running(queue.put, b"3")
    assert queue.get(None) == b"1"
    filler.join()
    assert [queue.get(None), queue.get(None), queue.get(0.0)] == [b"2", b"3", b""]
    queue.finish(None)
    assert queue.get(None) is None
    filler = Running(lambda: [queue.put(b"x") for _ in range(3)])
    queue.abandon()
    assert isinstance(filler.error(), (Abandoned, type(None)))
    with pytest.raises(Abandoned):
        queue.put(b"4")
    full = ByteQueue(1, 0.05)
    full.put(b"1")
    with pytest.raises(Stalled):
        full.put(b"2")
    full.finish(LookupError("x"))
    with pytest.raises(LookupError):
        full.get(None)
