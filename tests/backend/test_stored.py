"""A node as a function: the same answers, found or missing, behind any pooler; and DDL that nothing can end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import NodeError, many, one
from backend.stored import Stored, stored
from scripts.stack.bouncer import Bouncer
from tests.support.sql import query, run

NODE = one(
    "SELECT %(id)s AS id, %(word)s || ' 50%' AS word, {rows}",
    rows=many("SELECT n, 'it''s $body$' AS text FROM generate_series(1, %(id)s) n WHERE n % 2 = 1 ORDER BY n"),
)
TYPES = {"id": "integer", "word": "text"}
WANTED = {"id": 3, "word": "a 50%", "rows": [{"n": 1, "text": "it's $body$"}, {"n": 3, "text": "it's $body$"}]}


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture
def made(conn: Any) -> Iterator[Stored]:
    function = stored(NODE, "tests_document", **TYPES)
    run(conn, function.up)
    yield function
    run(conn, function.down)


def calls(conn: Any, sent: list[str], made: Stored, **parameters: Any) -> Any:
    """Fetch, and note what was sent."""

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, sql: Any, vars: Any = None) -> None:
            sent.append(sql)
            super().execute(sql, vars)

    conn.cursor_factory = Cursor
    try:
        return made.fetch(conn, **parameters)
    finally:
        conn.cursor_factory = None


def test_the_function_answers_as_the_node(conn: Any, made: Stored) -> None:
    sent: list[str] = []
    for _ in range(3):
        assert calls(conn, sent, made, id=3, word="a") == WANTED == NODE.fetch(conn, id=3, word="a")
    assert all(sql.startswith(f'SELECT "{made.name}"(') for sql in sent)


def test_no_row_is_none_and_a_list_is_a_list(conn: Any) -> None:
    nothing = stored(one("SELECT 1 AS x WHERE %(n)s > 1"), "tests_nothing", n="int")
    rows = stored(many("SELECT x FROM generate_series(1, %(n)s) x"), "tests_rows", n="int")
    for each in (nothing, rows):
        run(conn, each.up)
    try:
        assert nothing.json(conn, n=1) is None
        assert (rows.json(conn, n=0), rows.fetch(conn, n=1)) == (b"[]", [{"x": 1}])
    finally:
        for each in (nothing, rows):
            run(conn, each.down)


def test_up_can_be_run_again_and_down_leaves_nothing(conn: Any) -> None:
    made = stored(NODE, "tests_twice", **TYPES)
    for ddl in (made.up, made.up):
        run(conn, ddl)
    assert query(conn, f"SELECT count(*) FROM pg_proc WHERE proname = '{made.name}'") == 1
    for ddl in (made.down, made.down):
        run(conn, ddl)
    assert query(conn, f"SELECT count(*) FROM pg_proc WHERE proname = '{made.name}'") == 0


@pytest.mark.parametrize("autocommit", [True, False])
def test_where_it_is_missing_the_statement_is_sent_and_the_log_told_once(
    conn: Any, caplog: pytest.LogCaptureFixture, autocommit: bool
) -> None:
    conn.autocommit = autocommit
    made = stored(NODE, "tests_missing", **TYPES)
    sent: list[str] = []
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert calls(conn, sent, made, id=3, word="a") == WANTED
            conn.rollback()
    assert len(sent) == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"{made.name} is sent as a statement, its plan is not kept "
        f"(function {made.name}(integer, text) does not exist); run its `up`"
    ]


def test_in_an_open_transaction_a_function_not_yet_found_is_not_tried(conn: Any) -> None:
    made = stored(NODE, "tests_missing", **TYPES)
    conn.autocommit = False
    run(conn, "SELECT 1")
    assert made.fetch(conn, id=3, word="a") == WANTED
    assert query(conn, "SELECT 2") == 2


def test_one_that_was_made_meanwhile_is_found_after_a_while(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stored(NODE, "tests_later", **TYPES)
    assert made.fetch(conn, id=3, word="a") == WANTED
    run(conn, made.up)
    try:
        sent: list[str] = []
        calls(conn, sent, made, id=3, word="a")
        assert not sent[0].startswith('SELECT "tests_later')
        monkeypatch.setattr(made, "_missing_until", 0.0)
        assert calls(conn, sent, made, id=3, word="a") == WANTED
        assert sent[-1].startswith('SELECT "tests_later')
    finally:
        run(conn, made.down)


def test_another_statement_or_other_types_are_another_function() -> None:
    names = {
        stored(NODE, "doc", **TYPES).name,
        stored(NODE, "doc", **{**TYPES, "id": "bigint"}).name,
        stored(one("SELECT %(id)s AS id, %(word)s AS word"), "doc", **TYPES).name,
    }
    assert len(names) == 3
    assert stored(NODE, "doc", **TYPES).name == stored(NODE, "doc", word="text", id="integer").name


@pytest.mark.usefixtures("conn")
def test_plans_are_kept_behind_transaction_pooling(bouncer: Bouncer, made: Stored, make_pool: Any) -> None:
    pool = make_pool(1, 2, connect={"dsn": bouncer.url("app", "app")}, reset="pgbouncer")
    for _ in range(3):
        with pool.connection() as leased:
            assert made.fetch(leased, id=3, word="a") == WANTED
    assert made._is_found


def test_a_schema_can_be_named(conn: Any) -> None:
    made = stored(one("SELECT 1 AS x"), "pg_temp.tests_doc")
    run(conn, made.up)
    assert made.fetch(conn) == {"x": 1}
    assert made._is_found


@pytest.mark.parametrize(
    ("name", "types", "said"),
    [
        ("doc", {}, 'needs the type of each of its parameters: id="bigint", word="bigint"'),
        ("doc", {"id": "int"}, "needs the type of each"),
        ("doc", {**TYPES, "more": "int"}, "needs the type of each"),
        ("doc", {"id": "int) RETURNS int --", "word": "text"}, "is not the name of a type"),
        ("doc", {"id": "int; DROP TABLE x", "word": "text"}, "is not the name of a type"),
        ("doc", {"id": "", "word": "text"}, "is not the name of a type"),
        ("doc", {"id": 7, "word": "text"}, "is not the name of a type"),
        ('doc"; DROP', TYPES, "cannot name a function"),
        ("a.b.c", TYPES, "cannot name a function"),
        ("", TYPES, "cannot name a function"),
        ("d" * 51, TYPES, "too long for a function"),
    ],
)
def test_what_cannot_be_declared_is_refused(name: str, types: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError) as caught:
        stored(NODE, name, **types)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["bigint", "text[]", "numeric(10,2)", "numeric(10, 2)[]", "double precision",
             "timestamp with time zone", "pg_catalog.int4", '"char"', "varchar(20)", "time(3) with time zone"],
)  # fmt: skip
def test_types_of_every_spelling(conn: Any, kind: str) -> None:
    made = stored(one("SELECT (%(x)s IS NULL) AS x"), "tests_types", x=kind)
    run(conn, made.up)
    try:
        assert made.fetch(conn, x=None) == {"x": True}
        assert made._is_found
    finally:
        run(conn, made.down)


def test_parameters_are_checked_as_the_nodes(conn: Any, made: Stored) -> None:
    with pytest.raises(NodeError, match="missing word"):
        made.json(conn, id=1)


def test_a_column_may_be_called_as_the_variable_that_functions_have(conn: Any) -> None:
    run(conn, "CREATE TEMP TABLE things_lost (found boolean)")
    run(conn, "INSERT INTO things_lost VALUES (true)")
    found = stored(many("SELECT found FROM things_lost"), "things_found")
    run(conn, found.up)
    try:
        assert found.fetch(conn) == [{"found": True}]
    finally:
        run(conn, found.down)


def test_where_its_schema_is_missing_the_statement_is_sent(conn: Any) -> None:
    assert stored(one("SELECT 1 AS x"), "no_such_schema.f").fetch(conn) == {"x": 1}


@pytest.mark.parametrize("literal", ["'today'", "E'Tomorrow'", "'now'", "'yesterday 12:00'", "$$now$$"])
def test_a_moment_that_its_session_would_keep_is_refused(literal: str) -> None:
    with pytest.raises(NodeError, match="current_date"):
        stored(one(f"SELECT timestamptz {literal} AS x"), "f")
    stored(one("SELECT 'known' AS x, 'nowhere' AS y, now() AS now"), "f")
