"""Nine ways in which Flask apps hold their connections, each as a small app with the same three pages.

`/read/<n>` reads a row, `/add/<n>` writes one and commits, `/fail/<n>` runs a statement that fails.
"""

from __future__ import annotations

from textwrap import dedent

HEAD = """\
import os

import psycopg2
import psycopg2.extras
from flask import Flask, g

app = Flask(__name__)
DSN = os.environ["DSN"]
"""
# What a page does with a cursor `cur`, and how it commits.
PAGES = '''

@app.get("/read/<int:number>")
def read(number):
    {begin}
    cur.execute("SELECT name FROM idiom WHERE id = %s", (number,))
    found = str(cur.fetchone()[0])
    {end}
    return found


@app.post("/add/<int:number>")
def add(number):
    {begin}
    cur.execute("INSERT INTO idiom (id, name) VALUES (%s, 'added')", (number + 100,))
    {commit}
    {end}
    return "added"


@app.get("/fail/<int:number>")
def fail(number):
    {begin}
    try:
        cur.execute("SELECT name FROM idiom WHERE id = 'x' || %s", (number,))
    except psycopg2.Error:
        {rollback}
        {end}
        return "failed", 400
    return "worked"
'''


def _app(held: str, begin: str, end: str = "pass", connection: str = "conn") -> dict[str, str]:
    pages = PAGES.format(
        begin=begin.replace("\n", "\n    "), end=end.replace("\n", "\n    "), commit=f"{connection}.commit()",
        rollback=f"{connection}.rollback()",
    )  # fmt: skip
    return {"app.py": HEAD + dedent(held) + pages}


USERS = '''
class Items:
    def __init__(self):
        self.conn = psycopg2.connect(DSN)
        self.cur = self.conn.cursor()

    def name(self, number):
        self.cur.execute("SELECT name FROM idiom WHERE id = %s", (number,))
        return str(self.cur.fetchone()[0])

    def add(self, number):
        self.cur.execute("INSERT INTO idiom (id, name) VALUES (%s, 'added')", (number + 100,))
        self.conn.commit()

    def fail(self, number):
        try:
            self.cur.execute("SELECT name FROM idiom WHERE id = 'x' || %s", (number,))
        except psycopg2.Error:
            self.conn.rollback()
            return "failed"
        return "worked"
'''
ITEM_PAGES = '''

@app.get("/read/<int:number>")
def read(number):
    return {items}.name(number)


@app.post("/add/<int:number>")
def add(number):
    {items}.add(number)
    return "added"


@app.get("/fail/<int:number>")
def fail(number):
    return {items}.fail(number), 400
'''

IDIOMS: dict[str, dict[str, str]] = {
    "global connection": _app(
        'conn = psycopg2.connect(\n    DSN,  # one for all\n)\ncur = conn.cursor()\n', "pass"
    ),
    "helper per view": _app(
        "\n\ndef connect():\n    return psycopg2.connect(DSN)\n", "conn = connect()\ncur = conn.cursor()",
        "conn.close()",
    ),
    "g and teardown": _app(
        '\n\ndef get_db():\n    if "db" not in g:\n        g.db = psycopg2.connect(DSN)\n    return g.db\n\n\n'
        '@app.teardown_appcontext\ndef close_db(error):\n    db = g.pop("db", None)\n    if db is not None:\n'
        "        db.close()\n",
        "cur = get_db().cursor()", connection="get_db()",
    ),
    "cursor passed along": _app(
        "\n\ndef opened(cur):\n    return cur\n", "conn = psycopg2.connect(DSN)\ncur = opened(conn.cursor())",
        "conn.close()",
    ),
    "context manager": _app(
        "from contextlib import contextmanager\nfrom contextlib import ExitStack\n\n\n@contextmanager\n"
        "def connection():\n    conn = psycopg2.connect(DSN)\n    try:\n        yield conn\n    finally:\n"
        "        conn.close()\n",
        "stack = ExitStack()\nconn = stack.enter_context(connection())\ncur = conn.cursor()", "stack.close()",
    ),
    "singleton": _app(
        "\n\nclass Database:\n    _instance = None\n\n    def __new__(cls):\n        if cls._instance is None:\n"
        "            cls._instance = super().__new__(cls)\n"
        "            cls._instance.conn = psycopg2.connect(DSN)\n        return cls._instance\n",
        "conn = Database().conn\ncur = conn.cursor()",
    ),
    "object made at import": {"app.py": HEAD + USERS + "\n\nitems = Items()\n" + ITEM_PAGES.format(items="items")},
    "object per request": {"app.py": HEAD + USERS + ITEM_PAGES.format(items="Items()")},
    "connect in every method": {
        "app.py": HEAD + USERS.replace("__init__", "connect").replace(
            ", number):\n", ", number):\n        self.connect()\n"
        ) + ITEM_PAGES.format(items="Items()"),
    },
    "decorator with a cursor": {
        "app.py": HEAD + '''from functools import wraps


def with_cursor(view):
    @wraps(view)
    def wrapper(*args, **kwargs):
        conn = psycopg2.connect(DSN)
        try:
            found = view(conn.cursor(), *args, **kwargs)
            conn.commit()
            return found
        except psycopg2.Error:
            return "failed", 400
        finally:
            conn.close()
    return wrapper


@app.get("/read/<int:number>")
@with_cursor
def read(cur, number):
    cur.execute("SELECT name FROM idiom WHERE id = %s", (number,))
    return str(cur.fetchone()[0])


@app.post("/add/<int:number>")
@with_cursor
def add(cur, number):
    cur.execute("INSERT INTO idiom (id, name) VALUES (%s, 'added')", (number + 100,))
    return "added"


@app.get("/fail/<int:number>")
@with_cursor
def fail(cur, number):
    cur.execute("SELECT name FROM idiom WHERE id = 'x' || %s", (number,))
    return "worked"
''',
    },
}  # fmt: skip
