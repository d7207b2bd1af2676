"""Connections are closed on every way out, and nothing reads from one that is closed already."""

from __future__ import annotations

from textwrap import dedent

import pytest

from ..fixing import Outcome, fixed

RULE = "leaked-connection"
HEAD = "import psycopg2\nfrom flask import Flask\napp = Flask(__name__)\n@app.get('/')\n"


def closed(view: str, head: str = HEAD) -> Outcome:
    """Return what the fixer makes of a view of an app without the runtime."""
    return fixed({"app.py": head + dedent(view).lstrip("\n")}, RULE, kit="")


CHANGED = {
    "a close at the end": (
        """
        def home():
            conn = psycopg2.connect("")
            cur = conn.cursor()

            # the only one
            cur.execute("SELECT 1")
            row = cur.fetchone()
            cur.close()
            conn.close()  # done
            return str(row)
        """,
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()

                # the only one
                cur.execute("SELECT 1")
                row = cur.fetchone()
                cur.close()
            finally:
                conn.close()  # done
            return str(row)
        """,
    ),
    "no close at all": (
        """
        def home():
            conn = psycopg2.connect("")
            cur = conn.cursor()
            cur.execute("SELECT 1")
            row = cur.fetchone()
            row = str(row)
            return row
        """,
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                row = cur.fetchone()
            finally:
                conn.close()
            row = str(row)
            return row
        """,
    ),
    "a return that reads": (
        """
        def home():
            conn = psycopg2.connect("")
            cur = conn.cursor()
            cur.execute("SELECT 1")
            return str(cur.fetchone())
        """,
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                return str(cur.fetchone())
            finally:
                conn.close()
        """,
    ),
    "a close before each return": (
        """
        def home():
            conn = psycopg2.connect("")
            cur = conn.cursor()
            cur.execute("SELECT 1")
            if cur.rowcount == 0:
                conn.close()
                return "none"
            row = cur.fetchone()
            conn.close()
            return str(row)
        """,
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                if cur.rowcount == 0:
                    conn.close()
                    return "none"
                row = cur.fetchone()
            finally:
                conn.close()
            return str(row)
        """,
    ),
    "a try that has no finally": (
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                return "ok"
            except ValueError:
                return "no"
            conn.close()
        """,
        """
        def home():
            conn = psycopg2.connect("")
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                return "ok"
            except ValueError:
                return "no"
            finally:
                conn.close()
        """,
    ),
    "inside of a try": (
        """
        def home():
            try:
                conn = psycopg2.connect("")
                cur = conn.cursor()
                cur.execute("SELECT 1")
                conn.close()
                return "ok"
            except Exception as error:
                return str(error)
        """,
        """
        def home():
            try:
                conn = psycopg2.connect("")
                try:
                    cur = conn.cursor()
                    cur.execute("SELECT 1")
                finally:
                    conn.close()
                return "ok"
            except Exception as error:
                return str(error)
        """,
    ),
    "a with that does not close": (
        """
        def home():
            with psycopg2.connect("") as conn, conn.cursor() as cur:
                cur.execute("SELECT 1")
                return str(cur.fetchone())
        """,
        """
        def home():
            with closing(psycopg2.connect("")) as conn, conn, conn.cursor() as cur:
                cur.execute("SELECT 1")
                return str(cur.fetchone())
        """,
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_the_work_moves_into_a_try(case: str) -> None:
    before, after = CHANGED[case]
    found = closed(before)
    mended = found.files["app.py"].replace("from contextlib import closing\n", "")
    assert mended == HEAD + dedent(after).lstrip("\n")
    assert not found.left


def test_two_withs_of_one_name_have_a_connection_each() -> None:
    one = "    with psycopg2.connect('') as conn:\n        cur = conn.cursor()\n        cur.execute('SELECT 1')\n"
    found = closed("def home():\n" + one + one + "    return ''\n")
    assert found.files["app.py"].count("with closing(psycopg2.connect('')) as conn, conn:\n") == 2


def test_lines_within_strings_stay_where_they_are() -> None:
    found = closed(
        "def home():\n    conn = psycopg2.connect('')\n    cur = conn.cursor()\n    cur.execute('''\n"
        "    SELECT 1\n''')\n    row = f'''\n    {cur.fetchone()}\n    '''\n    conn.close()\n    return row\n"
    )
    assert "        cur.execute('''\n    SELECT 1\n''')\n        row = f'''\n    {cur.fetchone()}\n    '''\n" \
        "    finally:\n        conn.close()\n    return row\n" in found.files["app.py"]  # fmt: skip


def test_tabs_and_windows_line_ends_stay() -> None:
    code = HEAD + "def home():\n\tconn = psycopg2.connect('')\n\tcur = conn.cursor()\n" \
        "\tcur.execute('SELECT 1')\n\tconn.close()\n\treturn ''\n"  # fmt: skip
    found = fixed({"app.py": code.replace("\n", "\r\n").encode()}, RULE, kit="")
    work = b"\t\tcur = conn.cursor()\r\n\t\tcur.execute('SELECT 1')\r\n"
    assert b"\ttry:\r\n" + work + b"\tfinally:\r\n\t\tconn.close()\r\n" in found.bytes["app.py"]


POOL = HEAD.replace("@app", "from psycopg2.pool import ThreadedConnectionPool\n"
                    "pool = ThreadedConnectionPool(0, 4, '')\n@app")  # fmt: skip


def test_a_pools_connection_is_given_back() -> None:
    view = "def home():\n    conn = pool.getconn()\n    conn.cursor().execute('SELECT 1')\n    return ''\n"
    found = closed(view, POOL)
    assert "    finally:\n        pool.putconn(conn)\n    return ''\n" in found.files["app.py"]


def test_a_pools_connection_is_given_back_in_an_adopted_app_as_well() -> None:
    head = "from hardened import adopt\n" + POOL.replace("__name__)\n", "__name__)\nadopt(app)\n")
    view = "def home():\n    conn = pool.getconn()\n    conn.cursor().execute('SELECT 1')\n" \
           "    pool.putconn(conn)\n    return ''\n"  # fmt: skip
    found = fixed({"app.py": head + view}, RULE)
    assert "    finally:\n        pool.putconn(conn)\n    return ''\n" in found.files["app.py"]


LEFT = {
    "a pool that would get it back twice": (
        "def home():\n    conn = pool.getconn()\n    cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
        "    if cur.rowcount:\n        pool.putconn(conn)\n        return ''\n    pool.putconn(conn)\n"
        "    return ''\n",
        "takes a connection back once",
    ),
    "closed, not given back": (
        "def home():\n    conn = pool.getconn()\n    conn.cursor().execute('SELECT 1')\n    conn.close()\n"
        "    return ''\n", "putconn()",
    ),
    "a cursor that is returned": (
        "def rows():\n    conn = psycopg2.connect('')\n    cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
        "    return cur\n@app.get('/x')\ndef home():\n    return str(rows().fetchall())\n", "returned",
    ),
    "a generator": (
        "def home():\n    conn = psycopg2.connect('')\n    cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
        "    return app.response_class(str(row) for row in cur)\n", "a generator reads",
    ),
    "a function within": (
        "def home():\n    conn = psycopg2.connect('')\n    cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
        "    def rows():\n        yield from cur\n    return app.response_class(rows())\n", "an inner function",
    ),
    "an except that rolls back": (
        "def home():\n    try:\n        conn = psycopg2.connect('')\n        conn.cursor().execute('SELECT 1')\n"
        "        conn.close()\n    except psycopg2.Error:\n        conn.rollback()\n    return ''\n",
        "outside of the block",
    ),
    "a cursor that is read after its with": (
        "def home():\n    with psycopg2.connect('') as conn:\n        cur = conn.cursor()\n"
        "        cur.execute('SELECT 1')\n    return str(cur.fetchone())\n", "outside of the block",
    ),
    "statements in one line": (
        "def home():\n    conn = psycopg2.connect(''); cur = conn.cursor()\n    cur.execute('SELECT 1')\n"
        "    conn.close()\n    return ''\n", "share their lines",
    ),
}  # fmt: skip


@pytest.mark.parametrize("left", LEFT)
def test_what_may_still_be_read_from_is_left_with_a_reason(left: str) -> None:
    view, reason = LEFT[left]
    found = closed(view, POOL if "pool." in view else HEAD)
    assert not found.changes and reason in found.reasons[0]
    assert found.left[0].suggestion


def test_an_object_that_keeps_it_is_left_alone() -> None:
    code = "def home():\n    return str(Users().all())\nclass Users:\n    def __init__(self):\n" \
           "        self.conn = psycopg2.connect('')\n    def all(self):\n        cur = self.conn.cursor()\n" \
           "        cur.execute('SELECT 1')\n        return cur.fetchall()\n"  # fmt: skip
    assert "no plain name" in closed(code).reasons[0]
