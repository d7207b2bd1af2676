"""H203."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from scripts.audit.finding import Confidence, Severity
from scripts.audit.rules.unbounded_select import RULE

from ..looking import findings, places

HEAD = """\
import psycopg2
from flask import Flask, g, jsonify, request
app = Flask(__name__)
def db():
    g.db = psycopg2.connect("dbname=x")
    return g.db
"""
ROUTE = '@app.route("/")\ndef page():\n    cur = db().cursor()\n'  # lines 7 to 9


def _places(folder: Path, code: str) -> list[str]:
    return places(RULE, folder, {"app.py": HEAD + dedent(code).lstrip("\n")})


def _in_route(folder: Path, code: str) -> list[str]:
    return places(RULE, folder, {"app.py": HEAD + ROUTE + indent(dedent(code).lstrip("\n"), "    ")})


@pytest.mark.parametrize("sql", [
    "SELECT * FROM users",
    "SELECT DISTINCT city FROM users ORDER BY 1",
    "SELECT * FROM users WHERE name ILIKE %s OR mail LIKE %s",
    "SELECT * FROM parts WHERE price <= %s",
    "SELECT * FROM orders WHERE state <> %s",
    "SELECT * FROM results WHERE year = 2026",
    "SELECT * FROM users WHERE active",
    "SELECT * FROM events WHERE at > now() ORDER BY at",
    "SELECT city, count(*) FROM users GROUP BY city",
    "SELECT * FROM users u JOIN orders o ON o.user_id = u.id",
    "SELECT * FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.id = %s",
    "SELECT id FROM users WHERE id = %s UNION SELECT id FROM old_users",
    "WITH x AS (SELECT * FROM users) SELECT * FROM x",
    "WITH x AS (SELECT * FROM a UNION SELECT * FROM b) SELECT * FROM x WHERE price < %s",
    "SELECT u.*, (SELECT count(*) FROM orders o WHERE o.user_id = u.id LIMIT 1) FROM users u",
    "SELECT * FROM rounds WHERE number = (SELECT max(number) FROM rounds)",
    "SELECT * FROM users WHERE city = %s OR name ILIKE %s",
    "SELECT * FROM users WHERE kind IN ('a', 'b')",
    "UPDATE hits SET n = n + 1; SELECT * FROM users",
    "SELECT * FROM users LIMIT ALL",
    "SELECT * FROM users WHERE similarity(name, %s) > 0.3",
    "SELECT * FROM users OFFSET 10",
])  # fmt: skip
def test_a_list_without_a_limit_is_found_at_its_execute(tmp_path: Path, sql: str) -> None:
    code = f'cur.execute("{sql}", (1,))\nreturn jsonify(cur.fetchall())\n'
    assert _in_route(tmp_path, code) == ["app.py:10:5"]


@pytest.mark.parametrize("sql", [
    "SELECT * FROM users LIMIT 50",
    "SELECT * FROM users ORDER BY id LIMIT %s OFFSET %s",
    "SELECT * FROM users FETCH FIRST 10 ROWS ONLY",
    "SELECT * FROM orders WHERE user_id = %s",
    "SELECT * FROM orders WHERE user_id = '%s'",
    "SELECT * FROM users WHERE name = %s OR mail = %s",
    "SELECT * FROM users WHERE id IN %s",
    "SELECT * FROM users WHERE id = ANY(%s)",
    "SELECT * FROM users WHERE id = 1",
    "SELECT count(*) FROM users",
    "SELECT EXISTS (SELECT 1 FROM users)",
    "SELECT now()",
    "SELECT * FROM events WHERE at >= %s AND at < %s",
    "SELECT * FROM events WHERE at BETWEEN %s AND %s",
    "SELECT * FROM orders o JOIN users u ON u.id = o.user_id AND u.name = %s",
    "SELECT * FROM orders WHERE user_id IN (SELECT id FROM users WHERE team_id = %s)",
    "SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = o.user_id AND u.team_id = %s)",
    "WITH x AS (SELECT * FROM orders WHERE user_id = %s) SELECT * FROM x",
    "WITH x AS (SELECT * FROM a UNION SELECT * FROM b) SELECT * FROM x WHERE room_id = %s AND at < %s",
    "SELECT * FROM (SELECT * FROM a UNION SELECT * FROM b) x WHERE x.at BETWEEN '2021-12-01' AND '2021-12-02'",
    "SELECT * FROM (SELECT * FROM users LIMIT 5) x",
    "SELECT id FROM a WHERE u = %s UNION SELECT id FROM b WHERE u = %s",
    "SELECT * FROM generate_series(1, %s)",
    "SELECT table_name FROM information_schema.tables",
    "SELECT * FROM users WHERE md5(mail) = %s",
    "SELECT * FROM users WHERE (a, b) = (%s, %s)",
    "SELECT * FROM events WHERE date(at) = current_date",
    "SELECT * FROM events WHERE at > now() - interval '1 day'",
    "SELECT * FROM events WHERE id = (SELECT max(id) FROM events)",
    "INSERT INTO log SELECT * FROM users",
    "DELETE FROM users",
])  # fmt: skip
def test_what_is_bounded_is_left_alone(tmp_path: Path, sql: str) -> None:
    assert _in_route(tmp_path, f'cur.execute("{sql}", (1,))\nreturn jsonify(cur.fetchall())\n') == []


@pytest.mark.parametrize("code", [
    'sql = "SELECT * FROM users WHERE 1=1"\nif request.args.get("q"):\n    sql += " AND name ILIKE %s"\n'
    'cur.execute(sql)\n'
    "return jsonify(cur.fetchall())\n",
    'cur.execute(f"SELECT * FROM users ORDER BY {request.args[\'by\']} {request.args[\'way\']}")\n'
    'return jsonify(cur.fetchall())\n',
    'cur.execute("SELECT * FROM {}".format(request.args["table"]))\nreturn jsonify(cur.fetchall())\n',
    'where = " AND ".join(request.args)\ncur.execute(f"SELECT * FROM users WHERE {where} ORDER BY id")\n'
    "return jsonify(cur.fetchall())\n",
    'cur.execute("SELECT * FROM users")\nreturn jsonify([row for row in cur])\n',
    'cur.execute("SELECT * FROM users")\nwhile row := cur.fetchone():\n    print(row)\nreturn ""\n',
    'cur.execute("SELECT 1 FROM users WHERE id = %s", (1,))\ncur.fetchone()\ncur.execute("SELECT * FROM users")\n'
    "return jsonify(cur.fetchall())\n",
])  # fmt: skip
def test_sql_that_is_put_together_is_found(tmp_path: Path, code: str) -> None:
    assert len(_in_route(tmp_path, code)) == 1


@pytest.mark.parametrize("code", [
    'sql = "SELECT * FROM users"\nif request.args.get("n"):\n    sql += " LIMIT %s"\ncur.execute(sql)\n'
    'return jsonify(cur.fetchall())\n',
    'cur.execute("SELECT * FROM users LIMIT {}".format(request.args["n"]))\nreturn jsonify(cur.fetchall())\n',
    'cur.execute("SELECT * FROM users " + request.args["rest"])\nreturn jsonify(cur.fetchall())\n',
    'cur.execute(f"SELECT * FROM users WHERE name = \'{request.args[\'n\']}\'")\nreturn jsonify(cur.fetchall())\n',
    'cur.execute("SELECT * FROM users")\nreturn jsonify(cur.fetchone())\n',
    'cur.execute(request.args["sql"])\nreturn jsonify(cur.fetchall())\n',
])  # fmt: skip
def test_a_limit_that_may_be_there_and_one_row_are_left_alone(tmp_path: Path, code: str) -> None:
    assert _in_route(tmp_path, code) == []


def test_a_helper_is_reported_at_the_calls_that_bring_the_statement(tmp_path: Path) -> None:
    code = """
        def query(sql, args=(), one=False):
            cur = db().cursor()
            cur.execute(sql, args)
            rows = cur.fetchall()
            return rows[0] if one else rows
        def run(sql):
            return query(sql)
        ALL = "SELECT * FROM orders"
        @app.route("/users")
        def users():
            return jsonify(query("SELECT * FROM users"))
        @app.route("/one")
        def one():
            return jsonify(query("SELECT * FROM users WHERE id = %s", (1,), one=True))
        @app.route("/orders")
        def orders():
            return jsonify(run(ALL))
        """
    assert _places(tmp_path, code) == ["app.py:17:20", "app.py:23:20"]


def test_the_caller_of_a_helper_that_only_executes_says_how_many_rows_it_takes(tmp_path: Path) -> None:
    code = """
        class Database:
            def __init__(self):
                self.cur = psycopg2.connect("dbname=x").cursor()
            def execute(self, sql):
                self.cur.execute(sql)
            def fetchone(self):
                return self.cur.fetchone()
            def fetchall(self):
                return self.cur.fetchall()
        base = Database()
        @app.route("/one")
        def one():
            base.execute("SELECT * FROM users ORDER BY id DESC")
            return jsonify(base.fetchone())
        @app.route("/all")
        def every():
            base.execute("SELECT * FROM users ORDER BY id")
            return jsonify(base.fetchall())
        """
    assert _places(tmp_path, code) == ["app.py:23:5"]


@pytest.mark.parametrize("composition, count", [
    ('sql.SQL("SELECT * FROM users")', 1),
    ('sql.SQL("SELECT {} FROM {}").format(sql.Identifier("a"), sql.Identifier(table))', 1),
    ('sql.SQL("SELECT * FROM users WHERE ") + sql.SQL(" AND ").join([]) + sql.SQL(" ORDER BY id")', 1),
    ('sql.SQL("SELECT * FROM {t} LIMIT 10").format(t=sql.Identifier(table))', 0),
    ('sql.SQL("SELECT * FROM {} WHERE id = {}").format(sql.Identifier(table), sql.Placeholder())', 0),
    ('sql.SQL("SELECT * FROM users WHERE {c} = {v}").format(c=sql.Identifier(table), v=sql.Literal(1))', 0),
    ('sql.SQL("SELECT * FROM users WHERE {c} > {v}").format(c=sql.Identifier(table), v=sql.Literal(1))', 1),
    ('sql.SQL("SELECT * FROM users ") + sql.SQL(" ").join([table])', 0),
])  # fmt: skip
def test_a_composition_is_read_as_the_statement_it_makes(tmp_path: Path, composition: str, count: int) -> None:
    code = f"""
        from psycopg2 import sql
        @app.route("/<table>")
        def page(table):
            cur = db().cursor()
            cur.execute({composition})
            return jsonify(cur.fetchall())
        """
    assert len(_places(tmp_path, code)) == count


def test_an_attribute_of_a_class_and_another_file_are_found(tmp_path: Path) -> None:
    files = {
        "app.py": "from flask import Flask\nfrom users import Users\napp = Flask(__name__)\n@app.get('/')\n"
        "def page():\n"
        "    return str(Users().all())\n",
        "users.py": "import psycopg2\nclass Users:\n    ALL = 'SELECT * FROM users'\n    def all(self):\n"
        "        with psycopg2.connect('') as conn, conn.cursor() as cur:\n            cur.execute(self.ALL)\n"
        "            return cur.fetchall()\n",
    }
    found = findings(RULE, tmp_path, files)
    assert [(each.place.path, each.place.line, each.routes) for each in found] == [("users.py", 6, ("GET /",))]


def test_a_script_is_left_alone(tmp_path: Path) -> None:
    code = """
        def report():
            cur = db().cursor()
            cur.execute("SELECT * FROM users")
            print(cur.fetchall())
        if __name__ == "__main__":
            report()
        """
    assert _places(tmp_path, code) == []


def test_a_function_of_the_app_that_nobody_calls_is_low(tmp_path: Path) -> None:
    spare = '    cur = db().cursor()\n    cur.execute("SELECT * FROM users")\n    return cur.fetchall()\n'
    code = f'{HEAD}{ROUTE}    return ""\ndef spare():\n{spare}'
    assert [each.severity for each in findings(RULE, tmp_path, {"app.py": code})] == [Severity.low]


def test_the_message_names_tables_and_no_string(tmp_path: Path) -> None:
    code = (
        HEAD
        + ROUTE
        + "    cur.execute(\"SELECT * FROM users WHERE role = 's3cret'\")\n    return jsonify(cur.fetchall())\n"
    )
    (found,) = findings(RULE, tmp_path, {"app.py": code})
    assert "users" in found.message and "s3cret" not in found.message
    assert (found.confidence, found.routes) == (Confidence.medium, ("GET /",))
