"""A failed statement on a connection that lives on is rolled back."""

from __future__ import annotations

from textwrap import dedent

import pytest

from ..fixing import Outcome, fixed

RULE = "missing-rollback"
HEAD = "import psycopg2\nfrom flask import Flask\napp = Flask(__name__)\nconn = psycopg2.connect('')\n"


def rolled(view: str, head: str = HEAD) -> Outcome:
    """Return what the fixer makes of a view."""
    return fixed({"app.py": head + dedent(view).lstrip("\n")}, RULE)


CHANGED = {
    "a write and its commit": (
        """
        @app.post("/")
        def add():
            cur = conn.cursor()
            cur.execute("INSERT INTO t VALUES (1)")  # one
            cur.execute("INSERT INTO t VALUES (2)")
            conn.commit()
            return ""
        """,
        """
        @app.post("/")
        def add():
            cur = conn.cursor()
            try:
                cur.execute("INSERT INTO t VALUES (1)")  # one
                cur.execute("INSERT INTO t VALUES (2)")
                conn.commit()
            except Exception:
                if not conn.closed:
                    conn.rollback()
                raise
            return ""
        """,
    ),
    "an except that ends the error": (
        """
        @app.post("/")
        def add():
            cur = conn.cursor()
            try:
                cur.execute("INSERT INTO t VALUES (1)")
                conn.commit()
            except Exception as error:
                # as it is
                return str(error)
            return ""
        """,
        """
        @app.post("/")
        def add():
            cur = conn.cursor()
            try:
                cur.execute("INSERT INTO t VALUES (1)")
                conn.commit()
            except Exception as error:
                if not conn.closed:
                    conn.rollback()
                # as it is
                return str(error)
            return ""
        """,
    ),
    "an except after a read": (
        """
        @app.get("/")
        def home():
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                return str(cur.fetchone())
            except psycopg2.Error:
                return "no"
        """,
        """
        @app.get("/")
        def home():
            try:
                cur = conn.cursor()
                cur.execute("SELECT 1")
                return str(cur.fetchone())
            except psycopg2.Error:
                if not conn.closed:
                    conn.rollback()
                return "no"
        """,
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_failed_statement_is_rolled_back(case: str) -> None:
    before, after = CHANGED[case]
    found = rolled(before)
    assert found.files["app.py"] == HEAD + dedent(after).lstrip("\n") and not found.left


def test_a_connection_that_may_be_missing_is_asked_for_first() -> None:
    head = "import psycopg2\nfrom flask import Flask\napp = Flask(__name__)\nconn = None\ndef start():\n" \
           "    global conn\n    conn = psycopg2.connect('')\nstart()\n"  # fmt: skip
    found = rolled(CHANGED["an except after a read"][0], head)
    assert "        if conn is not None and not conn.closed:\n" in found.files["app.py"]


def test_a_cursor_knows_its_connection_where_nothing_else_does() -> None:
    head = "import psycopg2\nfrom flask import Flask\napp = Flask(__name__)\ncur = psycopg2.connect('').cursor()\n"
    view = '@app.post("/")\ndef add():\n    cur.execute("INSERT INTO t VALUES (1)")\n    return ""\n'
    text = rolled(view, head).files["app.py"]
    assert "        if not cur.connection.closed:\n            cur.connection.rollback()\n" in text


def test_a_handler_in_one_line_is_left_alone() -> None:
    view = '@app.post("/")\ndef add():\n    cur = conn.cursor()\n    try:\n' \
           '        cur.execute("INSERT INTO t VALUES (1)")\n        conn.commit()\n    except Exception: pass\n' \
           '    return ""\n'  # fmt: skip
    found = rolled(view)
    assert not found.changes and "share their lines" in found.reasons[0]
