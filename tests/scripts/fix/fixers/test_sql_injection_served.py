"""Statements of before and after against PostgreSQL: the same rows for what is well-formed, no injection else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.fix.fixers.sql_injection import FIXER

from ..fixing import fixed_by

HEAD = (
    "import psycopg2\nfrom flask import Flask, request\n\napp = Flask(__name__)\n"
    "cur = psycopg2.connect('').cursor()\n\n\n"
    "@app.route('/')\ndef view():\n    text = request.args['a']\n    number = request.args.get('b')\n    "
)
CONDITIONS = (
    "a = '{text}'", "a <> '{text}'", "a LIKE '{text}%'", "a LIKE '%{text}%'", "a LIKE 'x%' OR a = '{text}'",
    "id = {number}", "id >= {number} AND price < {number}", "id = '{number}'", "id BETWEEN {number} AND {number}",
    "id IN (1, {number})", "a || 'it''s' = '{text}' || 'it''s'", "a = 'n {number} %'", "'{{}}' <> '{text}'",
    "day > date '2020-01-01' + interval '{number} days'",
)  # fmt: skip
HOSTILE = (
    "' OR '1'='1", "x'; DROP TABLE thing; --", "%s", "%(a)s", "100%", "\\", "\\'", "''", "{}", "ünï", '"', "a\nb",
)  # fmt: skip


def _formatted(body: str) -> str:
    return f'cur.execute(f"""SELECT id FROM thing WHERE {body} ORDER BY id""")'


def _percent(body: str) -> str:
    names = [each.partition("}")[0] for each in body.replace("{{}}", "").split("{")[1:]]
    text = body.replace("%", "%%").replace("{{}}", "{}").replace("{text}", "%s").replace("{number}", "%s")
    return f'cur.execute("SELECT id FROM thing WHERE {text} ORDER BY id" % ({", ".join(names)},))'


def _format(body: str) -> str:
    return f"cur.execute('''SELECT id FROM thing WHERE {body} ORDER BY id'''.format(text=text, number=number))"


def _added(body: str) -> str:
    text = body.replace("{{}}", "").replace("{text}", '" + text + "').replace("{number}", '" + str(number) + "')
    return f'cur.execute("SELECT id FROM thing WHERE {text} ORDER BY id")'


FORMS = (_formatted, _percent, _format, _added)


@lru_cache(maxsize=256)
def _after(statement: str) -> str:
    outcome = fixed_by((FIXER,), {"app.py": f"{HEAD}{statement}\n"}, "sql-injection", unsafe=True)
    assert not outcome.left, (statement, outcome.reasons)
    return outcome.files["app.py"].removeprefix(HEAD)


@pytest.fixture(scope="module")
def cursor(cluster: Any, database: str) -> Iterator[Any]:
    conn = psycopg2.connect(cluster.dsn(database, "app"))
    with conn.cursor() as cur:
        cur.execute("CREATE TEMP TABLE thing (id int, a text, price numeric, day date)")
        for number, text in enumerate(("x", "xy", "5", "n 5 %", "it's", "100%", "", *HOSTILE)):
            cur.execute("INSERT INTO thing VALUES (%s, %s, %s, '2020-01-04')", (number, text, number / 2))
        yield cur
    conn.close()


def _rows(cursor: Any, code: str, text: str, number: int | str) -> list[Any]:
    ast.parse(code)
    cursor.execute("SAVEPOINT here")
    try:
        exec(code, {"cur": cursor, "text": text, "number": number})
        return list(cursor.fetchall())
    finally:
        cursor.execute("ROLLBACK TO here")


STATEMENTS = st.tuples(st.sampled_from(FORMS), st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=2).map(
    lambda parts: " AND ".join(f"({each})" for each in parts)))  # fmt: skip
CALM = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@CALM
@given(STATEMENTS, st.sampled_from(["x", "xy", "5", "", "ü"]), st.sampled_from([0, 1, 5, -3, "5", "007"]))
def test_well_formed_values_find_the_same_rows(cursor: Any, made: Any, text: str, number: int | str) -> None:
    before = made[0](made[1])
    assert _rows(cursor, _after(before), text, number) == _rows(cursor, before, text, number)


ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@CALM
@given(STATEMENTS, st.sampled_from(HOSTILE) | ANY)
def test_hostile_texts_are_values_only(cursor: Any, made: Any, text: str) -> None:
    """Quoted by SQL's own rule, right where all strings are in plain quotes, the text asks for the same."""
    before = made[0](made[1])
    doubled = text.replace("'", "''")
    assert _rows(cursor, _after(before), text, 5) == _rows(cursor, before, doubled, 5)


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_number_is_refused_by_the_server(cursor: Any, form: Any) -> None:
    before = form("id = {number}")
    assert len(_rows(cursor, before, "", "1 OR 1=1")) > 1
    with pytest.raises(psycopg2.errors.InvalidTextRepresentation):
        _rows(cursor, _after(before), "", "1 OR 1=1")
