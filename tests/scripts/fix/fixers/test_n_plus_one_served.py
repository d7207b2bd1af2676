"""Mended loops against PostgreSQL: the same answers, from a statement instead of one for each row."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import psycopg2
import pytest

from backend import install, uninstall
from scripts.fix.fixers.n_plus_one import FIXER, RULES
from scripts.stack.postgres import Cluster
from tests.scripts.fix.fixing import fixed_by

TABLES = """
CREATE TABLE answer (id int PRIMARY KEY, user_id int, title text);
CREATE TABLE comment (id serial PRIMARY KEY, answer_id int, user_id int, message text);
CREATE TABLE member (id int PRIMARY KEY, name text, team text);
CREATE TABLE log (answer_id int, note text);
INSERT INTO answer SELECT n, n % 4, 'title ' || n FROM generate_series(1, 12) n;
INSERT INTO comment (answer_id, user_id, message) SELECT n % 10, n % 5, 'c ' || n FROM generate_series(1, 30) n;
INSERT INTO member SELECT n, 'name ' || n, 'team ' || n % 2 FROM generate_series(0, 3) n;
"""
DB = '''
import os
from functools import wraps

import psycopg2
import psycopg2.extras


def with_cursor(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        conn = psycopg2.connect(os.environ["SHOP"])
        cursor = conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor)
        found = function(cursor, *args, **kwargs)
        conn.commit()
        conn.close()
        return found

    return wrapper


@with_cursor
def answers(cursor):
    cursor.execute("SELECT * FROM answer ORDER BY id LIMIT 20")
    return cursor.fetchall()


@with_cursor
def comments(cursor, answer_id):
    cursor.execute(
        """
        SELECT message, user_id
        FROM comment
        WHERE answer_id = %(answer)s
        ORDER BY id DESC;
        """,
        {"answer": answer_id},
    )
    return cursor.fetchall()


@with_cursor
def members(cursor, **columns):
    where = " AND ".join([name + " = %s" for name in columns])
    cursor.execute("SELECT name FROM member WHERE {}".format(where), list(columns.values()))
    return cursor.fetchone()


def query(sql, params=None, one=False):
    conn = psycopg2.connect(os.environ["SHOP"])
    cursor = conn.cursor()
    cursor.execute(sql, params)
    rows = cursor.fetchall()
    conn.close()
    return (rows[0] if rows else None) if one else rows


class Answer:
    def __init__(self, row):
        self.id, self.owner = row["id"], row["user_id"]
        self.name = row["title"]

    @property
    def count(self):
        return query("SELECT count(*) FROM comment WHERE answer_id = %s", (self.id,), one=True)[0]

    def named(self):
        return query("SELECT id FROM answer WHERE title LIKE %s", (f"{self.name}%",))
'''
LOOPS = {
    "a helper behind a decorator": '''
        for answer in rows:
            answer["comments"] = db.comments(answer["id"])
        return rows
    ''',
    "a comprehension, by keywords": '''
        return [db.members(id=row["user_id"], team="team 1") for row in rows]
    ''',
    "enumerated": '''
        return {i: db.comments(answer["id"]) for i, answer in enumerate(rows)}
    ''',
    "unpacked": '''
        pairs = [(row["id"], row["title"]) for row in rows]
        return [db.query("SELECT message FROM comment WHERE answer_id = %s", [key]) for key, _ in pairs]
    ''',
    "by index": '''
        found = []
        for i in range(len(rows)):
            found.append(db.comments(rows[i]["id"]))
        return found
    ''',
    "a property of an object": '''
        found = []
        for row in rows:
            answer = db.Answer(row)
            found.append(answer.count)
        return found
    ''',
    "a text of each row": '''
        return [db.Answer(row).named() for row in rows]
    ''',
    "a row that is changed while it is looped over": '''
        for i, row in enumerate(rows):
            rows[i] = dict(row, comments=db.comments(row["id"]))
        return rows
    ''',
}  # fmt: skip
PAGE = '''
import os

import psycopg2

import db


def page():
    rows = db.answers()
{loop}
'''


@pytest.fixture
def served(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables, and `psycopg2.connect` leasing from a pool as in an adopted app."""

    def run(sql: str) -> None:
        with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(sql)

    run(TABLES)
    monkeypatch.setenv("SHOP", dsn)
    install()
    yield
    uninstall()
    run("DROP TABLE answer, comment, member, log")


@pytest.fixture
def sent(cluster: Cluster, served: None) -> Callable[[str], int]:
    """A function that says how many statements that begin with a word came since it was last called."""
    cluster.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    cluster.execute("SELECT pg_stat_statements_reset()")

    def count(word: str) -> int:
        found = cluster.execute(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
            " WHERE ltrim(s.query, E' \\n') LIKE %s AND r.rolname = 'app'", (f"{word}%",)
        )  # fmt: skip
        cluster.execute("SELECT pg_stat_statements_reset()")
        return int(found[0][0])

    return count


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], ModuleType]]:
    """A function that imports `app` from these files."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def imported(files: dict[str, str]) -> ModuleType:
        for name in ("app", "db"):
            sys.modules.pop(name, None)
        for path, text in files.items():
            (tmp_path / path).write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module("app")

    yield imported
    for name in ("app", "db"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_a_mended_loop_gives_the_same_with_one_statement(loop: str, sent: Callable[[str], int], load: Any) -> None:
    body = "\n".join(f"    {line}" if line else "" for line in dedent(loop).strip("\n").splitlines())
    files = {"app.py": PAGE.replace("{loop}", body), "db.py": DB}
    before = load(files).page()
    assert sent("SELECT") == 13
    mended = fixed_by((FIXER,), files, *RULES, kit="backend.prefetch")
    assert len(mended.changes) == 1, mended.reasons
    assert load(mended.files).page() == before
    assert sent("SELECT") == 2


def test_writes_of_a_loop_all_arrive_in_their_order(sent: Callable[[str], int], load: Any) -> None:
    loop = (
        '    conn = psycopg2.connect(os.environ["SHOP"])\n    cur = conn.cursor()\n'
        "    for row in rows:\n"
        '        cur.execute("INSERT INTO log VALUES (%s, %s)", (row["id"], row["title"]))\n'
        '    conn.commit()\n    conn.close()\n    return db.query("SELECT * FROM log ORDER BY 1")'
    )
    files = {"app.py": PAGE.replace("{loop}", loop), "db.py": DB}
    mended = fixed_by((FIXER,), files, *RULES, kit="backend.prefetch")
    assert mended.files["app.py"].splitlines()[12:17] == [
        "    execute_batch(",
        "        cur,",
        '        "INSERT INTO log VALUES (%s, %s)",',
        '        [(row["id"], row["title"]) for row in rows],',
        "    )",
    ]
    found = load(mended.files).page()
    assert found[:2] == [(1, "title 1"), (2, "title 2")]
    assert len(found) == 12
    assert sent("INSERT") == 12
