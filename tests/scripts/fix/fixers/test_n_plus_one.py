"""Loops over rows announce what their turns are going to ask."""

from __future__ import annotations

import pytest

from scripts.fix.fixers.n_plus_one import FIXER, RULES
from tests.scripts.fix.fixing import Outcome, fixed_by

PAGE = '''
import itertools

import db
import requests
from flask import Flask, render_template

app = Flask(__name__)


@app.route("/question/<int:question_id>")
def question(question_id, cache):
    answers = db.answers(question_id)
    {loop}
    return render_template("question.html", answers=answers)
'''
DB = '''
from functools import wraps

import psycopg2

BY_USER = "SELECT name FROM users WHERE id = %s"


def with_cursor(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        conn = psycopg2.connect("dbname=shop")
        cursor = conn.cursor()
        found = function(cursor, *args, **kwargs)
        conn.close()
        return found

    return wrapper


@with_cursor
def answers(cursor, question_id):
    cursor.execute("SELECT id, user_id FROM answer WHERE question_id = %s", (question_id,))
    return cursor.fetchall()


@with_cursor
def comments(cursor, answer_id):
    cursor.execute("SELECT * FROM comment WHERE answer_id = %(answer)s", {"answer": answer_id})
    return cursor.fetchall()


@with_cursor
def delete(cursor, answer_id):
    cursor.execute("DELETE FROM answer WHERE id = %s", (answer_id,))


def query(sql, params=(), one=False):
    conn = psycopg2.connect("dbname=shop")
    cursor = conn.cursor()
    cursor.execute(sql, params)
    rows = cursor.fetchall()
    return (rows[0] if rows else None) if one else rows


class User:
    table = "users"

    def __init__(self, row):
        self.id = row["user_id"]

    def posts(self):
        return query(f"SELECT * FROM posts WHERE user_id = %s", [self.id])

    @property
    def friends(self):
        return query("SELECT * FROM friends WHERE user_id = %s", (self.id,))

    @classmethod
    def find(cls, id):
        return query("SELECT * FROM {} WHERE id = %s".format(cls.table), (int(id),), one=True)
'''


def page(loop: str, others: str = "") -> Outcome:
    """Return what becomes of a loop in a view."""
    return fixed_by((FIXER,), {"app.py": PAGE.replace("{loop}", loop), "db.py": DB + others}, *RULES)


def header(loop: str, others: str = "") -> str:
    """Return the lines of a loop in a view as they become."""
    found = page(loop, others)
    assert found.files["db.py"] == (DB + others).lstrip("\n"), "a helper was changed"
    assert "from hardened import prefetched" in found.files["app.py"]
    lines = found.files["app.py"].split("    answers = db.answers(question_id)\n")[1].split("    return render")[0]
    return "\n".join(line.removeprefix("    ") for line in lines.splitlines())


def reason(loop: str, others: str = "") -> str:
    """Return why a loop of a view is left alone."""
    found = page(loop, others)
    assert not found.changes, found.files["app.py"]
    assert len(found.left) == 1, found.reasons
    return found.left[0].reason


def test_a_helper_behind_a_decorator_is_announced_with_the_rows_value() -> None:
    loop = 'for answer in answers:\n        answer["comments"] = db.comments(answer["id"])'
    assert header(loop) == (
        "for answer in prefetched(\n"
        "    answers,\n"
        '    (\n        "SELECT * FROM comment WHERE answer_id = %(answer)s",\n'
        '        lambda answer: {"answer": answer["id"]},\n    ),\n'
        "):\n"
        '    answer["comments"] = db.comments(answer["id"])'
    )


def test_a_short_header_stays_on_its_line() -> None:
    loop = 'for a in answers:\n        print(db.query("SELECT 1 FROM c WHERE a = %s", (a[0],)))'
    assert header(loop) == (
        'for a in prefetched(answers, ("SELECT 1 FROM c WHERE a = %s", lambda a: (a[0],))):\n'
        '    print(db.query("SELECT 1 FROM c WHERE a = %s", (a[0],)))'
    )


@pytest.mark.parametrize(
    ("call", "sql", "values"),
    [
        ('db.User(a).posts()', "SELECT * FROM posts WHERE user_id = %s", 'a["user_id"],'),
        ('db.User(a).friends', "SELECT * FROM friends WHERE user_id = %s", 'a["user_id"],'),
        ('db.User.find(a[1])', "SELECT * FROM users WHERE id = %s", "int(a[1]),"),
        ('db.query("SELECT 1 FROM k WHERE i = %s", params=[a.id])', "SELECT 1 FROM k WHERE i = %s", "a.id,"),
        ('db.query("SELECT 1 FROM k WHERE i = %s AND q = %s", (a[0], question_id))',
         "SELECT 1 FROM k WHERE i = %s AND q = %s", "a[0], question_id"),
        ('db.query("SELECT 1 FROM k WHERE i LIKE %s", (f"%{a[0]}%",))', "SELECT 1 FROM k WHERE i LIKE %s",
         "f'%{a[0]}%',"),
    ],
)  # fmt: skip
def test_a_value_is_followed_through_calls(call: str, sql: str, values: str) -> None:
    found = " ".join(header(f"for a in answers:\n        print({call})").split())
    assert f'"{sql}", lambda a: ({values})' in found


def test_each_statement_of_a_loop_is_announced_once() -> None:
    loop = "for a in answers:\n        db.comments(a[0])\n        db.comments(a[0])\n        db.User(a).friends"
    found = header(loop)
    assert found.count("lambda a:") == 2
    assert found.startswith("for a in prefetched(\n    answers,\n    (")


def test_a_comprehension_announces_as_well() -> None:
    loop = 'found = [db.query(db.BY_USER, (answer[1],)) for answer in answers if answer[1]]'
    assert header(loop) == (
        "found = [db.query(db.BY_USER, (answer[1],)) for answer in prefetched(\n"
        "    answers,\n"
        "    (db.BY_USER, lambda answer: (answer[1],) if answer[1] else None),\n"
        ") if answer[1]]"
    )


@pytest.mark.parametrize(
    ("loop", "guard"),
    [
        ("for a in answers:\n        if a[2] == 'x':\n            db.comments(a[0])", 'a[2] == "x"'),
        ("for a in answers:\n        if a[2]: pass\n        elif a[1]:\n            db.comments(a[0])",
         "not a[2] and a[1]"),
        ("for a in answers:\n        db.comments(a[0]) if a[1] is not None else 0", "a[1] is not None"),
    ],
)  # fmt: skip
def test_nothing_is_asked_for_rows_whose_turn_does_not_ask(loop: str, guard: str) -> None:
    found = " ".join(header(loop).split())
    assert f'lambda a: {{"answer": a[0]}} if {guard} else None' in found


def test_a_condition_that_the_header_cannot_say_is_no_guard() -> None:
    found = header("for a in answers:\n        if db.comments(1):\n            db.comments(a[0])")
    assert 'lambda a: {"answer": a[0]},' in found


def test_an_unpacked_row_is_one_argument_of_the_lambda() -> None:
    found = header("for id, (user, _) in answers:\n        print(db.comments(user))")
    assert 'lambda row: {"answer": row[1][0]}' in found


def test_enumerate_stays_around_what_is_announced() -> None:
    found = header("for i, a in enumerate(answers, 1):\n        print(i, db.query(db.BY_USER, (a[1],)))")
    assert found.startswith("for i, a in enumerate(prefetched(answers, (db.BY_USER, lambda a: (a[1],))), 1):\n")


def test_an_index_is_as_good_as_a_row() -> None:
    found = header("for i in range(len(answers)):\n        db.comments(answers[i][0])")
    assert 'lambda i: {"answer": answers[i][0]}' in found


def test_a_long_statement_gets_a_name_above_the_function() -> None:
    others = '''

@with_cursor
def latestVotes(cursor, answer_id):
    cursor.execute(
        """
        SELECT count(*)
        FROM votes
        WHERE answer_id = %s
        """,
        (answer_id,),
    )
    return cursor.fetchone()
'''
    found = page("for answer in answers:\n        print(db.latestVotes(answer[0]))", others)
    text = found.files["app.py"]
    lines = ['LATEST_VOTES = """', "SELECT count(*)", "FROM votes", "WHERE answer_id = %s", '"""']
    assert "\n        ".join(lines) + '\n\n\n@app.route("/question' in text
    assert "    for answer in prefetched(answers, (LATEST_VOTES, lambda answer: (answer[0],))):\n" in text
    assert "latestVotes()" in found.changes[0].note


def test_two_loops_share_the_name_of_a_long_statement() -> None:
    long = "SELECT a FROM some_table WHERE x = %s AND " + " AND ".join(f"column_{i} = 1" for i in range(9))
    one = f'for a in answers:\n        db.query("{long}", (a[0],))'
    found = page(f"{one}\n    {one}")
    assert found.files["app.py"].count("SELECT_SOME_TABLE = (") == 1
    assert found.files["app.py"].count("prefetched(answers, (SELECT_SOME_TABLE,") == 2


def test_what_an_inner_loop_asks_by_the_outer_row_is_announced_outside() -> None:
    loop = (
        "for answer in answers:\n"
        "        for comment in db.comments(answer[0]):\n"
        "            print(db.query(db.BY_USER, (answer[1],)), db.query(db.BY_USER, (comment[1],)))"
    )
    found = header(loop)
    assert "\n    (db.BY_USER, lambda answer: (answer[1],)),\n):\n    for comment in prefetched(\n" in found
    assert "\n        (db.BY_USER, lambda comment: (comment[1],)),\n    ):\n" in found


def test_a_local_statement_is_used_by_its_name() -> None:
    loop = 'sql = "SELECT 1 FROM k WHERE i = %s"\n    for a in answers:\n        db.query(sql, (a[0],))'
    assert "for a in prefetched(answers, (sql, lambda a: (a[0],))):" in header(loop)


def test_branches_that_the_arguments_rule_out_are_not_announced() -> None:
    others = '''

def listed(answer_id, limit=-1, kind=None):
    sql = "SELECT * FROM votes WHERE answer_id = %s"
    values = (answer_id,)
    if kind is not None:
        sql += " AND kind = %s"
        values = values + (kind,)
    if limit > 0:
        sql += " LIMIT 3"
    return query(sql, values)
'''
    found = header("for a in answers:\n        db.listed(a[0])\n        db.listed(a[1], limit=3)", others)
    assert '("SELECT * FROM votes WHERE answer_id = %s", lambda a: (a[0],))' in found
    assert '("SELECT * FROM votes WHERE answer_id = %s LIMIT 3", lambda a: (a[1],))' in found


def test_a_helper_that_builds_its_filter_from_names_is_followed() -> None:
    others = '''

def find_by(table, **columns):
    where = " AND ".join([f"{name} = %s" for name in columns])
    return query("SELECT * FROM {} WHERE {}".format(table, where), tuple(columns[name] for name in columns))
'''
    found = header('for a in answers:\n        db.find_by("votes", answer_id=a[0], kind="up")', others)
    assert "SELECT * FROM votes WHERE answer_id = %s AND kind = %s" in found
    assert 'lambda a: (a[0], "up")' in found


def test_what_cannot_be_announced_is_named_in_the_note() -> None:
    loop = (
        "for a in answers:\n"
        '        user = db.query(db.BY_USER, (a[1],), one=True)\n'
        '        db.query("SELECT 1 FROM teams WHERE id = %s", (user[0],))'
    )
    found = page(loop)
    assert found.files["app.py"].count("lambda") == 1
    assert "Still sent in each turn" in found.changes[0].note


def test_crlf_and_single_quotes_stay() -> None:
    loop = "for a in answers:\n        print(db.query('SELECT 1 FROM c WHERE a = %s', (a['id'],)), a['x'], a['y'])"
    source = PAGE.replace("{loop}", loop)
    text = source.replace('"', "'").lstrip("\n").replace("\n", "\r\n")
    found = fixed_by((FIXER,), {"app.py": text.encode(), "db.py": DB}, *RULES).bytes["app.py"]
    assert b"        ('SELECT 1 FROM c WHERE a = %s', lambda a: (a['id'],)),\r\n" in found
    assert found.count(b"\n") == found.count(b"\r\n")


@pytest.mark.parametrize(
    ("loop", "why"),
    [
        ("for a in answers:\n        db.delete(a[0])\n        db.comments(a[1])", "the loop writes, in delete()"),
        ("for a in answers:\n        db.query('SELECT * FROM k WHERE i = ' + str(a[0]))", "made anew for each"),
        ("for a in answers:\n        db.query('SELECT charged(%s) FROM k', (a[0],))", "may write"),
        ("for a in answers:\n        db.query('SELECT now() FROM k WHERE i = %s', (a[0],))", "anew each time"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s FOR UPDATE', (a[0],))", "FOR UPDATE"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s', (next(answers),))", "worked out"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s', (requests.get(a),))", "worked out"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s', (cache.get(a),))", "not of the row"),
        ("for a in answers:\n        db.query(db.BY_USER, (question_id,))", "the same in each turn"),
        ("for a in answers:\n        a['id'] = 7\n        db.comments(a['id'])", "the loop changes `a['id']`"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s', (a[0], 1))", "1 placeholders for 2"),
        ("list(map(db.comments, answers))", "`map`"),
        ("for a in answers:\n        db.query('SELECT i FROM k WHERE i = %s', tuple(a))", "use up"),
        ("for _, a in itertools.groupby(answers):\n        db.comments(a[0])", "one by one"),
        ("for a in (b for b in answers):\n        db.comments(a[0])", "one by one"),
    ],
)
def test_a_loop_is_left_alone_and_says_why(loop: str, why: str) -> None:
    assert why in reason(loop)


def test_without_the_runtime_nothing_is_changed() -> None:
    loop = "for answer in answers:\n        db.comments(answer[0])"
    found = fixed_by((FIXER,), {"app.py": PAGE.replace("{loop}", loop), "db.py": DB}, *RULES, kit="")
    assert not found.changes
    assert "harden vendor" in found.reasons[0]


def test_a_cursor_that_is_read_and_executed_on_is_left_alone() -> None:
    source = '''
        def names(conn):
            cur = conn.cursor()
            cur.execute("SELECT id FROM a")
            for row in cur:
                cur.execute("SELECT name FROM b WHERE id = %s", (row[0],))
    '''
    found = fixed_by((FIXER,), {"app.py": "import psycopg2\n" + source, "run.py": "import app, psycopg2\n"
                                "app.names(psycopg2.connect(''))\n"}, *RULES)  # fmt: skip
    assert not found.changes


def test_a_while_loop_is_left_with_a_suggestion() -> None:
    source = '''
        import psycopg2

        conn = psycopg2.connect("")
        cur, other = conn.cursor(), conn.cursor()
        cur.execute("SELECT id FROM a")
        while (row := cur.fetchone()) is not None:
            other.execute("SELECT name FROM b WHERE id = %s", (row[0],))
    '''
    found = fixed_by((FIXER,), {"app.py": source}, *RULES)
    assert not found.changes
    assert "`while`" in found.reasons[0]
    assert found.left[0].suggestion == (
        'by_id = fetch_grouped(conn, "SELECT name, id FROM b WHERE id = ANY(%(ids)s)", keys, key="id")'
    )


def test_a_function_that_calls_itself_is_left_with_a_recursive_query() -> None:
    others = '''

def root(node):
    row = query("SELECT parent FROM nodes WHERE id = %s", (node,), one=True)
    return root(row[0]) if row[0] else node
'''
    found = page("db.root(1)", others)
    assert not found.changes
    assert any("WITH RECURSIVE" in each.suggestion for each in found.left)
