"""Values in the text of statements are bound; the sources are asserted to the character."""

from __future__ import annotations

from textwrap import indent

import pytest

from scripts.fix.fixers.sql_injection import FIXER

from ..fixing import Outcome, fixed_by

HEAD = (
    "import psycopg2\nfrom flask import Flask, request\n\napp = Flask(__name__)\n"
    "conn = psycopg2.connect('')\ncur = conn.cursor()\n\n\n@app.route('/find', methods=['POST'])\ndef find():\n"
    "    name = request.form['name']\n    number = request.form.get('number')\n"
)


def _outcome(body: str, unsafe: bool = False) -> Outcome:
    return fixed_by((FIXER,), {"app.py": HEAD + indent(body, "    ") + "\n"}, "sql-injection", unsafe=unsafe)


def _made(body: str) -> str:
    text = _outcome(body).files["app.py"].removeprefix(HEAD)
    return "\n".join(line.removeprefix("    ") for line in text.rstrip("\n").split("\n"))


@pytest.mark.parametrize(
    "before, after",
    [
        ("""cur.execute(f"SELECT * FROM t WHERE id = {number}")""",
         """cur.execute("SELECT * FROM t WHERE id = %s", (number,))"""),
        ("""cur.execute(f"SELECT * FROM t WHERE a = '{name}'")""",
         """cur.execute("SELECT * FROM t WHERE a = %s", (str(name),))"""),
        ('''cur.execute(f"""SELECT * FROM t WHERE a = '{request.form['name']}'""")''',
         '''cur.execute("""SELECT * FROM t WHERE a = %s""", (request.form['name'],))'''),
        ("""cur.execute(rf"SELECT '\\d' FROM t WHERE id = {number}")""",
         """cur.execute(r"SELECT '\\d' FROM t WHERE id = %s", (number,))"""),
        ("""cur.execute(f"SELECT '{{}}' FROM t WHERE id = {number}")""",
         """cur.execute("SELECT '{}' FROM t WHERE id = %s", (number,))"""),
        ("""cur.execute(f"SELECT * FROM t WHERE a LIKE 'x%' AND id = {number}")""",
         """cur.execute("SELECT * FROM t WHERE a LIKE 'x%%' AND id = %s", (number,))"""),
        ("""cur.execute(f"SELECT * FROM t WHERE a LIKE '%{name}%'")""",
         """cur.execute("SELECT * FROM t WHERE a LIKE %s", (f"%{name}%",))"""),
        ("""cur.execute(f"SELECT now() - INTERVAL '{number} days'")""",
         """cur.execute("SELECT now() - INTERVAL %s", (f"{number} days",))"""),
        ("""cur.execute(f"SELECT * FROM t WHERE id = {number} AND a = %s", (name,))""",
         """cur.execute("SELECT * FROM t WHERE id = %s AND a = %s", (number, name))"""),
        ("""cur.execute(f"SELECT * FROM t WHERE a = %s AND b LIKE 'x%%' AND id = {number}", [name])""",
         """cur.execute("SELECT * FROM t WHERE a = %s AND b LIKE 'x%%' AND id = %s", (name, number))"""),
        ("""cur.execute(f"SELECT * FROM t LIMIT {number} OFFSET {number}")""",
         """cur.execute("SELECT * FROM t LIMIT %s OFFSET %s", (number, number))"""),
        ("""cur.execute(f"DELETE FROM a WHERE id = {number}; DELETE FROM b WHERE id = {number}")""",
         """cur.execute("DELETE FROM a WHERE id = %s; DELETE FROM b WHERE id = %s", (number, number))"""),
    ],
)  # fmt: skip
def test_an_f_string_loses_its_fields_and_its_prefix(before: str, after: str) -> None:
    assert _made(before) == after


@pytest.mark.parametrize(
    "before, after",
    [
        ("""cur.execute("SELECT * FROM t WHERE a = '%s' AND id = %s" % (name, number))""",
         """cur.execute("SELECT * FROM t WHERE a = %s AND id = %s", (str(name), number))"""),
        ("""cur.execute("SELECT * FROM t WHERE id = %d" % int(number))""",
         """cur.execute("SELECT * FROM t WHERE id = %s", (int(number),))"""),
        ("""cur.execute("SELECT * FROM t WHERE a = '%(n)s' OR b = '%(n)s'" % {'n': name})""",
         """cur.execute("SELECT * FROM t WHERE a = %s OR b = %s", (str(name), str(name)))"""),
        ("""cur.execute("SELECT * FROM t WHERE a LIKE '%%%s%%' AND b LIKE 'x%%'" % name)""",
         """cur.execute("SELECT * FROM t WHERE a LIKE %s AND b LIKE 'x%%'", (f"%{name}%",))"""),
        ("""cur.execute("SELECT * FROM t WHERE a = '{}' AND id = {}".format(name, number))""",
         """cur.execute("SELECT * FROM t WHERE a = %s AND id = %s", (str(name), number))"""),
        ("""cur.execute("SELECT * FROM t WHERE a = '{1}' AND id = {0}".format(number, name))""",
         """cur.execute("SELECT * FROM t WHERE a = %s AND id = %s", (str(name), number))"""),
        ("""cur.execute("SELECT '{{}}' FROM t WHERE a = '{n}' OR b LIKE '%{n}'".format(n=name))""",
         """cur.execute("SELECT '{}' FROM t WHERE a = %s OR b LIKE %s", (str(name), f"%{name}"))"""),
    ],
)  # fmt: skip
def test_percent_and_format_go_with_their_arguments(before: str, after: str) -> None:
    assert _made(before) == after


@pytest.mark.parametrize(
    "before, after",
    [
        ("""cur.execute("SELECT * FROM t WHERE a = '" + name + "'")""",
         """cur.execute("SELECT * FROM t WHERE a = %s", (name,))"""),
        ("""cur.execute("SELECT * FROM t WHERE a LIKE '%" + name + "%' AND b = 1")""",
         """cur.execute("SELECT * FROM t WHERE a LIKE %s AND b = 1", (f"%{name}%",))"""),
        ("""cur.execute("SELECT * FROM t WHERE id = " + str(number))""",
         """cur.execute("SELECT * FROM t WHERE id = %s", (number,))"""),
        ("""cur.execute("SELECT * FROM t WHERE id = " + number + ";")""",
         """cur.execute("SELECT * FROM t WHERE id = %s;", (number,))"""),
        ("""cur.execute("SELECT * FROM t WHERE id = " + number + ' OR b = 1')""",
         """cur.execute("SELECT * FROM t WHERE id = %s" + ' OR b = 1', (number,))"""),
        ("""cur.execute("SELECT * FROM t "\n            "WHERE id = " + number +\n            " OR b = 1")""",
         """cur.execute("SELECT * FROM t "\n            "WHERE id = %s" +\n            " OR b = 1", (number,))"""),
    ],
)  # fmt: skip
def test_parts_that_are_added_become_one_text(before: str, after: str) -> None:
    assert _made(before) == after


def test_a_text_in_triple_quotes_keeps_its_lines() -> None:
    before = 'cur.execute(f"""\n    SELECT *  -- all\n    FROM t\n    WHERE a = \'{name}\'\n""")  # here'
    after = 'cur.execute("""\n    SELECT *  -- all\n    FROM t\n    WHERE a = %s\n""", (str(name),))  # here'
    assert _made(before) == after


def test_a_text_in_a_variable_is_bound_where_it_is_executed() -> None:
    before = (
        "query = f\"SELECT * FROM t WHERE a = '{name}'\"\ncur.execute(query)\n"
        "query = 'DELETE FROM t WHERE id = ' + number\ntry:\n    cur.execute(query)\nfinally:\n    pass"
    )
    after = (
        'query = "SELECT * FROM t WHERE a = %s"\ncur.execute(query, (str(name),))\n'
        "query = 'DELETE FROM t WHERE id = %s'\ntry:\n    cur.execute(query, (number,))\nfinally:\n    pass"
    )
    assert _made(before) == after


def test_many_values_stand_on_lines_of_their_own() -> None:
    columns = ", ".join(f"'{{name}}' || {index}" for index in range(12))
    made = _made(f'cur.execute(f"SELECT {columns}")')
    assert made.endswith(
        f"|| 11\", (\n    {', '.join(['str(name)'] * 9)},\n    str(name), str(name), str(name),\n))"
    )


def test_a_joined_list_becomes_a_tuple() -> None:
    before = """ids = request.form.getlist('id')\ncur.execute(f"SELECT * FROM t WHERE id IN ({','.join(ids)})")"""
    after = """ids = request.form.getlist('id')\ncur.execute("SELECT * FROM t WHERE id IN %s", (tuple(ids),))"""
    text = _outcome(before, unsafe=True).files["app.py"].removeprefix(HEAD)
    assert "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True)) == after + "\n"


def test_escaping_by_hand_goes_with_the_quotes() -> None:
    before = """cur.execute("SELECT * FROM t WHERE a = '" + name.replace("'", "''") + "'")"""
    assert _made(before) == """cur.execute("SELECT * FROM t WHERE a = %s", (name,))"""


def test_what_the_url_converts_is_known_and_crlf_stays() -> None:
    source = (
        HEAD.replace("'/find', methods=['POST']", "'/<a>/<int:b>'").replace("find()", "find(a, b)")
        + "    cur.execute(f\"SELECT * FROM t WHERE a = '{a}' AND length(c) = {b} + 1\")\n"
    ).replace("\n", "\r\n")
    data = fixed_by((FIXER,), {"app.py": source.encode()}, "sql-injection").bytes["app.py"].decode()
    assert data.endswith('("SELECT * FROM t WHERE a = %s AND length(c) = %s + 1", (a, b))\r\n')


def test_a_constant_that_may_be_sql_is_not_bound() -> None:
    query = "f'SELECT * FROM t WHERE id = {number} AND a = {column}'"
    body = f"column = 'other' if number else 'b'\ncur.execute({query})"
    outcome = _outcome(body, unsafe=True)
    assert not outcome.changes and "may be SQL" in outcome.reasons[0]


def test_a_bare_value_of_any_caller_is_unsafe() -> None:
    source = HEAD + "\n\ndef other(key):\n    cur.execute(f'SELECT * FROM t WHERE id = {key}')\n"
    assert fixed_by((FIXER,), {"app.py": source}, "sql-injection").files["app.py"] == source
    made = fixed_by((FIXER,), {"app.py": source}, "sql-injection", unsafe=True).files["app.py"]
    assert "cur.execute('SELECT * FROM t WHERE id = %s', (key,))" in made


@pytest.mark.parametrize(
    "body, reason",
    [
        ("cur.execute(f'SELECT * FROM {name}')", "cannot be bound"),
        ("cur.execute(f'SELECT * FROM t_{name}')", "part of a name"),
        ("cur.execute(f'SELECT * FROM t WHERE {name} = 1')", "its type matters"),
        ("cur.execute(f'SELECT * FROM t ORDER BY {name}')", "its type matters"),
        ("cur.execute(f'SELECT * FROM t ORDER BY a {name}')", "its type matters"),
        ("cur.execute(f'SELECT * FROM t WHERE id = 1 {name}')", "cannot be bound"),
        ("cur.execute(f'SELECT \"{name}\" FROM t')", "quoted name"),
        ("cur.execute(f'SELECT 1 -- {name}')", "comment"),
        ("cur.execute(f'SELECT $$ {name} $$')", "$$"),
        ("""cur.execute(f"SELECT E'{name}'")""", "prefix"),
        ("cur.execute(f'SELECT * FROM t WHERE id IN ({name})')", "list joined"),
        ("cur.execute(f'SELECT * FROM t WHERE a = {name} + 1')", "its type matters"),
        ("cur.execute(f'SELECT lower({name})')", "its type matters"),
        ("cur.execute(f'INSERT INTO t VALUES ({name})')", "its type matters"),
        ("""cur.execute(f"SELECT * FROM t WHERE a = '{name!r}'")""", "format"),
        ("""cur.execute(f"SELECT * FROM t WHERE a = '{name:>5}'")""", "format"),
        ("""cur.execute("SELECT * FROM t WHERE a = '%5s'" % name)""", "format"),
        ("""cur.execute("SELECT * FROM t WHERE a = '%s'" % tuple(name))""", "not written out"),
        ("""str = 'x'\ncur.execute(f"SELECT * FROM t WHERE a = '{name}'")""", "Python's own"),
        ("from psycopg2 import sql\ncur.execute(sql.SQL(f'SELECT {name}'))", "goes into sql.SQL"),
        ("""pair = (name,)\ncur.execute("SELECT * FROM t WHERE a = '%s'" % pair)""", "not written out"),
        ("""cur.execute("SELECT * FROM t WHERE a = '{0.x}'".format(name))""", "format"),
        ("""cur.execute("SELECT * FROM t WHERE a = '{}'".format(*name))""", "not written out"),
        ("""cur.execute("SELECT * FROM t WHERE a = '{n}{n}'".format(n=name.pop()))""", "number of times"),
        ("""q = f"SELECT * FROM t WHERE a = '{name}'"\nprint(q)\ncur.execute(q)""", "used elsewhere"),
        ("""q = 'SELECT * FROM t'\nq += f" WHERE a = '{name}'"\ncur.execute(q)""", "several steps"),
        ("""q = f"SELECT * FROM t WHERE a = '{name}'"\nname = 'x'\ncur.execute(q)""", "another value"),
        ("""q = f"SELECT * FROM t WHERE a = '{name.pop()}'"\ncur.execute(q)""", "called later"),
        ("""q = 'SELECT 1'\nif name:\n    q = f"SELECT '{name}'"\ncur.execute(q)""", "another branch"),
        ("""safe = name.replace("'", "''")\ncur.execute(f"SELECT * FROM t WHERE a = '{safe}'")""", "by hand"),
        ("""row = cur.fetchone()\ncur.execute("SELECT * FROM t WHERE a = '%s'" % row)""", "not written out"),
        ("""for row in name:\n    cur.execute("SELECT * FROM t WHERE a = '%s'" % row)""", "not written out"),
        ("""cur.execute("SELECT * FROM t WHERE a = '%s'" % name[0])""", "not written out"),
        ("""cur.execute(f"SELECT * FROM t WHERE a = {repr(name)}")""", "quotes or SQL of its own"),
        ("""q = "'" + name + "'"\ncur.execute(f"SELECT * FROM t WHERE a = {q}")""", "quotes or SQL of its own"),
        ("""q = name if name else "NULL"\ncur.execute(f"SELECT * FROM t WHERE a = {q}")""", "SQL of its own"),
        ("""cur.execute(f"SELECT * FROM t WHERE a = {name or 'NULL'}")""", "SQL of its own"),
        ("""cur.execute(f"SELECT * FROM t WHERE id IN ({name})")""", "list joined by commas"),
        ("""q = f"SELECT * FROM t WHERE a = '{name}'"\nname.append(2)\ncur.execute(q)""", "another value"),
        ("""x = name.replace("'", "''")\ny = x.strip()\ncur.execute(f"SELECT '{y}'")""", "by hand"),
        ("""cur.execute(f"SELECT * FROM t WHERE id = {number}", number)""", "not written out"),
        ("""cur.execute(f"SELECT * FROM t WHERE b = %(b)s AND id = {number}", {'b': 1})""", "not written out"),
        ("""cur.executemany(f"INSERT INTO t VALUES (%s, '{name}')", [(1,)])""", "not a plain `execute`"),
        ("cur.execute('SELECT * FROM t WHERE a = ' + name + number)", "side by side"),
        ("cur.execute('SELECT * FROM t WHERE a = ' +  # here\n    name)", "a comment"),
    ],
)  # fmt: skip
def test_what_is_left_alone_says_why(body: str, reason: str) -> None:
    outcome = _outcome(body, unsafe=True)
    assert outcome.files["app.py"] == HEAD + indent(body, "    ") + "\n"
    assert any(reason in each for each in outcome.reasons), outcome.reasons


@pytest.mark.parametrize(
    "body",
    [
        'cur.execute("SELECT * FROM t WHERE a = %s", (name,))',
        'cur.execute(f"SELECT 1")',
        "cur.execute('SELECT * FROM t WHERE a = %(name)s', {'name': name})",
    ],
)
def test_what_is_bound_already_is_no_finding(body: str) -> None:
    outcome = _outcome(body)
    assert not outcome.changes and not outcome.left


def test_a_helpers_caller_gets_a_suggestion() -> None:
    body = """run(f"SELECT * FROM t WHERE a = '{name}'")"""
    source = HEAD + indent(body, "    ") + "\n\n\ndef run(sql):\n    cur.execute(sql)\n"
    outcome = fixed_by((FIXER,), {"app.py": source}, "sql-injection", unsafe=True)
    assert outcome.files["app.py"] == source and "values" in outcome.left[0].suggestion


def test_a_cursor_of_unknown_making_is_left_where_another_driver_is_imported() -> None:
    body = "cur.execute(f\"SELECT * FROM t WHERE a = '{name}'\")"
    source = f"import psycopg2\nDRIVER\n\n\ndef find(cur, name):\n    {body}\n"
    plain = source.replace("DRIVER\n", "")
    both = source.replace("DRIVER", "import sqlite3")
    assert fixed_by((FIXER,), {"app.py": plain}, "sql-injection").changes
    assert not fixed_by((FIXER,), {"app.py": both}, "sql-injection", unsafe=True).changes


def test_another_driver_is_left_alone() -> None:
    source = HEAD.replace("psycopg2", "sqlite3") + """    cur.execute(f"SELECT * FROM t WHERE a = '{name}'")\n"""
    assert fixed_by((FIXER,), {"app.py": source}, "sql-injection", unsafe=True).files["app.py"] == source


@pytest.mark.parametrize("where", ["id < {}", "id >= {}"])
def test_a_bare_string_that_is_ordered_or_stored_is_unsafe(where: str) -> None:
    """'9.99' is no integer, and '007' is not 7: what was a number in the text may be another value as a string."""
    source = (
        "import psycopg2\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.route('/<value>')\n"
        "def find(value):\n    cur = psycopg2.connect('').cursor()\n"
        f"    cur.execute(f\"SELECT * FROM t WHERE {where.format('{value}')}\")\n"
    )
    assert not fixed_by((FIXER,), {"app.py": source}, "sql-injection").changes
    assert fixed_by((FIXER,), {"app.py": source}, "sql-injection", unsafe=True).changes
    equal = source.replace(where.format("{value}"), "id = {value}")
    assert fixed_by((FIXER,), {"app.py": equal}, "sql-injection").changes
