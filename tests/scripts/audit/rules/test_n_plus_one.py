"""H201: which loops run a statement per row, by line and column of the loop, and which only look like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Confidence, Severity
from scripts.audit.rules.n_plus_one import RULE
from tests.scripts.audit.looking import findings, places

HEAD = """
import psycopg2
from flask import Flask, request

app = Flask(__name__)
conn = psycopg2.connect("")
cur = conn.cursor()


def user(key):
    cur.execute("SELECT id, name FROM users WHERE id = %s", (key,))
    return cur.fetchone()


def posts():
    cur.execute("SELECT id, author FROM posts LIMIT 20")
    return cur.fetchall()


"""
FIRST = HEAD.lstrip("\n").count("\n") + 1  # the line that a case begins at

HITS = {
    "a statement in a for loop over fetchall": ("""
        def view():
            cur.execute("SELECT id FROM posts")
            for row in cur.fetchall():
                cur.execute("DELETE FROM posts WHERE id = %s", (row[0],))
        """, "3:5"),
    "through a helper": ("""
        def view():
            for post in posts():
                user(post[1])
        """, "2:5"),
    "a list comprehension": ("""
        def view():
            return [user(post[1]) for post in posts()]
        """, "2:13"),
    "a dict comprehension": ("""
        def view():
            return {post[0]: user(post[1]) for post in posts()}
        """, "2:22"),
    "a generator that is summed up": ("""
        def view():
            return sum(user(post[1])[0] for post in posts())
        """, "2:16"),
    "map": ("""
        def view():
            return list(map(user, [post[1] for post in posts()]))
        """, "2:17"),
    "map with a lambda": ("""
        def view():
            return list(map(lambda post: user(post[1]), posts()))
        """, "2:17"),
    "rows of the cursor itself": ("""
        def view():
            other = conn.cursor()
            cur.execute("SELECT id FROM posts")
            for row in cur:
                other.execute("UPDATE posts SET seen = true WHERE id = %s", row)
        """, "4:5"),
    "while over fetchone": ("""
        def view():
            other = conn.cursor()
            cur.execute("SELECT id FROM posts")
            row = cur.fetchone()
            while row is not None:
                other.execute("UPDATE posts SET seen = true WHERE id = %s", (row[0],))
                row = cur.fetchone()
        """, "5:5"),
    "while True over fetchone": ("""
        def view():
            other = conn.cursor()
            cur.execute("SELECT id FROM posts")
            while True:
                row = cur.fetchone()
                if row is None:
                    break
                other.execute("UPDATE posts SET seen = true WHERE id = %s", (row[0],))
        """, "4:5"),
    "a walrus": ("""
        def view():
            other = conn.cursor()
            cur.execute("SELECT id FROM posts")
            while (row := cur.fetchone()):
                other.execute("UPDATE posts SET seen = true WHERE id = %s", (row[0],))
        """, "4:5"),
    "walking up the parents": ("""
        def path(key):
            found = []
            while key is not None:
                cur.execute("SELECT id, parent_id FROM folders WHERE id = %s", (key,))
                row = cur.fetchone()
                found.append(row[0])
                key = row[1]
            return found
        """, "3:5"),
    "a queue of ids": ("""
        def tree(key):
            queue = [key]
            while queue:
                cur.execute("SELECT id FROM folders WHERE parent_id = %s", (queue.pop(0),))
                for row in cur.fetchall():
                    queue.append(row[0])
        """, "3:5"),
    "an index over a list of ids": ("""
        def view():
            ids = [row[0] for row in posts()]
            for index in range(len(ids)):
                user(ids[index])
        """, "3:5"),
    "a recursion": ("""
        def root(key):
            cur.execute("SELECT id, parent_id FROM folders WHERE id = %s", (key,))
            row = cur.fetchone()
            return root(row[1]) if row[1] else row
        """, "4:12"),
    "a recursion over children": ("""
        def tree(key):
            cur.execute("SELECT id FROM folders WHERE parent_id = %s", (key,))
            return [(row, tree(row[0])) for row in cur.fetchall()]
        """, "3:19"),
    "enumerate": ("""
        def view():
            for number, post in enumerate(posts(), 1):
                user(post[1])
        """, "2:5"),
    "a set of ids of rows": ("""
        def view():
            ids = {post[1] for post in posts()}
            for key in sorted(ids):
                user(key)
        """, "3:5"),
    "rows grouped in a dict": ("""
        def view():
            groups = {}
            for post in posts():
                groups.setdefault(post[1], []).append(post)
            for author, written in groups.items():
                user(author)
        """, "5:5"),
    "a list that is filled from rows": ("""
        def view():
            found = []
            for post in posts():
                found.append({"id": post[0], "author": post[1]})
            for each in found:
                each["author"] = user(each["author"])
        """, "5:5"),
    "a generator function": ("""
        def each_post():
            for post in posts():
                yield dict(id=post[0], author=post[1])


        def view():
            for post in each_post():
                user(post["author"])
        """, "7:5"),
    "objects made from rows": ("""
        class Post:
            def __init__(self, row):
                self.id, self.author_id = row

            def author(self):
                return user(self.author_id)


        def view():
            found = [Post(row) for row in posts()]
            return [post.author() for post in found]
        """, "11:13"),
    "a property": ("""
        class Post:
            def __init__(self, row):
                self.id, self.author_id = row

            @property
            def author(self):
                return user(self.author_id)


        def view():
            return [post.author for post in [Post(row) for row in posts()]]
        """, "11:13"),
    "a decorated helper that gets its cursor": ("""
        def with_cursor(function):
            def wrapper(*args, **kwargs):
                with conn.cursor() as cursor:
                    return function(cursor, *args, **kwargs)
            return wrapper


        @with_cursor
        def tags(cursor, post):
            cursor.execute("SELECT name FROM tags WHERE post_id = %s", (post,))
            return cursor.fetchall()


        def view():
            for post in posts():
                tags(post[0])
        """, "15:5"),
    "a write with a commit of its own": ("""
        def save(key):
            cur.execute("INSERT INTO seen (post_id) VALUES (%s)", (key,))
            conn.commit()


        def view():
            for post in posts():
                save(post[0])
        """, "7:5"),
    "a parameter that is given rows": ("""
        def names(rows):
            return [user(row[1]) for row in rows]


        def view():
            return names(posts())
        """, "2:13"),
    "rows through jsonify": ("""
        from flask import jsonify


        def as_json():
            return jsonify({"posts": [dict(row) for row in posts()]})


        def view():
            for post in as_json().get_json()["posts"]:
                user(post["author"])
        """, "9:5"),
    "a statement in a branch": ("""
        def view():
            for post in posts():
                if post[1]:
                    user(post[1])
                else:
                    continue
        """, "2:5"),
    "a constructor that asks for what it is given": ("""
        class User:
            def __init__(self, key=None, form=None):
                if key is not None:
                    user(key)


        def view():
            return [User(key=post[0]) for post in posts()]
        """, "8:13"),
    "a constructor that is told to ask": ("""
        class Post:
            def __init__(self, row, deep=False):
                self.id = row[0]
                if not deep or row is None:
                    return
                if hasattr(self, "id") and deep:
                    self.user = user(self.id)


        def view():
            return [Post(post, deep=True) for post in posts()]
        """, "11:13"),
    "executemany for each row": ("""
        def view(tags):
            for post in posts():
                cur.executemany("INSERT INTO tags VALUES (%s, %s)", [(post[0], tag) for tag in tags])
        """, "2:5"),
    "rows of a data frame": ("""
        import pandas as pd


        def view():
            frame = pd.read_sql("SELECT id FROM posts", conn)
            for index, row in frame.iterrows():
                user(row["id"])
        """, "6:5"),
}  # fmt: skip

MISSES = {
    "the statement stands after the loop": """
        def view():
            ids = []
            for post in posts():
                ids.append(post[1])
            cur.execute("SELECT * FROM users WHERE id = ANY(%s)", (ids,))
        """,
    "what the client sent": """
        @app.post("/")
        def view():
            for key in request.form.getlist("id"):
                user(key)
        """,
    "lines of a file": """
        def load():
            for line in open("names.txt"):
                cur.execute("INSERT INTO names VALUES (%s)", (line,))
        """,
    "constants": """
        def view():
            for key in (1, 2, 3):
                user(key)
        """,
    "two values of a row": """
        def view():
            first, second = user(1), user(2)
            for key in (first[0], second[0]):
                user(key)
        """,
    "trying again": """
        def view():
            row = user(1)
            for attempt in range(row[0]):
                user(attempt)
        """,
    "polling": """
        import time


        def work():
            while True:
                cur.execute("SELECT id FROM jobs LIMIT 1")
                row = cur.fetchone()
                if row is None:
                    break
                cur.execute("DELETE FROM jobs WHERE id = %s", row)
                time.sleep(1)
        """,
    "drawing a code until one is free": """
        import random


        def code():
            while True:
                found = random.randint(1, 10**6)
                cur.execute("SELECT 1 FROM codes WHERE code = %s", (found,))
                if cur.fetchone() is None:
                    return found
        """,
    "drawing a code, again by calling itself": """
        import random


        def code():
            found = random.randint(1, 10**6)
            cur.execute("SELECT 1 FROM codes WHERE code = %s", (found,))
            return code() if cur.fetchone() else found
        """,
    "chunks": """
        def chunks(ids, size):
            for start in range(0, len(ids), size):
                yield ids[start:start + size]


        def view():
            ids = [post[1] for post in posts()]
            for chunk in chunks(ids, 500):
                cur.execute("SELECT * FROM users WHERE id = ANY(%s)", (chunk,))
        """,
    "a range with a step": """
        def view():
            ids = [post[1] for post in posts()]
            for start in range(0, len(ids), 500):
                cur.execute("SELECT * FROM users WHERE id = ANY(%s)", (ids[start:start + 500],))
        """,
    "parameters for executemany": """
        def view():
            rows = [(post[0],) for post in posts()]
            cur.executemany("INSERT INTO seen VALUES (%s)", rows)
        """,
    "a buffer that is written now and then": """
        def view():
            buffer = []
            for post in posts():
                buffer.append(post)
                if len(buffer) > 500:
                    cur.executemany("INSERT INTO seen VALUES (%s, %s)", buffer)
                    buffer.clear()
        """,
    "the columns of one row": """
        def view():
            row = user(1)
            for value in row:
                user(value)
        """,
    "another function of the same name": """
        import re


        def search(text):
            cur.execute("SELECT 1 FROM posts WHERE title = %s", (text,))


        def view():
            return [re.search("a", post[1]) for post in posts()]
        """,
    "a dict's get": """
        def get(key):
            return user(key)


        def view():
            known = {}
            return [known.get(post[1]) for post in posts()]
        """,
    "somebody else's execute": """
        from googleapiclient.discovery import build

        service = build("calendar", "v3")


        def view():
            for post in posts():
                service.events().insert(body=post).execute()
        """,
    "a constructor that asks only when it has no row": """
        class User:
            def __init__(self, row=None, form=None):
                if row is not None:
                    self.id = row[0]
                elif form:
                    cur.execute("INSERT INTO users (name) VALUES (%s)", (form["name"],))


        def view():
            return [User(post) for post in posts()]
        """,
    "a constructor that asks only when it is told to": """
        class Post:
            def __init__(self, row, deep=False):
                self.id = row[0]
                if hasattr(self, "id") and deep:
                    self.user = user(self.id)
                if not deep:
                    return
                user(self.id)


        def view():
            return [Post(post) for post in posts()]
        """,
    "a constructor that asks only for a key": """
        class Base:
            def __init__(self, entry):
                self.values = entry
                if isinstance(entry, int):
                    self.values = self.fetched(entry)

            def fetched(self, key):
                return user(key)


        class Post(Base):
            def __init__(self, entry):
                super().__init__(entry)


        def view():
            return [Post(post) for post in posts()]
        """,
    "constants that get the ids of new rows": """
        PEOPLE = [{"name": "a"}, {"name": "b"}]


        def seed():
            for person in PEOPLE:
                cur.execute("INSERT INTO users (name) VALUES (%s) RETURNING id", (person["name"],))
                person["id"] = cur.fetchone()[0]
            for person in PEOPLE:
                cur.execute("INSERT INTO posts (author) VALUES (%s)", (person["id"],))
        """,
    "commit alone": """
        def view():
            for post in posts():
                conn.commit()
        """,
    "found and left": """
        def view(key):
            for post in posts():
                if post[0] == key:
                    cur.execute("UPDATE posts SET seen = true WHERE id = %s", (key,))
                    return post
        """,
    "settings and schema": """
        def view():
            cur.execute("SELECT table_name FROM information_schema.tables")
            for row in cur.fetchall():
                cur.execute("DROP TABLE " + row[0])
        """,
    "a savepoint": """
        def view():
            for post in posts():
                cur.execute("SAVEPOINT one")
        """,
    "rows that are only read": """
        def view():
            return [post[0] for post in posts()]
        """,
    "the query in the loop's header": """
        def view():
            for row in [each for each in posts()]:
                print(row)
        """,
    "names of the cursor's columns": """
        def view():
            cur.execute("SELECT * FROM posts")
            names = [column[0] for column in cur.description]
            return [dict(zip(names, row)) for row in cur.fetchall()]
        """,
}


def _code(body: str) -> str:
    from textwrap import dedent

    return HEAD.lstrip("\n") + dedent(body).lstrip("\n")


@pytest.mark.parametrize("name", HITS)
def test_a_statement_per_row_is_found(tmp_path: Path, name: str) -> None:
    body, where = HITS[name]
    line, col = map(int, where.split(":"))
    assert places(RULE, tmp_path, {"app.py": _code(body)}) == [f"app.py:{FIRST + line - 1}:{col}"]


@pytest.mark.parametrize("name", MISSES)
def test_this_is_left_alone(tmp_path: Path, name: str) -> None:
    assert places(RULE, tmp_path, {"app.py": _code(MISSES[name])}) == []


def test_the_message_names_the_helper_its_statement_and_the_query_behind_the_rows(tmp_path: Path) -> None:
    body = """
        @app.get("/")
        def view():
            for post in posts():
                user(post[1])
    """
    (found,) = findings(RULE, tmp_path, {"app.py": _code(body)})
    assert found.message == (
        "a statement for each row of `SELECT id, author FROM posts LIMIT 20`: user() runs `SELECT id, name FROM"
        " users WHERE id = %s`"
    )
    assert "`SELECT id, name FROM users WHERE id = ANY(%s)`" in found.fix
    assert [each.text for each in found.evidence] == [
        "the rows come from here", "runs SELECT id, name FROM users WHERE id = %s",
    ]  # fmt: skip
    assert found.gain == "1 + N statements -> 2"
    assert (found.severity, found.confidence, found.routes) == (Severity.high, Confidence.high, ("GET /",))


def test_one_loop_is_one_finding_from_its_header_to_the_last_of_its_calls(tmp_path: Path) -> None:
    body = """
        def tag(key):
            cur.execute("INSERT INTO tags (post_id) VALUES (%s)", (key,))


        def view():
            for post in posts():
                user(post[1])
                tag(post[0])
    """
    (found,) = findings(RULE, tmp_path, {"app.py": _code(body)})
    assert (found.place.line, found.place.end_line) == (FIRST + 5, FIRST + 7)
    assert [place.line for place in found.more] == [FIRST + 7]
    assert found.message.startswith("2 statements for each row")
    assert 'insert_many(conn, "tags", rows)' in found.fix


def test_a_loop_in_a_loop_is_a_finding_of_its_own_with_its_depth(tmp_path: Path) -> None:
    body = """
        def tags(key):
            cur.execute("SELECT user_id FROM tags WHERE post_id = %s", (key,))
            return cur.fetchall()


        def view():
            for post in posts():
                for tag in tags(post[0]):
                    user(tag[0])
    """
    outer, inner = findings(RULE, tmp_path, {"app.py": _code(body)})
    assert "2 loops deep" not in outer.message
    assert "2 loops deep" in inner.message


def test_a_loop_that_no_route_gets_to_is_low(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": _code("for post in posts():\n    user(post[1])\n")})
    assert found.severity is Severity.low


def test_a_helper_that_keeps_its_answers_is_low(tmp_path: Path) -> None:
    body = """
        from functools import lru_cache


        @lru_cache
        def name(key):
            return user(key)


        @app.get("/")
        def view():
            return [name(post[1]) for post in posts()]
    """
    assert [each.severity for each in findings(RULE, tmp_path, {"app.py": _code(body)})] == [Severity.low]


def test_a_walk_up_a_hierarchy_is_told_of_with_recursive(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": _code(HITS["walking up the parents"][0])})
    assert "WITH RECURSIVE" in found.fix


def test_a_while_over_fetchone_is_not_told_of_with_recursive(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, {"app.py": _code(HITS["while over fetchone"][0])})
    assert "RECURSIVE" not in found.fix


def test_helpers_of_other_files_are_followed(tmp_path: Path) -> None:
    files = {
        "db.py": HEAD.lstrip("\n"),
        "views.py": "import db\n\n\ndef view():\n    for row in db.posts():\n        db.user(row[1])\n",
    }
    assert places(RULE, tmp_path, files) == ["views.py:5:5"]


def test_a_statement_that_any_caller_can_give_is_shown_as_this_loop_gives_it(tmp_path: Path) -> None:
    body = """
        def run(query, values=()):
            cur.execute(query, values)
            return cur.fetchall()


        def view():
            run("SELECT 1 FROM other")
            for post in run("SELECT author FROM posts"):
                run("SELECT name FROM users WHERE id = %s", post)
    """
    (found,) = findings(RULE, tmp_path, {"app.py": _code(body)})
    assert "SELECT name FROM users" in found.message
    assert "other" not in found.message


@pytest.mark.parametrize(
    ("statement", "rewritten"),
    [
        ("SELECT name FROM users WHERE id = %s", "SELECT name, id FROM users WHERE id = ANY(%s)"),
        ("SELECT * FROM users u WHERE u.id=%s LIMIT 1", "SELECT * FROM users u WHERE u.id = ANY(%s)"),
        ("SELECT id FROM users WHERE (id = %(id)s);", "SELECT id FROM users WHERE id = ANY(%s)"),
        ("SELECT name FROM users WHERE id = %s AND age > %s", "SELECT ... WHERE id = ANY(%s)"),
        ("DELETE FROM users WHERE id = %s", "DELETE FROM users WHERE id = ANY(%s)"),
    ],
)
def test_the_statement_for_all_is_made_from_the_one_that_is_there(
    tmp_path: Path, statement: str, rewritten: str
) -> None:
    body = f'def view():\n    for post in posts():\n        cur.execute("{statement}", (post[1],))\n'
    (found,) = findings(RULE, tmp_path, {"app.py": _code(body)})
    assert f"`{rewritten}`" in found.fix


def test_its_example_is_found_and_what_stands_instead_is_not(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"one.py": RULE.example}) == ["one.py:5:5"]
    assert places(RULE, tmp_path, {"one.py": RULE.instead}) == []
