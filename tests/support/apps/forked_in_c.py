"""Forks by libc, without Python's hooks, with connections idle and leased: `forked_in_c.py DSN KIND`.

One child for each thing that it may do first with the pool. Prints as JSON what children and parent saw.
"""

import ctypes
import json
import os
import select
import signal
import sys
import threading
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from backend import ThreadedConnectionPool
from backend.dropin import ReturningPool

dsn, kind = sys.argv[1:]
pool = (ThreadedConnectionPool if kind == "pool" else ReturningPool)(1, 4, dsn)
fork = ctypes.PyDLL(None).fork  # PyDLL keeps the interpreter's lock: the child's one thread must hold it


def backend_of(conn):
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def give_back(conn):
    conn.close() if kind == "drop-in" else pool.putconn(conn)


def lease(seen, meet):
    conn = pool.getconn(timeout=5)
    meet.wait(10)
    seen.append(backend_of(conn))
    give_back(conn)


def child(first, writer):
    seen, error = [], ""
    try:
        if first != "getconn":
            {"resize": lambda: pool.resize(1, 3)}.get(first, getattr(pool, first))()
        if first != "closeall":
            meet = threading.Barrier(3)
            threads = [threading.Thread(target=lease, args=(seen, meet)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
        give_back(leased)  # the parent's: must do nothing
    except Exception:
        error = traceback.format_exc()
    os.write(writer, json.dumps({"backends": seen, "error": error}).encode())
    os._exit(0)


leased, idle = pool.getconn(), pool.getconn()
with leased.cursor() as cursor:
    cursor.execute("CREATE TEMP TABLE mine (x int)")
parent = [backend_of(leased), backend_of(idle)]
give_back(idle)
children = {}
for first in ("getconn", "drain", "resize", "stats", "closeall"):
    reader, writer = os.pipe()
    pid = fork()
    if not pid:
        child(first, writer)
    os.close(writer)
    if select.select([reader], [], [], 10)[0]:
        children[first] = json.loads(os.read(reader, 65536) or b'{"backends": [], "error": "died"}')
    else:
        children[first] = {"backends": [], "error": "hung"}
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
again = pool.getconn()
with leased.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM mine")
    is_there = cursor.fetchone()[0] == 0
print(json.dumps({
    "children": children, "parent": parent,
    "parent_again": [backend_of(leased), backend_of(again)], "temp_table_is_there": is_there,
}))  # fmt: skip
