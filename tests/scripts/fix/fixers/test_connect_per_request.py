"""`adopt(app)` behind the statement that makes the app, and the idioms that need nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ..fixing import Outcome, fixed

RULES = ("connect-per-request", "no-connect-timeout", "no-statement-timeout")
VIEW = """
@app.get("/")
def home():
    conn = psycopg2.connect("")
    conn.close()
    return ""
"""
HEAD = "import psycopg2\nfrom flask import Flask\n"


def adopted(files: Mapping[str, str], kit: str = "hardened") -> Outcome:
    """Return what the fixer makes of files."""
    return fixed(files, *RULES, kit=kit)


def adopted_lines(source: str) -> list[str]:
    """Return the lines that the fixer adds to `app.py`."""
    found = adopted({"app.py": source})
    before = source.splitlines()
    return [line for line in found.files["app.py"].splitlines() if line not in before]


def test_the_line_behind_the_app_is_all_that_is_added() -> None:
    rest = "app.debug = False\n" + VIEW
    found = adopted({"app.py": HEAD + "\napp = Flask(__name__)  # the app\n" + rest})
    added = "from hardened import adopt\n\napp = Flask(__name__)  # the app\nadopt(app)\n"
    assert found.files["app.py"] == HEAD + added + rest
    (change,) = found.changes
    assert {each.name for each in change.findings} == set(RULES) and change.is_safe and not found.left


APPS = {
    "with a type": ("app: Flask = Flask(__name__)\n", "adopt(app)"),
    "over several lines": ("app = Flask(\n    __name__,\n)\n", "adopt(app)"),
    "beside another statement": ("app = Flask(__name__); app.debug = 0\n",
                                 "app = Flask(__name__); adopt(app); app.debug = 0"),
    "in one line with its condition": ("if 1: app = Flask(__name__)\n", "if 1: app = Flask(__name__); adopt(app)"),
    "within a try": ("try:\n    app = Flask(__name__)\nfinally:\n    pass\n", "    adopt(app)"),
    "with a tab": ("if 1:\n\tapp = Flask(__name__)\n", "\tadopt(app)"),
    "with two names": ("app = application = Flask(__name__)\n", "adopt(app)"),
    "one of two": ('app = Flask("a") if 1 else Flask("b")\n', "adopt(app)"),
    "of a subclass": ("class Shop(Flask):\n    pass\napp = Shop(__name__)\n", "adopt(app)"),
}  # fmt: skip


@pytest.mark.parametrize("made", APPS)
def test_an_app_is_adopted_however_it_is_made(made: str) -> None:
    code, line = APPS[made]
    assert adopted_lines(HEAD + code + VIEW) == ["from hardened import adopt", line]


def test_a_factory_adopts_what_it_makes() -> None:
    views = HEAD + "from flask import Blueprint\napp = Blueprint('v', __name__)\n" + VIEW
    main = "from flask import Flask\nimport views\n\ndef create_app():\n    app = Flask(__name__)\n\n" \
           "    app.register_blueprint(views.app)\n    return app\n"  # fmt: skip
    found = adopted({"main.py": main, "views.py": views})
    assert found.files["views.py"] == views
    assert "    app = Flask(__name__)\n    adopt(app)\n\n" in found.files["main.py"]


def test_a_factory_without_a_name_is_adopted_where_its_result_gets_one() -> None:
    code = HEAD + "def make():\n    return Flask(__name__)\n\napp = make()\n" + VIEW
    assert "app = make()\nadopt(app)\n" in adopted({"app.py": code}).files["app.py"]


def test_two_apps_are_adopted_in_one_change() -> None:
    code = HEAD + "app = Flask('a')\nadmin = Flask('b')\n" + VIEW
    found = adopted({"app.py": code})
    assert "app = Flask('a')\nadopt(app)\nadmin = Flask('b')\nadopt(admin)\n" in found.files["app.py"]
    assert len(found.changes) == 1


def test_the_apps_of_tests_and_of_scripts_that_serve_nothing_are_left_alone() -> None:
    script = "from flask import Flask\nserver = Flask(__name__)\nprint(server.config)\n"
    files = {"app.py": HEAD + "app = Flask(__name__)\n" + VIEW, "initdb.py": script, "tests/test_app.py": script}
    found = adopted(files)
    assert found.files["initdb.py"] == script and found.files["tests/test_app.py"] == script


def test_an_example_that_does_not_see_the_runtime_is_left_alone() -> None:
    app = HEAD + "app = Flask(__name__)\n" + VIEW
    other = {"web/views.py": "import shop\n" + app, "shop.py": ""}
    found = adopted({"app.py": app, "examples/small.py": app, **other})
    assert found.files["examples/small.py"] == app
    assert "adopt(app)\n" in found.files["web/views.py"] and "adopt(app)\n" in found.files["app.py"]


def test_a_package_is_imported_by_its_whole_name() -> None:
    found = adopted({"app.py": HEAD + "app = Flask(__name__)\n" + VIEW}, kit="shop.hardened")
    assert "from shop.hardened import adopt\n" in found.files["app.py"]


def test_a_taken_name_is_gone_around() -> None:
    code = HEAD + "app = Flask(__name__)\ndef adopt(child):\n    return child\n" + VIEW
    assert "app = Flask(__name__)\nhardened.adopt(app)\n" in adopted({"app.py": code}).files["app.py"]


def test_windows_line_ends_stay() -> None:
    code = (HEAD + "app = Flask(__name__)\n" + VIEW).replace("\n", "\r\n")
    found = fixed({"app.py": code.encode()}, *RULES)
    assert b"app = Flask(__name__)\r\nadopt(app)\r\n" in found.bytes["app.py"]


def test_without_the_runtime_the_reason_says_what_to_do() -> None:
    found = adopted({"app.py": HEAD + "app = Flask(__name__)\n" + VIEW}, kit="")
    assert not found.changes and all("scripts/harden vendor" in reason for reason in found.reasons)


def test_blueprints_without_an_app_are_left_with_the_lines_to_add() -> None:
    found = adopted({"views.py": HEAD + "from flask import Blueprint\napp = Blueprint('v', __name__)\n" + VIEW})
    assert not found.changes and all("adopt(app)" in each.suggestion for each in found.left)


def test_a_pool_that_each_request_makes_is_not_settled_by_adopting() -> None:
    code = HEAD + "from psycopg2.pool import ThreadedConnectionPool\nfrom hardened import adopt\n" \
        "app = Flask(__name__)\nadopt(app)\n@app.get('/')\ndef home():\n" \
        "    pool = ThreadedConnectionPool(1, 2, '')\n    pool.closeall()\n    return ''\n"  # fmt: skip
    found = adopted({"app.py": code})
    assert not found.changes and any("outside of its pools" in reason for reason in found.reasons)


DIAL = "import psycopg2\ndef dial():\n    return psycopg2.connect('')\n"
IDIOMS = {
    "a helper that views call": {
        "db.py": DIAL,
        "app.py": "import db\nfrom flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home():\n"
                  "    conn = db.dial()\n    conn.close()\n    return ''\n",
    },
    "g with a teardown": {
        "app.py": HEAD + "from flask import g\napp = Flask(__name__)\ndef get_db():\n    if 'db' not in g:\n"
                  "        g.db = psycopg2.connect('')\n    return g.db\n"
                  "@app.teardown_appcontext\ndef end(error):\n    g.pop('db').close()\n"
                  "@app.get('/')\ndef home():\n    get_db().cursor().execute('SELECT 1')\n    return ''\n",
    },
    "a decorator that hands a cursor in": {
        "app.py": HEAD + "from functools import wraps\napp = Flask(__name__)\ndef with_cursor(f):\n    @wraps(f)\n"
                  "    def wrapper(*args):\n        conn = psycopg2.connect('')\n        try:\n"
                  "            return f(conn.cursor(), *args)\n        finally:\n            conn.close()\n"
                  "    return wrapper\n@app.get('/')\n@with_cursor\ndef home(cursor):\n"
                  "    cursor.execute('SELECT 1')\n    return ''\n",
    },
    "a class that connects in every method": {
        "app.py": HEAD + "app = Flask(__name__)\nclass Users:\n    def all(self):\n"
                  "        with psycopg2.connect('') as conn:\n            with conn.cursor() as cur:\n"
                  "                cur.execute('SELECT 1')\n                return cur.fetchall()\n"
                  "@app.get('/')\ndef home():\n    return str(Users().all())\n",
    },
    "an object per request": {
        "app.py": HEAD + "app = Flask(__name__)\nclass Users:\n    def __init__(self):\n"
                  "        self.conn = psycopg2.connect('')\n    def all(self):\n"
                  "        cur = self.conn.cursor()\n        cur.execute('SELECT 1')\n"
                  "        return cur.fetchall()\n@app.get('/')\ndef home():\n    return str(Users().all())\n",
    },
    "a cursor that is passed along": {
        "app.py": HEAD + "app = Flask(__name__)\ndef names(cur):\n    cur.execute('SELECT 1')\n"
                  "    return cur.fetchall()\n@app.get('/')\ndef home():\n    conn = psycopg2.connect('')\n"
                  "    found = names(conn.cursor())\n    conn.close()\n    return str(found)\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("idiom", IDIOMS)
def test_one_line_per_app_is_all_that_an_idiom_per_request_needs(idiom: str) -> None:
    files = IDIOMS[idiom]
    found = fixed(files, *RULES, "leaked-connection")
    app = files["app.py"].replace("app = Flask(__name__)\n", "app = Flask(__name__)\nadopt(app)\n")
    assert found.files["app.py"].replace("from hardened import adopt\n", "") == app
    assert {path: text for path, text in found.files.items() if path != "app.py"} == {
        path: text for path, text in files.items() if path != "app.py"
    }
    assert not found.left
