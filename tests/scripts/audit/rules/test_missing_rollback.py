"""H104."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.missing_rollback import RULE

from ..looking import places

HEAD = "import psycopg2\nfrom flask import Flask, g\napp = Flask(__name__)\n"
SHARED = HEAD + 'conn = psycopg2.connect("")\n'
VIEW = '@app.get("/")\ndef home():\n'
WRITE = '    conn.cursor().execute("UPDATE t SET a = 1")\n    conn.commit()\n'

FOUND = {
    "a write": (SHARED + VIEW + WRITE, "7:5"),
    "a write by the process's cursor": (
        SHARED + "cur = conn.cursor()\n" + VIEW + '    cur.execute("DELETE FROM t")\n    conn.commit()\n', "8:5"
    ),
    "an error that is swallowed": (
        SHARED + VIEW + '    try:\n        conn.cursor().execute("SELECT 1")\n    except Exception as error:\n'
        "        print(error)\n    return ''\n",
        "9:5",
    ),
    "a write whose error is swallowed": (
        SHARED + VIEW + '    try:\n        conn.cursor().execute("INSERT INTO t VALUES (1)")\n'
        '        conn.commit()\n'
        "    except psycopg2.Error:\n        return 'no', 500\n    return ''\n",
        "8:9",
    ),
    "a write in a helper": (SHARED + "def save():\n" + WRITE + VIEW + "    save()\n", "6:5"),
    "a cursor in with": (
        SHARED + VIEW + '    with conn.cursor() as cur:\n        cur.execute("UPDATE t SET a = 1")\n'
        '    conn.commit()\n', "8:9"
    ),
    "a statement that is not known": (
        SHARED + "def run(sql):\n    conn.cursor().execute(sql)\n"
        "    conn.commit()\n" + VIEW + "    run(app.name)\n", "6:5"
    ),
    "a statement whose beginning is not known": (
        SHARED + "def run(verb):\n    conn.cursor().execute(verb + ' users WHERE id = 1')\n"
        "    conn.commit()\n" + VIEW + "    run(app.name)\n", "6:5"
    ),
    "a method of an object of the process": (
        HEAD + 'class Users:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
        '    def save(self):\n'
        '        self.conn.cursor().execute("UPDATE t SET a = 1")\n        self.conn.commit()\nusers = Users()\n'
        + VIEW + "    users.save()\n",
        "8:9",
    ),
    "a connection that is made once": (
        HEAD + "conn = None\ndef get():\n    global conn\n    if conn is None:\n"
        '        conn = psycopg2.connect("")\n    return conn\n' + VIEW
        + '    own = get()\n    own.cursor().execute("UPDATE t SET a = 1")\n    own.commit()\n',
        "13:5",
    ),
    "a finally that does not roll back": (
        SHARED + VIEW + '    cur = conn.cursor()\n    try:\n        cur.execute("UPDATE t SET a = 1")\n'
        '        conn.commit()\n'
        "    finally:\n        cur.close()\n",
        "9:9",
    ),
}  # fmt: skip

FINE = {
    "autocommit": SHARED + "conn.autocommit = True\n" + VIEW + WRITE,
    "autocommit by set_session": SHARED + "conn.set_session(autocommit=True)\n" + VIEW + WRITE,
    "autocommit by its level": SHARED + "conn.set_isolation_level(0)\n" + VIEW + WRITE,
    "with conn": SHARED + VIEW + '    with conn:\n        conn.cursor().execute("UPDATE t SET a = 1")\n',
    "with conn and its"
    " cursor": SHARED + VIEW + '    with conn, conn.cursor() as cur:\n        cur.execute("UPDATE t SET a = 1")\n',
    "a rollback in the handler": SHARED + VIEW + '    try:\n        conn.cursor().execute("UPDATE t SET a = 1")\n'
    "        conn.commit()\n    except Exception:\n        conn.rollback()\n        raise\n",
    "a rollback in a helper": SHARED + "def undo():\n    conn.rollback()\n" + VIEW
    + '    try:\n        conn.cursor().execute("UPDATE t SET a = 1")\n    except Exception:\n        undo()\n',
    "the caller rolls back": SHARED + "def save():\n" + WRITE + VIEW
    + "    try:\n        save()\n    except Exception:\n        conn.rollback()\n        raise\n",
    "a teardown rolls back": SHARED + "@app.teardown_request\ndef end(error):\n    if error:\n"
    "        conn.rollback()\n" + VIEW + WRITE,
    "an error handler rolls back": SHARED + "@app.errorhandler(psycopg2.Error)\ndef failed(error):\n"
    "    conn.rollback()\n"
    + VIEW + WRITE,
    "a read whose error goes on": SHARED + VIEW + '    conn.cursor().execute("SELECT 1")\n',
    "a connection for the"
    " call": HEAD + VIEW + '    conn = psycopg2.connect("")\n    try:\n'
    '    ' + WRITE.replace("\n    ", "\n        ")
    + "    finally:\n        conn.close()\n",
    "a connection for the"
    " request": HEAD + 'def get():\n    if "db" not in g:\n        g.db = psycopg2.connect("")\n    return g.db\n'
    "@app.teardown_appcontext\ndef end(error):\n    g.db.close()\n" + VIEW + "    conn = get()\n" + WRITE,
    "out of a pool": HEAD + "from psycopg2.pool import ThreadedConnectionPool\n"
    "pool = ThreadedConnectionPool(1, 8, '')\n"
    + VIEW + "    conn = pool.getconn()\n    try:\n"
    "    " + WRITE.replace("\n    ", "\n        ") + "    finally:\n        pool.putconn(conn)\n",
    "a script": SHARED + "def load():\n" + WRITE + VIEW + "    return ''\nif __name__ == '__main__':\n"
    "    load()\n",
}  # fmt: skip


@pytest.mark.parametrize("code, place", FOUND.values(), ids=FOUND.keys())
def test_a_transaction_that_stays_aborted_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_what_is_rolled_back_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == []


def test_one_that_stands_for_the_requests_own_is_left_alone(tmp_path: Path) -> None:
    code = "import psycopg2\nfrom flask import Flask\nfrom hardened import adopt, connection_per_request\n" \
        "app = Flask(__name__)\nadopt(app)\nconn = {}('')\n@app.post('/')\ndef add():\n" \
        "    cur = conn.cursor()\n    cur.execute('INSERT INTO t VALUES (1)')\n    conn.commit()\n"  # fmt: skip
    assert len(places(RULE, tmp_path, {"app.py": code.format("psycopg2.connect")})) == 1
    assert places(RULE, tmp_path, {"app.py": code.format("connection_per_request")}) == []
