"""H202: statements in loops over anything but rows, by line and column of the loop."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.query_in_loop import RULE
from tests.scripts.audit.looking import findings, places

HEAD = """
import psycopg2
from flask import Flask, request

app = Flask(__name__)
conn = psycopg2.connect("")
cur = conn.cursor()


"""
FIRST = HEAD.lstrip("\n").count("\n") + 1

HITS = {
    "values of a form": ("""
        @app.post("/")
        def view():
            for key in request.form.getlist("id"):
                cur.execute("DELETE FROM posts WHERE id = %s", (key,))
        """, "3:5"),
    "records that the client sent, through a helper": ("""
        def save(record):
            cur.execute("INSERT INTO posts (title) VALUES (%s)", (record["title"],))


        @app.post("/")
        def view():
            for record in request.get_json()["posts"]:
                save(record)
        """, "7:5"),
    "lines of a file": ("""
        import csv


        def load():
            with open("names.csv") as file:
                for record in csv.reader(file):
                    cur.execute("INSERT INTO names VALUES (%s)", record)
        """, "6:9"),
    "elements of a parameter": ("""
        def save(names):
            [cur.execute("INSERT INTO names VALUES (%s)", (name,)) for name in names]
        """, "2:6"),
    "an answer of another server": ("""
        import requests


        @app.get("/")
        def view():
            for each in requests.get("https://example.org").json():
                cur.execute("INSERT INTO names VALUES (%s)", (each["name"],))
        """, "6:5"),
    "constants": ("""
        def view():
            for table in ("one", "two"):
                cur.execute("SELECT count(*) FROM stats WHERE name = %s", (table,))
        """, "2:5"),
    "a range": ("""
        def view():
            for number in range(16):
                cur.execute("INSERT INTO slots VALUES (%s)", (number,))
        """, "2:5"),
}  # fmt: skip

MISSES = {
    "rows": """
        def view():
            cur.execute("SELECT id FROM posts")
            for row in cur.fetchall():
                cur.execute("DELETE FROM posts WHERE id = %s", row)
        """,
    "trying again": """
        def view(key):
            for attempt in range(3):
                cur.execute("SELECT 1 FROM posts WHERE id = %s", (key,))
        """,
    "left when it works": """
        def view(key):
            for _ in range(3):
                try:
                    cur.execute("SELECT 1 FROM posts WHERE id = %s", (key,))
                    return cur.fetchone()
                except psycopg2.OperationalError:
                    conn.rollback()
        """,
    "waiting for the database": """
        import time


        def wait():
            while True:
                cur.execute("SELECT 1 FROM ready")
                if cur.fetchone():
                    break
                time.sleep(1)
        """,
    "schema statements": """
        def create():
            for statement in ("CREATE TABLE one (id int)", "CREATE TABLE two (id int)"):
                cur.execute(statement)
        """,
    "a list of statements": """
        def clear():
            for statement in ("DELETE FROM one WHERE id = %s", "DELETE FROM two WHERE id = %s"):
                cur.execute(statement, (1,))
        """,
    "chunks": """
        @app.post("/")
        def view():
            ids = request.json["ids"]
            for start in range(0, len(ids), 100):
                cur.execute("DELETE FROM posts WHERE id = ANY(%s)", (ids[start:start + 100],))
        """,
    "one statement for all": """
        @app.post("/")
        def view():
            values = []
            for key in request.form.getlist("id"):
                values.append((key,))
            cur.executemany("DELETE FROM posts WHERE id = %s", values)
        """,
    "no statement": """
        @app.post("/")
        def view():
            for key in request.form.getlist("id"):
                conn.commit()
        """,
}


def _code(body: str) -> str:
    return HEAD.lstrip("\n") + dedent(body).lstrip("\n")


@pytest.mark.parametrize("name", HITS)
def test_a_statement_per_turn_is_found(tmp_path: Path, name: str) -> None:
    body, where = HITS[name]
    line, col = map(int, where.split(":"))
    assert places(RULE, tmp_path, {"app.py": _code(body)}) == [f"app.py:{FIRST + line - 1}:{col}"]


@pytest.mark.parametrize("name", MISSES)
def test_this_is_left_alone(tmp_path: Path, name: str) -> None:
    assert places(RULE, tmp_path, {"app.py": _code(MISSES[name])}) == []


@pytest.mark.parametrize(
    ("name", "severity"), [("values of a form", Severity.medium), ("constants", Severity.low)]
)
def test_what_a_client_can_make_long_is_worse_than_constants(
    tmp_path: Path, name: str, severity: Severity
) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": _code(HITS[name][0])})
    assert found.severity is severity


def test_the_message_says_what_the_turns_are_and_shows_the_statement(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": _code(HITS["values of a form"][0])})
    assert found.message == "a statement for each value that the client sent: `DELETE FROM posts WHERE id = %s`"
    assert "DELETE FROM posts WHERE id = ANY(%s)" in found.fix
    assert found.gain == "N statements -> 1"


def test_its_example_is_found_and_what_stands_instead_is_not(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"one.py": RULE.example}) == ["one.py:6:5"]
    assert places(RULE, tmp_path, {"one.py": RULE.instead}) == []
