"""H301: which statements are made of values, by line and column of the call, and which only look like it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.sql_injection import RULE
from tests.scripts.audit.looking import findings, places

HEAD = """
import psycopg2
from flask import Flask, abort, request, session
from psycopg2 import sql

app = Flask(__name__)
conn = psycopg2.connect("")
cur = conn.cursor()


"""
FIRST = HEAD.lstrip("\n").count("\n") + 1  # the line that a case begins at

HITS = {
    "an f-string": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute(f"SELECT 1 FROM users WHERE name = '{name}'")
        """, "3:5"),
    "percent": ("""
        @app.get("/")
        def view():
            cur.execute("SELECT 1 FROM users WHERE name = '%s'" % request.args["name"])
        """, "3:5"),
    "percent with a tuple": ("""
        @app.get("/")
        def view():
            name, age = request.args["name"], request.args["age"]
            cur.execute("SELECT 1 FROM users WHERE name = '%s' AND age = %s" % (name, age))
        """, "4:5"),
    "percent with a dict": ("""
        @app.get("/")
        def view():
            cur.execute("SELECT 1 FROM users WHERE name = '%(name)s'" % {"name": request.args["name"]})
        """, "3:5"),
    "plus": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute("SELECT 1 FROM users WHERE name = '" + name + "'")
        """, "3:5"),
    "format": ("""
        @app.get("/<name>")
        def view(name):
            query = "SELECT 1 FROM users WHERE name = '{}'".format(name)
            cur.execute(query)
        """, "4:5"),
    "a constant template of another module": ("""
        from queries import FIND


        @app.get("/<name>")
        def view(name):
            cur.execute(FIND.format(name=name))
        """, "6:5"),
    "string.Template": ("""
        from string import Template


        @app.get("/<name>")
        def view(name):
            cur.execute(Template("SELECT 1 FROM users WHERE name = '$name'").substitute(name=name))
        """, "6:5"),
    "a replaced word": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute("SELECT 1 FROM users WHERE name = 'NAME'".replace("NAME", name))
        """, "3:5"),
    "locals": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute("SELECT 1 FROM users WHERE name = '%(name)s'" % locals())
        """, "3:5"),
    "an attribute that the constructor is given": ("""
        class User:
            def __init__(self, name):
                self.name = name

            def save(self):
                cur.execute(f"INSERT INTO users VALUES ('{self.name}')")


        @app.get("/<name>")
        def view(name):
            User(name).save()
        """, "6:9"),
    "a list of pieces": ("""
        @app.get("/<table>")
        def view(table):
            cur.execute(" ".join(["SELECT 1 FROM", table, "LIMIT 1"]))
        """, "3:5"),
    "the time": ("""
        from datetime import datetime


        @app.get("/")
        def view():
            cur.execute("INSERT INTO visits VALUES ('" + str(datetime.now()) + "')")
        """, "6:5"),
    "join": ("""
        @app.get("/")
        def view():
            cur.execute("SELECT 1 FROM users WHERE id IN (" + ", ".join(request.args.getlist("id")) + ")")
        """, "3:5"),
    "built piece by piece": ("""
        @app.get("/")
        def view():
            query = "SELECT 1 FROM users WHERE true"
            if request.args.get("name"):
                query += " AND name = '" + request.args["name"] + "'"
            cur.execute(query)
        """, "6:5"),
    "conditions in a list": ("""
        @app.get("/")
        def view():
            parts = []
            for key, value in request.args.items():
                parts.append(f"{key} = '{value}'")
            cur.execute("SELECT 1 FROM users WHERE " + " AND ".join(parts))
        """, "6:5"),
    "the order": ("""
        @app.get("/")
        def view():
            order = request.args.get("order", "id")
            cur.execute(f"SELECT 1 FROM users ORDER BY {order}")
        """, "4:5"),
    "quotes doubled by hand": ("""
        @app.get("/<name>")
        def view(name):
            name = name.replace("'", "''")
            cur.execute("SELECT 1 FROM users WHERE name = '%s'" % name)
        """, "4:5"),
    "a value of a row": ("""
        def view():
            cur.execute("SELECT name FROM users")
            for row in cur.fetchall():
                cur.execute("SELECT 1 FROM posts WHERE author = '" + row[0] + "'")
        """, "4:9"),
    "a value of the session": ("""
        @app.get("/")
        def view():
            cur.execute(f"SELECT 1 FROM users WHERE name = '{session['name']}'")
        """, "3:5"),
    "a parameter": ("""
        def view(name):
            cur.execute(f"SELECT 1 FROM users WHERE name = '{name}'")
        """, "2:5"),
    "a number": ("""
        @app.get("/<int:key>")
        def view(key):
            cur.execute(f"SELECT 1 FROM users WHERE id = {key}")
        """, "3:5"),
    "a helper that runs what it is given": ("""
        def run(query):
            cur.execute(query)


        @app.get("/<name>")
        def view(name):
            run("SELECT 1")
            run(f"SELECT 1 FROM users WHERE name = '{name}'")
        """, "8:5"),
    "a helper of a helper": ("""
        class Base:
            def run(self, query, values=None):
                cur.execute(query, values)

            def all(self, query):
                self.run(query)


        class Users(Base):
            def find(self, name):
                self.all(f"SELECT 1 FROM users WHERE name = '{name}'")
        """, "11:9"),
    "a helper that names the table": ("""
        def find(table, name):
            cur.execute("SELECT 1 FROM " + table + " WHERE name = %s", (name,))


        @app.get("/<table>")
        def view(table):
            find(table, "a")
        """, "2:5"),
    "a parameter that every caller fills with a constant": ("""
        def count(table):
            cur.execute(f"SELECT count(*) FROM {table}")


        def view():
            count("users")
            count("posts")
        """, "2:5"),
    "executemany": ("""
        def save(table, rows):
            cur.executemany(f"INSERT INTO {table} VALUES (%s)", rows)
        """, "2:5"),
    "execute_values": ("""
        from psycopg2.extras import execute_values


        def save(table, rows):
            execute_values(cur, f"INSERT INTO {table} VALUES %s", rows)
        """, "5:5"),
    "copy_expert": ("""
        def save(table, file):
            cur.copy_expert(f"COPY {table} FROM STDIN", file)
        """, "2:5"),
    "a data frame": ("""
        import pandas as pd


        @app.get("/<name>")
        def view(name):
            pd.read_sql(f"SELECT 1 FROM users WHERE name = '{name}'", conn)
        """, "6:5"),
    "sqlalchemy's text": ("""
        from sqlalchemy import create_engine, text

        engine = create_engine("postgresql://")


        @app.get("/<name>")
        def view(name):
            with engine.connect() as connection:
                connection.execute(text(f"SELECT 1 FROM users WHERE name = '{name}'"))
        """, "9:9"),
    "SQL of an f-string": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute(sql.SQL(f"SELECT 1 FROM users WHERE name = '{name}'"))
        """, "3:5"),
    "SQL of a value": ("""
        @app.get("/<order>")
        def view(order):
            cur.execute(sql.SQL("SELECT 1 FROM users ORDER BY {}").format(sql.SQL(order)))
        """, "3:5"),
    "mogrify of an f-string": ("""
        @app.get("/<name>")
        def view(name):
            cur.execute(cur.mogrify(f"SELECT 1 FROM users WHERE name = '{name}'"))
        """, "3:5"),
    "a statement that the client sends": ("""
        @app.post("/")
        def view():
            cur.execute(request.json["query"])
        """, "3:5"),
    "a form": ("""
        from flask_wtf import FlaskForm
        from wtforms import StringField


        class Find(FlaskForm):
            name = StringField("name")


        @app.post("/")
        def view():
            form = Find()
            cur.execute("SELECT 1 FROM users WHERE name = '" + form.name.data + "'")
        """, "12:5"),
    "keys of what the client sends": ("""
        @app.post("/")
        def view():
            fields = ", ".join(f"{key} = %s" for key in request.json)
            cur.execute(f"UPDATE users SET {fields}", list(request.json.values()))
        """, "4:5"),
    "a wrong allow-list": ("""
        @app.get("/<order>")
        def view(order):
            if order not in request.args:
                abort(400)
            cur.execute(f"SELECT 1 FROM users ORDER BY {order}")
        """, "5:5"),
}  # fmt: skip

MISSES = {
    "bound values": """
        @app.get("/<name>")
        def view(name):
            cur.execute("SELECT 1 FROM users WHERE name = %s", (name,))
        """,
    "an f-string without a field": """
        def view(name):
            cur.execute(f"SELECT 1 FROM users WHERE name = %s", (name,))
        """,
    "constants of a module and of a class": """
        TABLE = "users"


        class Users:
            table = "users"
            columns = ("id", "name")

            def find(self, key):
                cur.execute(f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE id = %s", (key,))
                cur.execute("SELECT 1 FROM " + TABLE)
        """,
    "a constant of another module": """
        import queries


        def view(name):
            cur.execute(queries.ALL + " LIMIT 10")
        """,
    "the table of a child class": """
        class Base:
            table = ""

            def all(self):
                cur.execute("SELECT id FROM %s" % self.table)


        class Users(Base):
            table = "users"
        """,
    "a constant that only the children have": """
        class Base:
            @classmethod
            def all(cls):
                cur.execute(f"SELECT {', '.join(cls.columns[1:])} FROM {cls.table}")


        class Users(Base):
            table = "users"
            columns = ("id", "name", "age")
        """,
    "the name of a class": """
        class Base:
            def all(self):
                cur.execute(f"SELECT id FROM {self.__class__.__name__.lower()}")


        class Users(Base):
            pass
        """,
    "placeholders": """
        @app.get("/")
        def view():
            ids = request.args.getlist("id")
            marks = ",".join(["%s"] * len(ids))
            cur.execute(f"SELECT 1 FROM users WHERE id IN ({marks})", ids)
            more = ", ".join("%s" for _ in ids)
            cur.execute("SELECT 1 FROM users WHERE id IN (" + more + ")", ids)
            cur.execute("SELECT 1 FROM users WHERE id IN (%s)" % ",".join("%s" for each in ids), ids)
            cur.execute("SELECT 1 FROM users WHERE id IN (" + (len(ids) * "%s, ")[:-2] + ")", ids)
        """,
    "composition": """
        @app.get("/<table>")
        def view(table):
            cur.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table)))
            names = sql.SQL(", ").join(map(sql.Identifier, request.args))
            cur.execute(sql.SQL("SELECT {} FROM users").format(names))
            cur.execute(sql.SQL("INSERT INTO users VALUES ({})").format(sql.SQL(", ").join(sql.Placeholder() * 3)))
        """,
    "composition as a string": """
        @app.get("/<table>")
        def view(table):
            cur.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table)).as_string(conn))
        """,
    "mogrify": """
        @app.get("/")
        def view():
            rows = [(name,) for name in request.args.getlist("name")]
            values = ",".join(cur.mogrify("(%s)", row).decode() for row in rows)
            cur.execute("INSERT INTO users VALUES " + values)
        """,
    "conditions with bound values": """
        @app.get("/")
        def view():
            parts, values = [], []
            if request.args.get("name"):
                parts.append("name = %s")
                values.append(request.args["name"])
            if request.args.get("age"):
                parts.append("age > %s")
                values.append(request.args["age"])
            where = " WHERE " + " AND ".join(parts) if parts else ""
            cur.execute("SELECT 1 FROM users" + where, values)
        """,
    "a dict of constants": """
        ORDERS = {"name": "name ASC", "age": "age DESC"}


        @app.get("/")
        def view():
            order = ORDERS.get(request.args.get("order"), "id")
            cur.execute(f"SELECT 1 FROM users ORDER BY {order}")
            cur.execute("SELECT 1 FROM users ORDER BY " + ORDERS[request.args["order"]])
        """,
    "looked up in a list before": """
        ALLOWED = ("id", "name")


        @app.get("/")
        def view():
            order = request.args.get("order", "id")
            if order not in ALLOWED:
                abort(400)
            cur.execute(f"SELECT 1 FROM users ORDER BY {order}")
        """,
    "replaced when it is not in the list": """
        @app.get("/")
        def view():
            order = request.args.get("order", "id")
            if order not in {"id", "name"}:
                order = "id"
            cur.execute("SELECT 1 FROM users ORDER BY " + order)
        """,
    "inside a branch for what is allowed": """
        @app.get("/")
        def view():
            allowed = ["id", "name"]
            order = request.args.get("order")
            query = "SELECT 1 FROM users"
            if order in allowed:
                query += f" ORDER BY {order}"
            cur.execute(query)
        """,
    "a choice of constants": """
        @app.get("/")
        def view():
            order = "ASC" if request.args.get("order") == "asc" else "DESC"
            cur.execute(f"SELECT 1 FROM users ORDER BY id {order}")
        """,
    "columns that the code names": """
        FIELDS = ["name", "age"]


        @app.post("/")
        def view():
            sets = [f"{field} = %s" for field in FIELDS if field in request.json]
            cur.execute("UPDATE users SET " + ", ".join(sets), [request.json[field] for field in FIELDS])
        """,
    "keys of a dict of the code": """
        @app.post("/")
        def view():
            fields = {"name": request.json["name"], "age": request.json["age"]}
            sets = ", ".join(f"{key} = %s" for key in fields)
            cur.execute(f"UPDATE users SET {sets}", list(fields.values()))
            pairs = ", ".join(f"{key} = %s" for key, value in fields.items())
            cur.execute(f"UPDATE users SET {pairs}", list(fields.values()))
        """,
    "keys of named arguments": """
        def update(key, **fields):
            sets = ", ".join(f"{name} = %s" for name in fields)
            cur.execute(f"UPDATE users SET {sets} WHERE id = %s", [*fields.values(), key])


        @app.post("/")
        def view():
            update(1, name=request.json["name"], age=request.json["age"])
        """,
    "what the environment says": """
        import os


        def view():
            cur.execute(f"SET search_path TO {os.environ['SCHEMA']}")
        """,
    "a constant in a loop": """
        def view():
            for kind in ("food", "wood"):
                cur.execute("SELECT sum(" + kind + ") FROM stores")
        """,
    "a condition that callers give as a constant": """
        def run(query, values=()):
            cur.execute(query + " LIMIT 10", values)


        def view():
            run("SELECT 1 FROM users")
        """,
    "somebody else's execute": """
        from googleapiclient.discovery import build


        def view(name):
            build("drive", "v3").files().list(q=f"name = '{name}'").execute()
        """,
    "a schema file": """
        def create():
            with open("schema.sql") as file:
                cur.execute(file.read())
        """,
    "a helper that runs constants": """
        def run(query, values=()):
            cur.execute(query, values)


        @app.get("/<name>")
        def view(name):
            run("SELECT 1 FROM users WHERE name = %s", (name,))
        """,
    "a text that is only printed": """
        def view(name):
            print(f"SELECT 1 FROM users WHERE name = '{name}'")
        """,
}
QUERIES = {"queries.py": "ALL = 'SELECT 1 FROM users'\nFIND = \"SELECT 1 FROM users WHERE name = '{name}'\"\n"}


def _files(body: str) -> dict[str, str]:
    return {"app.py": HEAD.lstrip("\n") + dedent(body).lstrip("\n"), **QUERIES}


@pytest.mark.parametrize("name", HITS)
def test_a_text_made_of_values_is_found(tmp_path: Path, name: str) -> None:
    body, where = HITS[name]
    line, col = map(int, where.split(":"))
    assert places(RULE, tmp_path, _files(body)) == [f"app.py:{FIRST + line - 1}:{col}"]


@pytest.mark.parametrize("name", MISSES)
def test_this_is_left_alone(tmp_path: Path, name: str) -> None:
    assert places(RULE, tmp_path, _files(MISSES[name])) == []


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("an f-string", Severity.critical),
        ("a statement that the client sends", Severity.critical),
        ("a value of a row", Severity.high),
        ("a value of the session", Severity.high),
        ("a parameter", Severity.medium),
        ("a number", Severity.low),
        ("the time", Severity.low),
        ("a parameter that every caller fills with a constant", Severity.low),
    ],
)
def test_it_is_graded_by_where_the_value_comes_from(tmp_path: Path, name: str, severity: Severity) -> None:
    assert [each.severity for each in findings(RULE, tmp_path, _files(HITS[name][0]))] == [severity]


def test_a_parameter_that_a_route_gets_to_is_high(tmp_path: Path) -> None:
    body = """
        @app.get("/")
        def view(name=None):
            name = other.helper()
            cur.execute(f"SELECT 1 FROM users WHERE name = '{name}'")
    """
    assert [each.severity for each in findings(RULE, tmp_path, _files(body))] == [Severity.high]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("an f-string", "give the values beside it"),
        ("the order", "psycopg2.sql.Identifier"),
        ("a helper that names the table", "psycopg2.sql.Identifier"),
        ("SQL of an f-string", "Give `sql.SQL` a constant only"),
    ],
)
def test_the_fix_is_for_a_value_or_for_a_name(tmp_path: Path, name: str, says: str) -> None:
    (found,) = findings(RULE, tmp_path, _files(HITS[name][0]))
    assert says in found.fix


def test_the_message_shows_the_statement_and_no_value(tmp_path: Path) -> None:
    (found,) = findings(RULE, tmp_path, _files(HITS["format"][0]))
    assert found.message == "what the client sends goes into the text of `SELECT 1 FROM users WHERE name = '...'`"
    assert [each.text for each in found.evidence][:1] == ["the text begins here"]


def test_a_helper_of_another_file_is_reported_where_the_text_is_built(tmp_path: Path) -> None:
    files = {
        "db.py": "import psycopg2\n\n\ndef run(query):\n    psycopg2.connect('').cursor().execute(query)\n",
        "views.py": """
            from db import run


            def view(name):
                query = f"SELECT 1 FROM users WHERE name = '{name}'"
                run(query)
        """,
    }
    (found,) = findings(RULE, tmp_path, files)
    assert (found.place.path, found.place.line, found.place.end_line) == ("views.py", 5, 6)
    assert found.evidence[1].place.path == "db.py"


def test_each_caller_of_a_helper_is_a_finding_of_its_own(tmp_path: Path) -> None:
    body = """
        def run(query):
            cur.execute(query)


        def one(name):
            run(f"SELECT 1 FROM users WHERE name = '{name}'")


        def two(name):
            run(f"SELECT 2 FROM users WHERE name = '{name}'")
    """
    assert places(RULE, tmp_path, _files(body)) == [f"app.py:{FIRST + 5}:5", f"app.py:{FIRST + 9}:5"]


def test_its_example_is_found_and_what_stands_instead_is_not(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"one.py": RULE.example}) == ["one.py:6:5"]
    assert places(RULE, tmp_path, {"one.py": RULE.instead}) == []
