"""What may stand inside COPY (...): one SELECT, whatever is in its quotes and comments."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import StreamError, many, stream_csv, stream_ndjson
from backend.select_text import only_select

from .conftest import MakePool


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1", "select 1", "(SELECT 1) UNION (SELECT 2)", "WITH x AS (SELECT 1) TABLE x", "VALUES (1)",
        "TABLE pg_class", "/* why /* nested */ ; */ SELECT 1", "-- DELETE; (\nSELECT 1", "SELECT ';' || '(''--'",
        "SELECT E'\\';' AS e", "SELECT 1 AS \"a;\"\"(\"", "SELECT $$;($$", "SELECT $x$ $$ ; $x$", "SELECT a$1",
        "SELECT 1 -- the end; (", "SELECT 'it''s' /* ' */", "SELECT $1",
    ],
)  # fmt: skip
def test_one_select_is_left_as_it_is(sql: str) -> None:
    assert only_select(sql) == sql


@pytest.mark.parametrize("end", [";", " ;  ", ";;", "; -- done", ";\n/* ; */\n"])
def test_a_semicolon_at_the_end_goes(end: str) -> None:
    assert only_select(f"SELECT 1{end}").rstrip() == "SELECT 1"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "is empty"),
        (" -- nothing\n", "is empty"),
        ("DELETE FROM t RETURNING *", "begins with DELETE"),
        ("COPY t TO PROGRAM 'x'", "begins with COPY"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1; 'x'", "more than one statement"),
        ("SELECT 1; $$x$$", "more than one statement"),
        ("SELECT 1; /* */ DROP TABLE t --", "more than one statement"),
        ("SELECT 1) TO STDOUT; DROP TABLE t; --", "parentheses"),
        ("SELECT (1", "parentheses"),
        ("SELECT (1; SELECT 2)", "parentheses"),
        ("SELECT 'x", "a ' in the SQL of a stream is never closed"),
        ('SELECT "x', 'a " in the SQL'),
        ("SELECT 1 /* /* */", "never closed"),
    ],
)
def test_all_else_is_refused_with_the_reason(sql: str, message: str) -> None:
    with pytest.raises(StreamError, match=message) as caught:
        only_select(sql)
    assert "\n" not in str(caught.value)


SIGNS = st.text(alphabet="';\"$()-/*\n\\eE a1", max_size=30)


@settings(max_examples=300, deadline=None)
@given(text=SIGNS)
def test_what_is_accepted_stays_in_its_place(text: str) -> None:
    """A column after the closing parenthesis would be swallowed by a comment or a quote left open."""
    try:
        sql = only_select(f"SELECT {text}")
    except StreamError:
        return
    assert only_select(f"SELECT 1 FROM (\n{sql}\n) x") == f"SELECT 1 FROM (\n{sql}\n) x"
    assert only_select(f"{sql}\n;") == f"{sql}\n"


@pytest.mark.parametrize(
    ("sql", "parameters", "answer"),
    [
        ("SELECT 'a%' AS x, 5 % 3 AS y", None, "a%,2"),
        ("SELECT 'a%%' AS x, %(n)s AS y", {"n": 2}, "a%,2"),
        ("SELECT %s AS x, %s AS y", ["a%'\";--", 2], '"a%\'"";--",2'),
        (
            "SELECT %(x)s AS x, %(y)s AS y;",
            {"x": "%(y)s", "y": "); DROP TABLE t; --"},
            "%(y)s,); DROP TABLE t; --",
        ),
        ("SELECT 1 AS x, 2 AS y -- the end", None, "1,2"),
    ],
)
def test_percent_signs_quotes_and_hostile_values_arrive_as_they_are(
    make_pool: MakePool, sql: str, parameters: Any, answer: str
) -> None:
    response = stream_csv(sql, parameters, pool=make_pool())
    assert b"".join(response.response) == f"x,y\n{answer}\n".encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("SELECT %(first)s", {"last": 1}, "wants the parameter 'first'"),
        ("SELECT %s, %s", [1], "do not fit"),
        ("SELECT %s", {"a": 1}, "do not fit"),
        ("SELECT '%'", {"a": 1}, "do not fit"),
        ("SELECT %s", ["a\0"], "do not fit"),
    ],
)
def test_parameters_that_do_not_fit_are_said(make_pool: MakePool, sql: str, parameters: Any, message: str) -> None:
    pool = make_pool()
    with pytest.raises(StreamError, match=message):
        stream_csv(sql, parameters, pool=pool)
    assert pool.stats()["used"] == 0


def test_a_writing_cte_is_refused_by_the_read_only_transaction(make_pool: MakePool, dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS stream_target (n int)")
        conn.commit()
        try:
            with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
                stream_csv(
                    "WITH w AS (INSERT INTO stream_target VALUES (1) RETURNING n) SELECT n FROM w",
                    pool=make_pool(),
                )
        finally:
            cursor.execute("DROP TABLE stream_target")
            conn.commit()


def test_csv_of_nested_rows_and_two_columns_of_one_name_in_json_are_refused(make_pool: MakePool) -> None:
    with pytest.raises(StreamError, match="no place for nested rows"):
        stream_csv(many("SELECT 1 AS n"), pool=make_pool())  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="two columns are called 'a'"):
        stream_ndjson("SELECT 1 AS a, 2 AS a", pool=make_pool())
