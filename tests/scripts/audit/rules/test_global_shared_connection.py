"""H102."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.global_shared_connection import RULE

from ..looking import findings, places

HEAD = "import threading\nimport psycopg2\nfrom flask import Flask, g\napp = Flask(__name__)\n"
USE = (
    '@app.get("/")\ndef home():\n    cur = conn.cursor()\n'
    '    cur.execute("SELECT 1")\n    return str(cur.fetchone())\n'
)
VIEW = '@app.get("/")\ndef home():\n'

FOUND = {
    "a module's connection": ('conn = psycopg2.connect("")\n' + USE, ["5:1"]),
    "a connection and a cursor": (
        'conn = psycopg2.connect("")\ncur = conn.cursor()\n'
        '' + VIEW + '    cur.execute("SELECT 1")\n', ["5:1", "6:1"]
    ),
    "a helper's, kept under a"
    " name": ('def dial():\n    return psycopg2.connect("")\nconn = dial()\n' + USE, ["7:1"]),
    "a helper's that views call as well": (
        'def dial():\n    return psycopg2.connect("")\nconn = dial()\n' + USE
        + '@app.get("/two")\ndef two():\n    own = dial()\n    own.close()\n',
        ["7:1"],
    ),
    "a connection and a cursor of a helper": (
        'def dial():\n    conn = psycopg2.connect("")\n    return conn, conn.cursor()\nconn, cur = dial()\n'
        + VIEW + '    cur.execute("SELECT 1")\n    conn.commit()\n',
        ["8:1"],
    ),
    "made at first use": (
        'conn = None\ndef get():\n    global conn\n    if conn is None:\n        conn = psycopg2.connect("")\n'
        '    return conn\n'
        + VIEW + '    get().cursor().execute("SELECT 1")\n',
        ["9:9"],
    ),
    "a class attribute": (
        'class Database:\n    conn = psycopg2.connect("")\n'
        '' + VIEW + '    Database.conn.cursor().execute("SELECT 1")\n', ["6:5"]
    ),
    "a singleton": (
        "class Database:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n"
        '            cls._one = super().__new__(cls)\n            cls._one.conn = psycopg2.connect("")\n'
        '        return cls._one\n'
        + VIEW + '    Database().conn.cursor().execute("SELECT 1")\n',
        ["10:13"],
    ),
    "a singleton's, by a name of the view's own": (
        "class Database:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n"
        "            cls._one = super().__new__(cls)\n            cls._one.conn = psycopg2.connect(\"\")\n"
        '        return cls._one\n'
        + VIEW + '    db = Database().conn\n    cur = db.cursor()\n    cur.execute("SELECT 1")\n',
        ["10:13"],
    ),
    "a singleton whose constructor asks": (
        "class Database:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n"
        "            cls._one = super().__new__(cls)\n        return cls._one\n"
        '    def __init__(self):\n        if not hasattr(self, "conn"):\n'
        '            self.conn = psycopg2.connect("")\n'
        + VIEW
        + '    Database().conn.cursor().execute("SELECT 1")\n',
        ["13:13"],
    ),
    "a singleton by its metaclass": (
        "class Singleton(type):\n    pass\nclass Database(metaclass=Singleton):\n    def __init__(self):\n"
        '        self.conn = psycopg2.connect("")\n' + VIEW + '    Database().conn.cursor().execute("SELECT 1")\n',
        ["9:9"],
    ),
    "a singleton that keeps itself": (
        "class Database:\n    __one = None\n    @staticmethod\n    def get():\n"
        "        if Database.__one is None:\n"
        "            Database()\n        return Database.__one\n    def __init__(self):\n"
        "        Database.__one = self\n"
        '        self.conn ='
        ' psycopg2.connect("")\n' + VIEW + '    Database.get().conn.cursor().execute("SELECT 1")\n',
        ["14:9"],
    ),
    "a singleton that a method makes": (
        "class Database:\n    _one = None\n    @classmethod\n    def get(cls):\n        if not cls._one:\n"
        "            cls._one = cls()\n        return cls._one\n    def __init__(self):\n"
        '        self.conn ='
        ' psycopg2.connect("")\n' + VIEW + '    Database.get().conn.cursor().execute("SELECT 1")\n',
        ["13:9"],
    ),
    "kept on the class": (
        "class Database:\n    conn = None\n    @classmethod\n    def get(cls):\n        if cls.conn is None:\n"
        '            cls.conn = psycopg2.connect("")\n        return cls.conn\n'
        + VIEW + '    Database.get().cursor().execute("SELECT 1")\n',
        ["10:13"],
    ),
    "an object that is made at import": (
        'class Database:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
        '    def all(self):\n        cur = self.conn.cursor()\n        cur.execute("SELECT 1")\n'
        '        return cur.fetchall()\n'
        "db = Database()\n" + VIEW + "    return str(db.all())\n",
        ["7:9"],
    ),
    "an attribute of the"
    " app": ('app.db = psycopg2.connect("")\n' + VIEW + '    app.db.cursor().execute("SELECT 1")\n', ["5:1"]),
    "in the app's settings": (
        'app.config["DB"] = psycopg2.connect("")\n'
        '' + VIEW + '    app.config["DB"].cursor().execute("SELECT 1")\n', ["5:1"]
    ),
    "an extension of its own": (
        'class Database:\n    def init_app(self, app):\n        self.conn = psycopg2.connect("")\n'
        "        self.cursor = self.conn.cursor()\ndb = Database()\ndb.init_app(app)\n"
        + VIEW + '    db.cursor.execute("SELECT 1")\n    db.conn.commit()\n',
        ["7:9"],
    ),
    "made in a with at import": (
        'with psycopg2.connect("") as conn:\n    conn.autocommit = True\n' + USE, ["5:6"]
    ),
    "replaced when it is closed": (
        'conn = psycopg2.connect("")\ndef get():\n    global conn\n    if conn.closed:\n'
        '        conn = psycopg2.connect("")\n'
        "    return conn\n" + VIEW + '    get().cursor().execute("SELECT 1")\n',
        ["5:1"],
    ),
    "inside an app factory": (
        'def create_app():\n    app = Flask(__name__)\n    conn = psycopg2.connect("")\n    @app.get("/")\n'
        '    def home():\n'
        '        conn.cursor().execute("SELECT 1")\n    return app\napplication = create_app()\n',
        ["7:5"],
    ),
}  # fmt: skip

FINE = {
    "nobody uses it": 'conn = psycopg2.connect("")\nconn.cursor().execute("SELECT 1")\nconn.close()\n'
    '' + VIEW + "    return ''\n",
    "made per"
    " request": VIEW + '    conn = psycopg2.connect("")\n    conn.cursor().execute("SELECT 1")\n'
    '    conn.close()\n',
    "in g": 'def get():\n    if "db" not in g:\n        g.db = psycopg2.connect("")\n    return g.db\n'
    + VIEW + '    get().cursor().execute("SELECT 1")\n',
    "per thread": 'local = threading.local()\ndef get():\n    if not hasattr(local, "conn"):\n'
    '        local.conn = psycopg2.connect("")\n    return local.conn\n'
    '' + VIEW + '    get().cursor().execute("SELECT 1")\n',
    "a pool": 'from psycopg2.pool import ThreadedConnectionPool\npool = ThreadedConnectionPool(1, 8, "")\n'
    + VIEW + '    conn = pool.getconn()\n    conn.cursor().execute("SELECT 1")\n    pool.putconn(conn)\n',
    "a local of the same name": 'def dial():\n    return psycopg2.connect("")\nconn = dial()\nconn.close()\n'
    + VIEW + '    conn = dial()\n    conn.cursor().execute("SELECT 1")\n    conn.close()\n',
    "a script's": VIEW + "    return ''\nif __name__ == '__main__':\n    conn = psycopg2.connect('')\n"
    "    conn.close()\n",
    "an object per request": 'class Database:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
    + VIEW + '    Database().conn.cursor().execute("SELECT 1")\n',
    "made for the tables at the start": 'def tables():\n    conn = psycopg2.connect("")\n'
    '    conn.cursor().execute("SELECT 1")\n    conn.close()\ntables()\n' + VIEW + "    return ''\n",
    "only imported": 'conn = psycopg2.connect("")\n' + VIEW + "    return str(conn is None)\n",
    "a parameter of the same name": 'conn = psycopg2.connect("")\nconn.close()\ndef read(conn):\n'
    '    conn.cursor().execute("SELECT 1")\n' + VIEW + '    own = psycopg2.connect("")\n    read(own)\n'
    '    own.close()\n',
    "a helper that connects anew": 'def get():\n    conn = psycopg2.connect("")\n    return conn\n'
    + VIEW + '    get().cursor().execute("SELECT 1")\n',
    "sqlite": 'import sqlite3\nconn = sqlite3.connect("x")\n' + USE,
}  # fmt: skip


@pytest.mark.parametrize("code, wanted", FOUND.values(), ids=FOUND.keys())
def test_a_connection_of_the_process_is_found(tmp_path: Path, code: str, wanted: list[str]) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{each}" for each in wanted]


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_other_connections_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_a_connection_that_another_module_imports_is_found(tmp_path: Path) -> None:
    database = 'import psycopg2\ndef dial():\n    return psycopg2.connect("")\nconn = dial()\n'
    app = "from flask import Flask\nfrom database import conn\napp = Flask(__name__)\n" + USE
    (found,) = findings(RULE, tmp_path, {"database.py": database, "app.py": app})
    assert (found.place.path, found.place.line, found.routes) == ("database.py", 4, ("GET /",))
    assert [each.text for each in found.evidence] == ["home() uses it"]


DATABASE = 'class Database:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
DATABASE += '    def all(self):\n        self.conn.cursor().execute("SELECT 1")\n'
EACH = '@app.get("/each")\ndef each():\n    Database().all()\n'


@pytest.mark.parametrize("code, line", [
    (DATABASE + EACH + "db = Database()\n" + VIEW + "    db.all()\n", 13),
    (DATABASE + EACH + "class Users:\n    def __init__(self):\n        self.db = Database()\n    def all(self):\n"
     "        return self.db.all()\nusers = Users()\n" + VIEW + "    users.all()\n", 18),
], ids=["an object of it", "an attribute of an object"])  # fmt: skip
def test_an_object_made_at_import_of_a_class_that_requests_make_too_is_found(
    tmp_path: Path, code: str, line: int
) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{line}:1"]


@pytest.mark.parametrize("code", [
    DATABASE + EACH + "db = Database()\n" + VIEW + "    return ''\n",
    DATABASE + EACH + VIEW + "    db = Database()\n    db.all()\n",
    DATABASE + EACH + "if __name__ == '__main__':\n    db = Database()\n    db.all()\n",
    DATABASE.replace("self.conn = ", "conn = ").replace("self.conn.cursor", "psycopg2.connect('').cursor") + EACH
    + "db = Database()\n" + VIEW + "    db.all()\n",
], ids=["no request uses it", "each request has its own", "a script's", "it keeps no connection"])  # fmt: skip
def test_other_objects_with_connections_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


ADOPTED = HEAD + "from hardened import adopt, connection_per_request, cursor_per_request\nadopt(app)\n"


def test_adopting_the_app_leaves_a_connection_of_the_process_shared(tmp_path: Path) -> None:
    assert len(places(RULE, tmp_path, {"app.py": ADOPTED + 'conn = psycopg2.connect("")\n' + USE})) == 1


def test_one_that_stands_for_the_requests_own_is_left_alone(tmp_path: Path) -> None:
    code = 'conn = connection_per_request("")\ncur = cursor_per_request(conn)\n' + USE
    code += '@app.get("/two")\ndef two():\n    cur.execute("SELECT 2")\n    return ""\n'
    assert places(RULE, tmp_path, {"app.py": ADOPTED + code}) == []
