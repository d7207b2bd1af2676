"""H103."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.leaked_connection import RULE

from ..looking import findings, places

HEAD = """\
import contextlib, os
from contextlib import closing, contextmanager
import psycopg2
from psycopg2.pool import ThreadedConnectionPool
from flask import Flask, g, jsonify, request, abort
app = Flask(__name__)
pool = ThreadedConnectionPool(1, 8, "")
def connect():
    return psycopg2.connect("")
# ----------
"""

LEAKS = {
    "close at the end only": (
        """
@app.get("/")
def home():
    conn = connect()
    cur = conn.cursor()
    cur.execute("SELECT 1")
    conn.close()
""",
        3,
        12,
    ),
    "with connect does not close": (
        """
@app.get("/")
def home():
    with psycopg2.connect("") as conn:
        with conn.cursor() as cur:
            cur.execute("SELECT 1")
""",
        3,
        10,
    ),
    "with on a helper's connection does not close": (
        """
@app.get("/")
def home():
    with connect() as conn:
        conn.cursor().execute("SELECT 1")
""",
        3,
        10,
    ),
    "with conn does not close": (
        """
@app.get("/")
def home():
    conn = connect()
    with conn:
        conn.cursor().execute("SELECT 1")
""",
        3,
        12,
    ),
    "early return": (
        """
@app.get("/")
def home():
    conn = connect()
    cur = conn.cursor()
    try:
        cur.execute("SELECT 1")
    except Exception:
        return "", 500
    conn.close()
    return ""
""",
        3,
        12,
    ),
    "close in except and at the end": (
        """
@app.get("/")
def home():
    conn = connect()
    try:
        cur = conn.cursor()
        cur.execute("SELECT 1")
        name = cur.fetchone()[0]
        conn.close()
    except psycopg2.Error:
        conn.close()
    return ""
""",
        3,
        12,
    ),
    "close in the body of try": (
        """
@app.get("/")
def home():
    try:
        conn = connect()
        cur = conn.cursor()
        cur.execute("SELECT 1")
        conn.close()
    except Exception as error:
        print(error)
    return ""
""",
        4,
        16,
    ),
    "work before the try": (
        """
@app.get("/")
def home():
    conn = connect()
    cur = conn.cursor()
    cur.execute("SELECT 1")
    try:
        cur.execute("SELECT 2")
    finally:
        conn.close()
""",
        3,
        12,
    ),
    "only the cursor is closed": (
        """
@app.get("/")
def home():
    conn = connect()
    cur = conn.cursor()
    try:
        cur.execute("SELECT 1")
    finally:
        cur.close()
""",
        3,
        12,
    ),
    "a chain hides the connection": (
        """
@app.get("/")
def home():
    cur = psycopg2.connect("").cursor()
    cur.execute("SELECT 1")
    return str(cur.fetchone())
""",
        3,
        11,
    ),
    "a helper that returns the cursor hides the connection": (
        """
def cursor():
    conn = connect()
    return conn.cursor()
@app.get("/")
def home():
    cur = cursor()
    cur.execute("SELECT 1")
    cur.close()
    return ""
""",
        2,
        12,
    ),
    "a helper that returns both": (
        """
def open_both():
    conn = psycopg2.connect("")
    return conn, conn.cursor()
@app.get("/")
def home():
    conn, cur = open_both()
    cur.execute("SELECT 1")
    conn.close()
""",
        6,
        17,
    ),
    "a decorator without finally": (
        """
def with_cursor(function):
    def wrapper(*args, **kwargs):
        conn = connect()
        cur = conn.cursor()
        result = function(cur, *args, **kwargs)
        conn.commit()
        conn.close()
        return result
    return wrapper
@with_cursor
def read(cur):
    cur.execute("SELECT 1")
@app.get("/")
def home():
    read()
""",
        3,
        16,
    ),
    "a context manager without finally": (
        """
@contextmanager
def connection():
    conn = psycopg2.connect("")
    yield conn
    conn.commit()
    conn.close()
@app.get("/")
def home():
    with connection() as conn:
        conn.cursor().execute("SELECT 1")
""",
        3,
        12,
    ),
    "putconn missing when something raises": (
        """
@app.get("/")
def home():
    conn = pool.getconn()
    cur = conn.cursor()
    cur.execute("SELECT 1")
    pool.putconn(conn)
""",
        3,
        12,
    ),
    "with on a pool's connection does not give back": (
        """
@app.get("/")
def home():
    with pool.getconn() as conn:
        conn.cursor().execute("SELECT 1")
""",
        3,
        10,
    ),
    "close instead of putconn": (
        """
@app.get("/")
def home():
    conn = pool.getconn()
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        conn.close()
""",
        3,
        12,
    ),
    "a constructor that nothing closes": (
        """
class Users:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def all(self):
        cur = self.conn.cursor()
        cur.execute("SELECT 1")
        return cur.fetchall()
@app.get("/")
def home():
    return jsonify(Users().all())
""",
        3,
        21,
    ),
    "a close method that nobody calls": (
        """
class Users:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def all(self):
        cur = self.conn.cursor()
        cur.execute("SELECT 1")
        return cur.fetchall()
    def close(self):
        self.conn.close()
@app.get("/")
def home():
    return jsonify(Users().all())
""",
        3,
        21,
    ),
    "an object that is closed only at the end": (
        """
class Database:
    def __init__(self):
        self.conn = psycopg2.connect("")
        self.cur = self.conn.cursor()
    def run(self, sql):
        self.cur.execute(sql)
    def close(self):
        self.cur.close()
        self.conn.close()
@app.get("/")
def home():
    db = Database()
    db.run("SELECT 1")
    db.close()
""",
        12,
        10,
    ),
    "a constructor whose methods close at their end": (
        """
class Users:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def all(self):
        cur = self.conn.cursor()
        cur.execute("SELECT 1")
        rows = cur.fetchall()
        self.conn.close()
        return rows
@app.get("/")
def home():
    return jsonify(Users().all())
""",
        3,
        21,
    ),
    "methods that open and close": (
        """
class Database:
    def connect(self):
        self.conn = psycopg2.connect("")
        self.cur = self.conn.cursor()
    def disconnect(self):
        self.cur.close()
        self.conn.close()
    def run(self):
        self.connect()
        self.cur.execute("SELECT 1")
        self.disconnect()
@app.get("/")
def home():
    Database().run()
""",
        9,
        9,
    ),
    "kept in g without a teardown": (
        """
def get_db():
    if "db" not in g:
        g.db = psycopg2.connect("")
    return g.db
@app.get("/")
def home():
    get_db().cursor().execute("SELECT 1")
""",
        3,
        16,
    ),
    "a generator without finally": (
        """
def rows():
    conn = connect()
    cur = conn.cursor()
    cur.execute("SELECT 1")
    for row in cur:
        yield row
    conn.close()
@app.get("/")
def home():
    return app.response_class(rows())
""",
        2,
        12,
    ),
    "a nested function": (
        """
@app.get("/")
def home():
    def read():
        conn = connect()
        cur = conn.cursor()
        cur.execute("SELECT 1")
        return cur.fetchall()
    return jsonify(read())
""",
        4,
        16,
    ),
    "abort before the close": (
        """
@app.get("/")
def home():
    conn = connect()
    if not request.args.get("id"):
        abort(400)
    conn.close()
""",
        3,
        12,
    ),
    "an enter whose exit does not close": (
        """
class Database:
    def __enter__(self):
        self.conn = psycopg2.connect("")
        return self.conn
    def __exit__(self, *args):
        self.conn.commit()
@app.get("/")
def home():
    with Database() as conn:
        conn.cursor().execute("SELECT 1")
""",
        3,
        21,
    ),
    "passed on and never closed": (
        """
def read(conn):
    cur = conn.cursor()
    cur.execute("SELECT 1")
@app.get("/")
def home():
    conn = connect()
    read(conn)
    return ""
""",
        6,
        12,
    ),
    "passed on at once and never closed": (
        """
def read(conn):
    cur = conn.cursor()
    cur.execute("SELECT 1")
@app.get("/")
def home():
    read(connect())
    return ""
""",
        6,
        10,
    ),
}

FINE = {
    "a constructor whose methods close in finally": """
class Users:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def all(self):
        try:
            cur = self.conn.cursor()
            cur.execute("SELECT 1")
            return cur.fetchall()
        finally:
            self.conn.close()
@app.get("/")
def home():
    return jsonify(Users().all())
""",
    "closed where there is a cursor": """
@app.get("/")
def home():
    conn = cur = None
    try:
        conn = connect()
        cur = conn.cursor()
        cur.execute("SELECT 1")
    finally:
        if cur:
            cur.close()
            conn.close()
""",
    "locals, and a closed flag": """
@app.get("/")
def home():
    try:
        conn = connect()
        conn.cursor().execute("SELECT 1")
    except Exception as error:
        return str(error), 500
    finally:
        if "conn" in locals() and not conn.closed:
            conn.close()
""",
    "a request's, made by a helper, put there with setattr": """
@app.before_request
def before():
    conn = connect()
    setattr(g, "conn", conn)
def init_app(application):
    application.teardown_appcontext(close)
def close(error):
    g.conn.close()
@app.get("/")
def home():
    g.conn.cursor().execute("SELECT 1")
""",
    "a pool's own class": """
class Pool:
    def __init__(self):
        self.pool = ThreadedConnectionPool(1, 8, "")
    def getconn(self):
        conn = self.pool.getconn()
        conn.autocommit = True
        return conn
    def putconn(self, conn):
        self.pool.putconn(conn)
own = Pool()
@app.get("/")
def home():
    conn = own.getconn()
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        own.putconn(conn)
""",
    "a factory of views, with before and after": """
def create_app():
    app = Flask(__name__)
    @app.before_request
    def before():
        g.db = pool.getconn()
    @app.after_request
    def after(response):
        pool.putconn(g.db)
        return response
    return app
application = create_app()
""",
    "enter and exit with a pool": """
class Cursor:
    def __enter__(self):
        self.conn = pool.getconn()
        self.cur = self.conn.cursor()
        return self.cur
    def __exit__(self, kind, error, trace):
        if error:
            self.conn.rollback()
        else:
            self.conn.commit()
        self.cur.close()
        pool.putconn(self.conn)
@app.get("/")
def home():
    with Cursor() as cur:
        cur.execute("SELECT 1")
""",
    "try and finally": """
@app.get("/")
def home():
    conn = connect()
    cur = conn.cursor()
    try:
        cur.execute("SELECT 1")
        return str(cur.fetchone())
    finally:
        cur.close()
        conn.close()
""",
    "None first, and a check": """
@app.get("/")
def home():
    conn = None
    try:
        conn = connect()
        cur = conn.cursor()
        cur.execute("SELECT 1")
        conn.commit()
    except (Exception, psycopg2.DatabaseError) as error:
        print(error)
    finally:
        if conn is not None:
            conn.close()
""",
    "a truth test": """
@app.get("/")
def home():
    conn = None
    try:
        conn = connect()
        conn.cursor().execute("SELECT 1")
    finally:
        if conn:
            conn.close()
""",
    "closing": """
@app.get("/")
def home():
    with closing(connect()) as conn, conn.cursor() as cur:
        cur.execute("SELECT 1")
""",
    "closing a name": """
@app.get("/")
def home():
    conn = connect()
    with closing(conn):
        conn.cursor().execute("SELECT 1")
""",
    "an exit stack": """
@app.get("/")
def home():
    with contextlib.ExitStack() as stack:
        conn = stack.enter_context(closing(connect()))
        conn.cursor().execute("SELECT 1")
""",
    "a callback of an exit stack": """
@app.get("/")
def home():
    with contextlib.ExitStack() as stack:
        conn = connect()
        stack.callback(conn.close)
        conn.cursor().execute("SELECT 1")
""",
    "closed in every handler and at the end": """
@app.get("/")
def home():
    conn = connect()
    try:
        conn.cursor().execute("SELECT 1")
    except Exception:
        conn.close()
        raise
    conn.close()
    return ""
""",
    "swallowed and then closed": """
@app.get("/")
def home():
    conn = connect()
    try:
        conn.cursor().execute("SELECT 1")
    except Exception as error:
        print(error)
    conn.close()
    return ""
""",
    "g and a teardown": """
def get_db():
    if "db" not in g:
        g.db = psycopg2.connect("")
    return g.db
@app.teardown_appcontext
def close_db(error):
    db = g.pop("db", None)
    if db is not None:
        db.close()
@app.get("/")
def home():
    get_db().cursor().execute("SELECT 1")
""",
    "g by getattr, as Flask's documentation has it": """
def get_db():
    db = getattr(g, "_database", None)
    if db is None:
        db = g._database = psycopg2.connect("")
    return db
@app.teardown_appcontext
def close_db(error):
    db = getattr(g, "_database", None)
    if db is not None:
        db.close()
@app.get("/")
def home():
    get_db().cursor().execute("SELECT 1")
""",
    "before and teardown of each request": """
@app.before_request
def before():
    g.conn = connect()
@app.teardown_request
def after(error):
    g.conn.close()
@app.get("/")
def home():
    g.conn.cursor().execute("SELECT 1")
""",
    "a context manager with finally": """
@contextmanager
def connection():
    conn = pool.getconn()
    try:
        yield conn
    finally:
        pool.putconn(conn)
@app.get("/")
def home():
    with connection() as conn:
        conn.cursor().execute("SELECT 1")
""",
    "getconn inside the try": """
@contextmanager
def connection():
    try:
        conn = pool.getconn()
        yield conn
    finally:
        pool.putconn(conn)
@app.get("/")
def home():
    with connection() as conn:
        conn.cursor().execute("SELECT 1")
""",
    "a helper that gives back": """
def release(conn):
    if conn:
        pool.putconn(conn)
def lease():
    return pool.getconn()
@app.get("/")
def home():
    conn = lease()
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        release(conn)
""",
    "enter and exit": """
class Database:
    def __enter__(self):
        self.conn = psycopg2.connect("")
        return self.conn.cursor()
    def __exit__(self, *args):
        self.conn.commit()
        self.conn.close()
@app.get("/")
def home():
    with Database() as cur:
        cur.execute("SELECT 1")
""",
    "connect in the constructor, with": """
class Database:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def __enter__(self):
        return self
    def __exit__(self, *args):
        self.conn.close()
@app.get("/")
def home():
    with Database() as db:
        db.conn.cursor().execute("SELECT 1")
""",
    "an object in try and finally": """
class Database:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def close(self):
        self.conn.close()
@app.get("/")
def home():
    db = Database()
    try:
        db.conn.cursor().execute("SELECT 1")
    finally:
        db.close()
""",
    "closed by its destructor": """
class Database:
    def __init__(self):
        self.conn = psycopg2.connect("")
    def __del__(self):
        self.conn.close()
@app.get("/")
def home():
    Database().conn.cursor().execute("SELECT 1")
""",
    "a connection of the process": """
conn = connect()
@app.get("/")
def home():
    conn.cursor().execute("SELECT 1")
""",
    "one that is made once": """
conn = None
def get_conn():
    global conn
    if conn is None:
        conn = psycopg2.connect("")
    return conn
@app.get("/")
def home():
    get_conn().cursor().execute("SELECT 1")
""",
    "a decorator with finally": """
def with_cursor(function):
    def wrapper(*args, **kwargs):
        conn = connect()
        try:
            return function(conn.cursor(), *args, **kwargs)
        finally:
            conn.close()
    return wrapper
@with_cursor
def read(cur):
    cur.execute("SELECT 1")
@app.get("/")
def home():
    read()
""",
    "a helper that returns it": """
def configured():
    conn = psycopg2.connect("")
    conn.autocommit = True
    return conn
@app.get("/")
def home():
    conn = configured()
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        conn.close()
""",
    "a script": """
def load():
    conn = connect()
    conn.cursor().execute("SELECT 1")
if __name__ == "__main__":
    load()
""",
    "a tuple that is taken apart, closed in finally": """
def open_both():
    conn = psycopg2.connect("")
    return conn, conn.cursor()
@app.get("/")
def home():
    conn, cur = open_both()
    try:
        cur.execute("SELECT 1")
    finally:
        cur.close()
        conn.close()
""",
    "a loop that retries": """
@app.get("/")
def home():
    for turn in range(3):
        try:
            conn = connect()
            break
        except psycopg2.OperationalError:
            continue
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        conn.close()
""",
    "a caller's connection, or one of its own": """
def read(conn=None):
    own = conn is None
    if own:
        conn = connect()
    try:
        conn.cursor().execute("SELECT 1")
    finally:
        if own:
            conn.close()
@app.get("/")
def home():
    read()
""",
    "a stream that closes at its end": """
@app.get("/")
def home():
    conn = connect()
    def rows():
        try:
            cur = conn.cursor()
            cur.execute("SELECT 1")
            yield from cur
        finally:
            conn.close()
    return app.response_class(rows())
""",
}


def written(code: str) -> dict[str, str]:
    """Return a project with one file."""
    return {"app.py": HEAD + code.lstrip("\n")}


@pytest.mark.parametrize("code, line, col", LEAKS.values(), ids=LEAKS.keys())
def test_a_leak_is_found_where_it_is_taken(tmp_path: Path, code: str, line: int, col: int) -> None:
    assert places(RULE, tmp_path, written(code)) == [f"app.py:{line + HEAD.count(chr(10))}:{col}"]


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_what_is_closed_on_every_way_out_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, written(code)) == []


def test_each_caller_of_a_helper_in_another_file_is_judged(tmp_path: Path) -> None:
    found = places(RULE, tmp_path, {
        "db.py": "import psycopg2\ndef get_connection():\n    conn = psycopg2.connect('')\n    return conn\n",
        "app.py": "from flask import Flask\nimport db\napp = Flask(__name__)\n@app.get('/')\ndef one():\n"
        "    conn = db.get_connection()\n    conn.cursor().execute('SELECT 1')\n    conn.close()\n"
        "@app.get('/two')\ndef two():\n    conn = db.get_connection()\n    try:\n"
        "        conn.cursor().execute('SELECT 1')\n    finally:\n        conn.close()\n",
    })  # fmt: skip
    assert found == ["app.py:6:12"]


def test_one_finding_per_function_names_the_others(tmp_path: Path) -> None:
    code = "@app.get('/')\ndef home():\n    a = connect()\n    a.commit()\n    b = connect()\n"
    (found,) = findings(RULE, tmp_path, written(code + "    b.close()\n"))
    assert found.more == ()
    (found,) = findings(RULE, tmp_path / "two", written(code + "    b.commit()\n"))
    assert [place.line - HEAD.count("\n") for place in found.more] == [5]
    assert found.routes == ("GET /",) and found.severity is Severity.high


ADOPTED = HEAD + "from hardened import adopt\nadopt(app)\n"


def test_what_an_adopted_app_connects_goes_back_at_the_requests_end(tmp_path: Path) -> None:
    code = '@app.get("/")\ndef home():\n    connect().cursor().execute("SELECT 1")\n    return ""\n'
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) != []
    assert places(RULE, tmp_path, {"app.py": ADOPTED + code}) == []


def test_a_pool_of_an_adopted_apps_own_does_not_get_its_connections_back(tmp_path: Path) -> None:
    code = '@app.get("/")\ndef home():\n    conn = pool.getconn()\n    conn.cursor().execute("SELECT 1")\n'
    assert len(places(RULE, tmp_path, {"app.py": ADOPTED + code})) == 1
