"""A connection of the process becomes one per request, or the reason says why it must not."""

from __future__ import annotations

import pytest

from ..fixing import Outcome, fixed

RULE = "global-shared-connection"
HEAD = "import psycopg2\nimport psycopg2.extras\nfrom flask import Flask\n\napp = Flask(__name__)\n"
READ = """

@app.get("/")
def home():
    cur = conn.cursor()
    cur.execute("SELECT 1")
    return str(cur.fetchone())
"""
WRITE = """

@app.post("/")
def add():
    cur.execute("INSERT INTO t VALUES (1)")
    conn.commit()
    return ""
"""


def shared(code: str, kit: str = "hardened") -> Outcome:
    """Return what the fixer makes of an app."""
    return fixed({"app.py": HEAD + code}, RULE, kit=kit)


def changed(code: str) -> str:
    """Return the app as fixed, without imports and adopt; nothing is left."""
    found = shared(code)
    assert found.reasons == []
    lines = found.files["app.py"].splitlines(keepends=True)
    assert "adopt(app)\n" in lines
    return "".join(each for each in lines if not each.startswith(("from hardened", "adopt(app)")))


def test_only_what_opens_it_is_called_otherwise() -> None:
    code = 'conn = psycopg2.connect(\n    "dbname=a",  # here\n    user="b",\n)\n' + READ
    assert changed(code) == HEAD + code.replace("psycopg2.connect", "connection_per_request")


def test_a_cursor_that_is_kept_changes_with_it() -> None:
    code = 'conn = psycopg2.connect("")\ncur = conn.cursor()  # one\n' + WRITE
    expected = 'conn = connection_per_request("")\ncur = cursor_per_request(conn)  # one\n' + WRITE
    assert changed(code) == HEAD + expected


KEPT = {
    "a cursor with a class": (
        'conn = psycopg2.connect("")\ncur = conn.cursor(cursor_factory=psycopg2.extras.DictCursor)\n' + WRITE,
        "cur = cursor_per_request(conn, cursor_factory=psycopg2.extras.DictCursor)\n",
    ),
    "a cursor in one go": (
        'cur = psycopg2.connect("").cursor()\n' + WRITE.replace("conn.commit", "cur.connection.commit"),
        'cur = cursor_per_request(connection_per_request(""))\n',
    ),
    "a global that a function sets": (
        'conn = None\ndef init():\n    global conn\n    conn = psycopg2.connect("")\ninit()\n' + READ,
        '    conn = connection_per_request("")\n',
    ),
    "made at first use": (
        'conn = None\ndef get():\n    global conn\n    if conn is None:\n        conn = psycopg2.connect("")\n'
        '    return conn\n' + READ.replace("conn.cursor", "get().cursor"),
        '        conn = connection_per_request("")\n',
    ),
    "two ways to open it": (
        'import os\nif os.environ.get("URL"):\n    conn = psycopg2.connect(os.environ["URL"])\nelse:\n'
        '    conn = psycopg2.connect("")\n' + READ,
        'connection_per_request(os.environ["URL"])\nelse:\n    conn = connection_per_request("")\n',
    ),
    "a class attribute": (
        'class Database:\n    conn = psycopg2.connect("")\n' + READ.replace("conn.cursor", "Database.conn.cursor"),
        '    conn = connection_per_request("")\n',
    ),
    "a singleton": (
        "class Database:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n"
        '            cls._one = super().__new__(cls)\n            cls._one.conn = psycopg2.connect("")\n'
        "        return cls._one\n" + READ.replace("conn.cursor", "Database().conn.cursor"),
        '            cls._one.conn = connection_per_request("")\n',
    ),
    "an object made at import": (
        'class Users:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
        "        self.conn.autocommit = True\n        self.cur = self.conn.cursor()\n"
        '    def all(self):\n        self.cur.execute("SELECT 1")\n        return self.cur.fetchall()\n'
        'users = Users()\n@app.get("/")\ndef home():\n    return str(users.all())\n',
        '        self.conn = connection_per_request("")\n        self.conn.autocommit = True\n'
        "        self.cur = cursor_per_request(self.conn)\n",
    ),
    "a helper that nobody else calls": (
        'def dial():\n    return psycopg2.connect("")\nconn = dial()\n' + READ,
        '    return connection_per_request("")\n',
    ),
    "settings of the start": (
        'conn = psycopg2.connect("")\nconn.set_session(autocommit=True)\n' + READ,
        'conn = connection_per_request("")\nconn.set_session(autocommit=True)\n',
    ),
    "a name of psycopg2's own": (
        'from psycopg2 import connect\nconn = connect("")\n' + READ, 'conn = connection_per_request("")\n',
    ),
    "an alias": ('import psycopg2 as pg\nconn = pg.connect("")\n' + READ, 'conn = connection_per_request("")\n'),
    "a with that commits": (
        'conn = psycopg2.connect("")\n@app.post("/")\ndef add():\n    with conn, conn.cursor() as cur:\n'
        '        cur.execute("INSERT INTO t VALUES (1)")\n    return ""\n',
        'conn = connection_per_request("")\n',
    ),
    "start-up code that commits": (
        'conn = psycopg2.connect("")\nwith conn.cursor() as c:\n    c.execute("CREATE TABLE t ()")\n'
        "conn.commit()\n" + READ, 'conn = connection_per_request("")\nwith conn.cursor() as c:\n',
    ),
    "a close at the end of the module": (
        'conn = psycopg2.connect("")\n' + READ + "\nconn.close()\n", 'conn = connection_per_request("")\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("kept", KEPT)
def test_a_connection_of_the_process_is_one_per_request(kept: str) -> None:
    code, expected = KEPT[kept]
    assert expected in changed(code)


def test_start_up_statements_are_named_in_a_note() -> None:
    start = 'conn = psycopg2.connect("")\nconn.autocommit = True\nconn.cursor().execute("CREATE TABLE t ()")\n'
    (change,) = shared(start + READ).changes
    assert "runs at import (app.py:8)" in change.note


def test_a_connection_and_a_cursor_in_two_files_change_together() -> None:
    db = 'import psycopg2\nconnection = psycopg2.connect("")\n'
    code = "import db\nconn = db.connection\ncur = conn.cursor()\n" + WRITE
    found = fixed({"db.py": db, "app.py": HEAD + code}, RULE)
    assert 'connection = connection_per_request("")\n' in found.files["db.py"]
    assert "cur = cursor_per_request(conn)\n" in found.files["app.py"] and len(found.changes) == 1


LEFT = {
    "a handler writes and does not commit": (
        'conn = psycopg2.connect("")\ncur = conn.cursor()\n' + WRITE.replace("    conn.commit()\n", "")
        + READ, "add() writes and does not commit",
    ),
    "a setting of the session": (
        'conn = psycopg2.connect("")\nconn.cursor().execute("SET search_path TO shop")\n' + READ,
        "SET changes its session",
    ),
    "an advisory lock": (
        'conn = psycopg2.connect("")\nconn.cursor().execute("SELECT pg_advisory_lock(1)")\n' + READ,
        "advisory lock",
    ),
    "a write at the start that is open": (
        'conn = psycopg2.connect("")\nconn.cursor().execute("CREATE TABLE t ()")\n' + READ, "a write at the start",
    ),
    "uuids registered on it": (
        'conn = psycopg2.connect("")\npsycopg2.extras.register_uuid(conn_or_curs=conn)\n' + READ, "register_uuid",
    ),
    "identifiers quoted with it": (
        'from psycopg2.extensions import quote_ident\nconn = psycopg2.connect("")\n@app.get("/<t>")\ndef one(t):\n'
        '    cur = conn.cursor()\n    cur.execute("SELECT * FROM " + quote_ident(t, conn))\n    return ""\n',
        "quote_ident",
    ),
    "a statement spelled out with it": (
        'from psycopg2 import sql\nconn = psycopg2.connect("")\n' + READ
        + '@app.get("/sql")\ndef text():\n    return sql.SQL("x").as_string(conn)\n', "as_string",
    ),
    "another library gets it": (
        'import other\nconn = psycopg2.connect("")\nother.migrate(conn)\n' + READ, "other.migrate() gets it",
    ),
    "an asynchronous one": ('conn = psycopg2.connect("", async_=True)\n' + READ, "async_"),
    "another driver": (
        HEAD.replace("psycopg2.extras", "psycopg") + 'conn = psycopg.connect("")\n' + READ, "not psycopg2.connect",
    ),
    "opened again in a handler": (
        'conn = psycopg2.connect("")\n' + READ.replace(
            '    cur.execute("SELECT 1")\n', '    try:\n        cur.execute("SELECT 1")\n'
            '    except psycopg2.OperationalError:\n        again()\n'
        ) + 'def again():\n    global conn\n    conn = psycopg2.connect("")\n', "again() opens it anew",
    ),
    "a cursor with a name": (
        'conn = psycopg2.connect("")\ncur = conn.cursor("big")\n' + WRITE, "named cursor",
    ),
    "a handler that sets autocommit": (
        'conn = psycopg2.connect("")\n' + READ + '@app.get("/auto")\ndef auto():\n    conn.autocommit = True\n'
        '    return ""\n', "auto() sets its autocommit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("left", LEFT)
def test_what_requests_share_today_is_left_alone(left: str) -> None:
    code, reason = LEFT[left]
    found = shared(code)
    assert not found.changes and found.reasons and all(reason in each for each in found.reasons), found.reasons


ITEMS = """
class Items:
    def __init__(self):
        self.conn = psycopg2.connect("")
        self.conn.autocommit = True
        self.cur = self.conn.cursor()

    def all(self):
        self.cur.execute("SELECT 1")
        return self.cur.fetchall()


items = Items()


@app.get("/")
def home():
    return str(items.all())


@app.get("/own")
def own():
    {}
"""


def test_objects_that_requests_make_as_well_have_one_each() -> None:
    found = shared(ITEMS.format("return str(Items().all())"))
    assert "        self.conn = connection_per_request(\"\")\n" in found.files["app.py"] and not found.left
    assert "until the request ends" in found.changes[0].note


@pytest.mark.parametrize("view", [
    "return str([Items().all() for _ in range(99)])",
    "global items\n    items = Items()\n    return str(items.all())",
])  # fmt: skip
def test_objects_that_requests_make_in_numbers_or_keep_are_left_alone(view: str) -> None:
    found = shared(ITEMS.format(view))
    assert not found.changes and found.left


def test_a_helper_that_views_call_as_well_is_left_alone() -> None:
    code = 'def dial():\n    return psycopg2.connect("")\nconn = dial()\n' + READ \
           + '@app.get("/two")\ndef two():\n    own = dial()\n    own.close()\n    return ""\n'  # fmt: skip
    assert not shared(code).changes


def test_without_the_runtime_the_reason_says_what_to_do() -> None:
    assert "vendor" in shared('conn = psycopg2.connect("")\n' + READ, kit="").reasons[0]


def test_the_other_fixer_adopts_the_app_once_when_both_run() -> None:
    two = '@app.get("/two")\ndef two():\n    own = psycopg2.connect("")\n    own.close()\n    return ""\n'
    code = 'conn = psycopg2.connect("")\n' + READ + two
    found = fixed({"app.py": HEAD + code}, RULE, "connect-per-request", "no-connect-timeout")
    assert found.files["app.py"].count("adopt(app)") == 1 and "connection_per_request" in found.files["app.py"]
    assert found.files["app.py"].count("psycopg2.connect(") == 1 and not found.left


def test_statements_on_the_stand_ins_are_still_audited() -> None:
    view = '@app.get("/<x>")\ndef one(x):\n    cur.execute(f"SELECT 1 WHERE \'{x}\' = 1")\n    return ""\n'
    found = fixed({"app.py": HEAD + 'conn = psycopg2.connect("")\ncur = conn.cursor()\n' + view}, RULE)
    assert "sql-injection" in {each.name for each in found.result.audit.findings}
