"""A module's connection and cursor, which every request has for itself."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from flask import Flask
from psycopg2.extensions import connection

from backend import adopt, connection_per_request, cursor_per_request
from backend.dropin import installed


@pytest.fixture
def app(dsn: str) -> Flask:
    """An app as they are written: a connection and a cursor in the module, and views that use them."""
    app = Flask("kept")
    adopt(app)
    conn = connection_per_request(dsn, cursor_factory=psycopg2.extras.RealDictCursor)
    cursor = cursor_per_request(conn)
    app.config.update(CONN=conn, CURSOR=cursor)

    @app.get("/pid")
    def pid() -> Any:
        cursor.execute("SELECT pg_backend_pid() AS pid, pg_sleep(0.05)")
        again = conn.cursor()
        again.execute("SELECT pg_backend_pid() AS pid")
        return [cursor.fetchone()["pid"], again.fetchone()["pid"]]

    @app.get("/add/<int:commit>")
    def add(commit: int) -> Any:
        cursor.execute("INSERT INTO kept VALUES (1)")
        if commit:
            conn.commit()
        return "added"

    @app.get("/settings")
    def shown() -> Any:
        return [conn.autocommit, conn.isolation_level, isinstance(conn, connection)]

    return app


def test_requests_at_a_time_have_connections_of_their_own_out_of_the_pool(app: Flask) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: app.test_client().get("/pid").json, range(8)))
    assert all(one == other for one, other in found)
    assert len({one for one, _ in found}) > 1
    drop_in = installed()
    assert drop_in is not None
    assert [pool["used"] for pool in drop_in.stats()] == [0]


def test_what_a_request_does_not_commit_is_rolled_back(app: Flask, dsn: str) -> None:
    conn = psycopg2.connect(dsn)
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int)")
        for commit, count in ((0, 0), (1, 1)):
            app.test_client().get(f"/add/{commit}")
            cursor.execute("SELECT count(*) FROM kept")
            assert cursor.fetchone() == (count,)
        cursor.execute("DROP TABLE kept")
    conn.close()


def test_outside_of_requests_it_is_one_connection_of_the_process(app: Flask) -> None:
    conn, cursor = app.config["CONN"], app.config["CURSOR"]
    cursor.execute("SELECT pg_backend_pid() AS pid")
    pid = cursor.fetchone()["pid"]
    assert pid == conn.info.backend_pid
    assert app.test_client().get("/pid").json[0] != pid
    cursor.execute("SELECT pg_backend_pid() AS pid")
    assert cursor.fetchone()["pid"] == pid
    drop_in = installed()
    assert drop_in is not None
    assert sum(pool["used"] for pool in drop_in.stats()) == 0
    conn.close()


def test_session_settings_made_at_import_are_each_requests(app: Flask) -> None:
    conn = app.config["CONN"]
    assert app.test_client().get("/settings").json == [False, None, True]
    conn.autocommit = True
    conn.set_session(isolation_level="SERIALIZABLE")
    assert app.test_client().get("/settings").json == [
        True,
        psycopg2.extensions.ISOLATION_LEVEL_SERIALIZABLE,
        True,
    ]
    conn.close()


def test_an_app_context_pushed_at_import_is_no_request(app: Flask) -> None:
    conn = app.config["CONN"]
    context = app.app_context()
    context.push()
    try:
        conn.autocommit = True
        pid = conn.info.backend_pid
        assert app.test_client().get("/settings").json[0] is True
        assert app.test_client().get("/pid").json[0] != pid
    finally:
        context.pop()
    assert conn.info.backend_pid == pid
    conn.close()


def test_a_cursor_that_a_helper_closed_is_made_again_for_the_next(app: Flask) -> None:
    cursor = app.config["CURSOR"]

    @app.get("/closes")
    def closes() -> Any:
        cursor.execute("SELECT 1 AS one")
        cursor.close()
        cursor.execute("SELECT 2 AS two")
        return cursor.fetchone()

    assert app.test_client().get("/closes").json == {"two": 2}


def test_a_child_of_a_fork_connects_anew(app: Flask) -> None:
    conn = app.config["CONN"]
    pid = conn.info.backend_pid
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"same" if conn.info.backend_pid == pid else b"anew")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"anew"
    assert conn.info.backend_pid == pid
    conn.close()
    os.close(read)
    os.close(write)


def test_threads_outside_of_requests_get_the_same_one(app: Flask) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(app.config["CONN"].info.backend_pid)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    app.config["CONN"].close()
