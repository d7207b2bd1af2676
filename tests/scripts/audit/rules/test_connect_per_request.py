"""H101."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Confidence, Severity
from scripts.audit.model.reading import read
from scripts.audit.rules.connect_per_request import RULE
from scripts.audit.rules.vendored_kit import is_pooled, set_aside

from ..looking import findings, places

HEAD = """\
import click
import psycopg2
from psycopg2.pool import ThreadedConnectionPool
from flask import Flask, g, jsonify
app = Flask(__name__)
# ----------
"""
ROUTE = '@app.get("/")\ndef home():\n'

FOUND = {
    "in a view": (ROUTE + '    conn = psycopg2.connect("")\n    conn.close()\n', ["3:12"]),
    "in a"
    " helper": ('def get():\n'
    '    return psycopg2.connect("")\n' + ROUTE + "    conn = get()\n    conn.close()\n", ["2:12"]),
    "kept in g": (
        'def get():\n    if "db" not in g:\n        g.db = psycopg2.connect("")\n    return g.db\n'
        '' + ROUTE + "    get()\n",
        ["3:16"],
    ),
    "in a constructor": (
        'class Users:\n    def __init__(self):\n        self.conn = psycopg2.connect("")\n'
        '' + ROUTE + "    Users()\n", ["3:21"]
    ),
    "in each method": (
        'class Users:\n    def one(self):\n        with psycopg2.connect("") as conn:\n            pass\n'
        '    def two(self):\n        with psycopg2.connect("") as conn:\n            pass\n'
        "users = Users()\n" + ROUTE + "    users.one()\n    users.two()\n",
        ["3:14", "6:14"],
    ),
    "in a decorator": (
        "def connected(function):\n    def wrapper():\n"
        '        conn = psycopg2.connect("")\n        return function(conn)\n    return wrapper\n'
        "@connected\ndef read(conn):\n    pass\n" + ROUTE + "    read()\n",
        ["3:16"],
    ),
    "before each request": ('@app.before_request\ndef before():\n    g.db = psycopg2.connect("")\n', ["3:12"]),
    "a helper that the start uses as well": (
        'def get():\n    return psycopg2.connect("")\nget().close()\n' + ROUTE + "    get().close()\n", ["2:12"]
    ),
    "in a helper that no known route"
    " uses": ('def get():\n    return psycopg2.connect("")\n' + ROUTE + "    return ''\n", ["2:12"]),
    "two ways to connect in one helper": (
        'def get(url):\n    if url:\n        return psycopg2.connect(url)\n    return psycopg2.connect("")\n'
        '' + ROUTE + "    get('')\n",
        ["3:16"],
    ),
    "twice in one"
    " view": (ROUTE + '    psycopg2.connect("").close()\n    psycopg2.connect("").close()\n', ["3:5", "4:5"]),
    "one of three, by a condition": (
        ROUTE + "    if app.debug:\n"
        '        conn = psycopg2.connect("a")\n    elif app.testing:\n        conn = psycopg2.connect("b")\n'
        '    else:\n        conn = psycopg2.connect("c")\n    conn.close()\n',
        ["4:16"],
    ),
    "a view that is registered by a call": (
        'def home():\n    psycopg2.connect("").close()\napp.get("/")(home)\n', ["2:5"]
    ),
    "another name for connect": (
        "from psycopg2 import connect as dial\n" + ROUTE + '    conn = dial("")\n    conn.close()\n', ["4:12"]
    ),
}  # fmt: skip

FINE = {
    "at import": 'conn = psycopg2.connect("")\n' + ROUTE + "    return ''\n",
    "made once": 'conn = None\ndef get():\n    global conn\n    if conn is None:\n'
    '        conn = psycopg2.connect("")\n'
    "    return conn\n" + ROUTE + "    get()\n",
    "an object that is made at import": 'class Users:\n    def __init__(self):\n'
    '        self.conn = psycopg2.connect("")\n'
    "users = Users()\n" + ROUTE + "    users.conn.cursor()\n",
    "a singleton": "class Database:\n    _one = None\n    def __new__(cls):\n        if cls._one is None:\n"
    '            cls._one = super().__new__(cls)\n            cls._one.conn = psycopg2.connect("")\n'
    '        return cls._one\n'
    + ROUTE + "    Database().conn.cursor()\n",
    "a command": '@click.command()\ndef load():\n    psycopg2.connect("").close()\n' + ROUTE + "    return ''\n",
    "a command of the app": '@app.cli.command("load")\ndef load():\n    psycopg2.connect("").close()\n'
    '' + ROUTE + "    return ''\n",
    "start-up code": 'def tables():\n    psycopg2.connect("").close()\ntables()\n' + ROUTE + "    return ''\n",
    "under the main guard": 'def tables():\n    psycopg2.connect("").close()\n' + ROUTE + "    return ''\n"
    'if __name__ == "__main__":\n    tables()\n',
    "out of a pool": 'pool = ThreadedConnectionPool(1, 8, "")\n'
    '' + ROUTE + "    conn = pool.getconn()\n    pool.putconn(conn)\n",
    "kept on a class": 'class Database:\n    conn = None\n    @classmethod\n    def get(cls):\n'
    '        if cls.conn is None:\n'
    '            cls.conn = psycopg2.connect("")\n        return cls.conn\n'
    '' + ROUTE + "    Database.get().cursor()\n",
    "another database": "import sqlite3\n" + ROUTE + '    conn = sqlite3.connect("x")\n    conn.close()\n',
    "a helper whose result is kept for the process": 'def make():\n    return psycopg2.connect("")\n'
    'conn = None\ndef get():\n'
    "    global conn\n    if conn is None:\n        conn = make()\n    return conn\n" + ROUTE + "    get()\n",
}  # fmt: skip


@pytest.mark.parametrize("code, wanted", FOUND.values(), ids=FOUND.keys())
def test_a_connect_of_a_request_is_found(tmp_path: Path, code: str, wanted: list[str]) -> None:
    lines = HEAD.count("\n")
    shifted = [f"app.py:{int(each.split(':')[0]) + lines}:{each.split(':')[1]}" for each in wanted]
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == shifted


@pytest.mark.parametrize("code", FINE.values(), ids=FINE.keys())
def test_other_connects_are_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_the_callers_and_routes_are_named(tmp_path: Path) -> None:
    code = 'def get():\n    return psycopg2.connect("")\n' + ROUTE + "    get().close()\n    get().close()\n"
    (found,) = findings(RULE, tmp_path, {"app.py": HEAD + code})
    assert found.message == "get() opens a new connection each time, called in 2 places; 1 route gets here"
    assert [place.line - HEAD.count("\n") for place in found.more] == [5, 6]
    assert found.routes == ("GET /",) and found.severity is Severity.high


def test_a_helper_that_no_route_is_known_to_use_is_less_sure(tmp_path: Path) -> None:
    code = 'def get():\n    return psycopg2.connect("")\n' + ROUTE + "    return ''\n"
    (found,) = findings(RULE, tmp_path, {"app.py": HEAD + code})
    assert found.confidence is Confidence.medium and found.severity is Severity.medium


def test_a_script_beside_the_app_is_left_alone(tmp_path: Path) -> None:
    script = 'import psycopg2\ndef load():\n    psycopg2.connect("").close()\n'
    assert places(RULE, tmp_path, {"app.py": HEAD + ROUTE + "    return ''\n", "load_data.py": script}) == []


KIT = ("__init__", "database_pool", "database_helper", "dropin", "slots", "leasing")


def vendored(name: str) -> dict[str, str]:
    """Return the outline of the kit under some name."""
    files = {f"{name}/{each}.py": "" for each in KIT}
    files[f"{name}/dropin.py"] = (
        "import psycopg2\ndef install():\n    pass\ndef dial():\n    return psycopg2.connect('')\n"
    )
    files[f"{name}/__init__.py"] = "from .dropin import install, dial\n"
    return files


@pytest.mark.parametrize("switch", [
    "from hardened import install\ninstall()\n", "import hardened\nhardened.install()\n",
    "from hardened import install as pool_all\npool_all(8)\n",
    "from hardened.extension import Hardening\nHardening()\n", "from hardened import adopt\nadopt(app)\n",
])  # fmt: skip
def test_the_kits_install_makes_every_connect_a_lease(tmp_path: Path, switch: str) -> None:
    code = switch + HEAD + ROUTE + '    psycopg2.connect("").close()\n'
    assert places(RULE, tmp_path, {"app.py": code, **vendored("hardened")}) == []


def test_an_install_of_something_else_is_none_of_the_kits(tmp_path: Path) -> None:
    code = "from other import install\ninstall()\n" + HEAD + ROUTE + '    psycopg2.connect("").close()\n'
    assert len(places(RULE, tmp_path, {"app.py": code, **vendored("hardened")})) == 1


def test_the_kit_can_be_set_aside_before_the_code_is_followed(tmp_path: Path) -> None:
    for name, text in vendored("hardened").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "app.py").write_text("from hardened import install\ninstall()\n")
    project = read(tmp_path)
    set_aside(project)
    assert [module.path for module in project.modules] == ["app.py"]
    assert is_pooled(project)


def test_the_kits_own_files_are_left_alone(tmp_path: Path) -> None:
    code = HEAD + "from runtime import dial\n" + ROUTE + "    dial().close()\n"
    assert places(RULE, tmp_path, {"app.py": code, **vendored("runtime")}) == []


MAKE = "def setup():\n    global pool\n    pool = ThreadedConnectionPool(1, 9, '')\n"
USE = "    conn = pool.getconn()\n    pool.putconn(conn)\n    return ''\n"
ANEW = {
    "by a helper": MAKE + ROUTE + "    setup()\n" + USE,
    "two helpers deep": MAKE + "def get():\n    setup()\n    return pool.getconn()\n"
    + ROUTE + "    pool.putconn(get())\n    return ''\n",
    "in the view": "import os\n" + ROUTE + "    pool = ThreadedConnectionPool(1, 9, '')\n" + USE,
    "before each request": "@app.before_request\ndef start():\n    g.pool = ThreadedConnectionPool(1, 9, '')\n",
}  # fmt: skip
ONCE = {
    "at import": MAKE + "setup()\n" + ROUTE + USE,
    "when there is none yet": "pool = None\n" + MAKE + ROUTE + "    if pool is None:\n        setup()\n" + USE,
    "behind an early return": "pool = None\ndef get():\n    global pool\n    if pool:\n        return pool\n"
    "    pool = ThreadedConnectionPool(1, 9, '')\n    return pool\n" + ROUTE + "    get()\n    return ''\n",
    "in a cache": "import functools\n@functools.lru_cache\ndef get():\n"
    "    return ThreadedConnectionPool(1, 9, '')\n" + ROUTE + "    get()\n    return ''\n",
    "before the first request": "@app.before_first_request\n" + MAKE + ROUTE + USE,
    "in an app factory": "def create_app():\n    app.pool = ThreadedConnectionPool(1, 9, '')\n    return app\n"
    + ROUTE + "    return ''\n",
    "unless the app has one": ROUTE
    + "    pool = getattr(app, 'pool', None) or ThreadedConnectionPool(1, 9, '')\n" + USE,
}  # fmt: skip


@pytest.mark.parametrize("code", ANEW.values(), ids=ANEW.keys())
def test_a_pool_that_each_request_makes_is_found(tmp_path: Path, code: str) -> None:
    lines = (HEAD + code).splitlines()
    made = next(number for number, line in enumerate(lines, 1) if "ThreadedConnectionPool(" in line)
    column = lines[made - 1].index("ThreadedConnectionPool(") + 1
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{made}:{column}"]


@pytest.mark.parametrize("code", ONCE.values(), ids=ONCE.keys())
def test_a_pool_that_is_made_once_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


def test_an_app_that_is_adopted_by_a_kit_that_was_not_read_is_pooled(tmp_path: Path) -> None:
    code = HEAD + "from shop.hardened import adopt\nadopt(app)\n" + ROUTE + '    psycopg2.connect("").close()\n'
    assert places(RULE, tmp_path, {"app.py": code}) == []


def test_adopting_something_else_pools_nothing(tmp_path: Path) -> None:
    code = HEAD + "from shelter import adopt\nadopt('cat')\n" + ROUTE + '    psycopg2.connect("").close()\n'
    assert len(places(RULE, tmp_path, {"app.py": code})) == 1


def test_a_pool_that_each_request_makes_is_found_in_an_adopted_app_too(tmp_path: Path) -> None:
    code = HEAD + "from hardened import adopt\nadopt(app)\n" + next(iter(ANEW.values()))
    assert len(places(RULE, tmp_path, {"app.py": code})) == 1
