"""An app that connects when it is imported, and then in two ways: by psycopg2.connect, and from a pool of its own.

With GREEN_DRIVER set it gives psycopg2 a wait callback for gevent, as psycogreen does.
"""

import os
import sys
import threading
import time

import psycopg2
from flask import Flask, jsonify, request

from backend import PoolOptions, ThreadedConnectionPool

DSN = os.environ["DATABASE_URL"]
POOL_SIZE = int(os.environ.get("OWN_POOL_MAX", "3"))
app = Flask(__name__)
imported_in = os.getpid()
seen_at_import = []


def wait_for_gevent(conn):
    """Let other greenlets run while PostgreSQL works."""
    from gevent.socket import wait_read, wait_write
    from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

    waits = {POLL_READ: wait_read, POLL_WRITE: wait_write}
    while (state := conn.poll()) != POLL_OK:
        waits[state](conn.fileno())


if os.environ.get("GREEN_DRIVER"):
    psycopg2.extensions.set_wait_callback(wait_for_gevent)
pool = ThreadedConnectionPool(1, POOL_SIZE, DSN, pool_options=PoolOptions(timeout=20))


def from_connect(work):
    conn = psycopg2.connect(DSN)
    try:
        return work(conn)
    finally:
        conn.close()


def from_pool(work):
    conn = pool.getconn()
    try:
        return work(conn)
    finally:
        pool.putconn(conn)


WAYS = {"connect": from_connect, "pool": from_pool}


def backend_of(conn):
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


for way in WAYS.values():
    seen_at_import.append(way(backend_of))


@app.get("/lease/<way>/<token>")
def lease(way, token):
    """The token, as two statements of one transaction bring it back, and who answered."""

    def work(conn):
        with conn.cursor() as cursor:
            cursor.execute("SELECT %s, pg_backend_pid(), txid_current()", (token,))
            first = cursor.fetchone()
            time.sleep(0.001)  # where gevent switches to other requests
            cursor.execute("SELECT %s, pg_backend_pid(), txid_current()", (token,))
            second = cursor.fetchone()
        conn.commit()
        return first, second

    first, second = WAYS[way](work)
    return jsonify(
        token=first[0], backend=first[1], same=first == second, pid=os.getpid(), imported_in=imported_in,
        at_import=seen_at_import, worker=_worker_class(), used_tls=_tls(),
        housekeepers=sum(one.name == "pool-housekeeper" for one in threading.enumerate()),
    )  # fmt: skip


def _worker_class():
    gevent = sys.modules.get("gevent.monkey")
    if gevent and gevent.is_module_patched("socket"):
        return "gevent"
    return "gthread" if request.environ["wsgi.multithread"] else "sync"


def _tls():
    return WAYS["pool"](lambda conn: conn.info.ssl_in_use)


@app.get("/sleep/<way>/<seconds>")
def sleep(way, seconds):
    """A request that takes its time inside PostgreSQL."""

    def work(conn):
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), pg_sleep(%s)", (float(seconds),))
            backend = cursor.fetchone()[0]
        conn.commit()
        return backend

    return jsonify(backend=WAYS[way](work), pid=os.getpid())
