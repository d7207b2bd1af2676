"""Column names told from tokens, against what the server calls them; and the parts of a SELECT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import NodeError, many, one
from backend.selectlist import check_statement, column_name, split
from backend.sqltext import code, scan

TABLE = "(SELECT 1 AS x, 2 AS y, 'n' AS \"A b\", ARRAY[1] AS list, now() AS at, '{\"k\": 1}'::jsonb AS doc) a"
COLUMNS = [
    "a.x", "x", 'a."A b"', "a.x AS z", "x z", 'x "Z z"', "count(*)", "count(*) n", "count(*) FILTER (WHERE x > 1)",
    "sum(x) OVER ()", "coalesce(x, 1)", "exists(SELECT 1)", "1", "'text'", "null", "x + 1", "x + 1 AS more", "-x",
    "x || 'a'", "'a' || x", "not true", "x IS NULL", "x IS NOT NULL", "x IN (1, 2)", "x BETWEEN 1 AND y",
    "x = 1 AND y = 2", "doc ->> 'k'", "doc -> 'k' AS k", "x::text", "(x + 1)::text", "x + 1::bigint",
    "at AT TIME ZONE 'UTC'", "date '2024-01-01'", "interval '1 day' * 3", "interval '1 day'", "list[1]",
    "CASE WHEN x = 1 THEN 1 END", "CASE WHEN x = 1 THEN 1 END AS c", "(SELECT 1 AS inner_one)", "(a.x)",
    "ARRAY[1, 2]", "ARRAY(SELECT 1)", "extract(epoch FROM at)", "trim(both ' ' from 'x')", "current_date",
    "x IS DISTINCT FROM y", "'x' COLLATE \"C\" IS NULL", "upper('a'), lower('A')", "true", "pg_catalog.now()",
    "nullif(x, 1) AS n", "x AS \"select\"", "row_number() OVER (ORDER BY x) AS place", "x % 2", "jsonb '{}' ? 'a'",
]  # fmt: skip


@pytest.fixture(scope="module")
def conn(cluster: Any, database: str) -> Iterator[Any]:
    with closing(psycopg2.connect(cluster.dsn(database, "app"))) as connection:
        yield connection


@pytest.mark.parametrize("column", COLUMNS)
def test_a_name_is_the_servers_or_is_not_told(conn: Any, column: str) -> None:
    sql = f"SELECT {column} FROM {TABLE}"
    with conn.cursor() as cursor:
        try:
            cursor.execute(sql + " GROUP BY a.x, a.y, a.at, a.doc, a.list" if "count" in column else sql)
        finally:
            names = [item.name for item in cursor.description or ()]
            conn.rollback()
    select = split(scan(sql))
    assert select is not None
    for item, name in zip(select.columns, names, strict=True):
        told = column_name(item)
        assert told is None or told == name or (told, name) == ("", "?column?")


def test_most_names_are_told() -> None:
    told = [column_name(split(scan(f"SELECT {column}")).columns[0]) for column in COLUMNS]  # type: ignore[union-attr]
    assert told.count(None) <= 16
    assert told.count("") >= 12


@pytest.mark.parametrize(
    ("sql", "before", "columns", "sources"),
    [
        ("SELECT a, b FROM t WHERE x", "", ["a", "b"], "t"),
        ("SELECT 1", "", ["1"], ""),
        ("WITH w AS (SELECT 1 FROM v) SELECT w.* FROM w, u ORDER BY 1", "WITHwAS(SELECT1FROMv)", ["w.*"], "w,u"),
        ("SELECT DISTINCT ON (a, (b)) c FROM t", "", ["c"], "t"),
        ("SELECT DISTINCT a FROM t LIMIT 1", "", ["a"], "t"),
        ("SELECT ALL a FROM t UNION SELECT b FROM u", "", ["a"], "t"),
        ("SELECT a IS NOT DISTINCT FROM b AS same FROM t", "", ["aISNOTDISTINCTFROMbASsame"], "t"),
        ("SELECT extract(day FROM d), (SELECT FROM x) FROM t", "", ["extract(dayFROMd)", "(SELECTFROMx)"], "t"),
        ("SELECT t.from AS x, t.limit FROM t JOIN u USING (a)", "", ["t.fromASx", "t.limit"], "tJOINuUSING(a)"),
    ],
)
def test_a_select_is_split_where_the_server_would(sql: str, before: str, columns: list[str], sources: str) -> None:
    select = split(scan(sql))
    assert select is not None
    assert "".join(token.text for token in code(select.before)) == before
    assert ["".join(token.text for token in item) for item in select.columns] == columns
    assert "".join(token.text for token in code(select.sources)) == sources


@pytest.mark.parametrize("sql", ["VALUES (1)", "TABLE t", "(SELECT 1)"])
def test_other_forms_have_no_parts(sql: str) -> None:
    assert split(scan(sql)) is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("SELECT 1", "column 1 of «SELECT 1» has no name; write AS name behind it"),
        ("SELECT a.x, a.x + 1 FROM a", "column 2 of"),
        ("SELECT a.id, b.id FROM a, b", "two columns of «SELECT a.id, b.id FROM a, b» are called 'id'"),
        ("SELECT 1 AS x, 2 AS X", "are called 'x'"),
        ("SELECT v.{kids} FROM v", "must be a column of its own"),
        ("SELECT {kids} AS other", "its name is 'kids', so no AS"),
        ("SELECT coalesce({kids}, '[]') AS x", "must be a column of its own"),
        ("SELECT 1 AS kids, {kids}", "are called 'kids'"),
        ("SELECT 1 AS x WHERE {kids} IS NULL", "must be a column of its own"),
        ("DELETE FROM t", "is one SELECT, and «DELETE FROM t» begins with 'DELETE'"),
        ("EXPLAIN SELECT 1 AS x", "begins with 'EXPLAIN'"),
        ("", "is empty"),
        (" -- nothing\n", "is empty"),
        ("WITH d AS (DELETE FROM t RETURNING id) SELECT id FROM d", "DELETE inside"),
        ("SELECT 1 AS x; SELECT 2 AS x", "more than one statement"),
        ("SELECT 1 AS x; DROP TABLE t", "more than one statement"),
    ],
)
def test_what_is_no_select_of_named_columns_is_refused_when_it_is_made(template: str, said: str) -> None:
    children = {"kids": many("SELECT 1 AS x")} if "{kids}" in template else {}
    for make in (one, many):
        with pytest.raises(NodeError) as caught:
            make(template, **children)
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT bool_or(update) AS u, count(delete) AS d FROM rights",
        "SELECT id FROM rights WHERE (update) AND (update IS NULL OR update = true) AND (delete)",
        "SELECT (insert).x, (merge + 1) AS m FROM t",
    ],
)
def test_columns_may_be_called_as_statements_are(sql: str) -> None:
    check_statement(scan(sql), sql)


@pytest.mark.parametrize(
    "write",
    ["INSERT INTO t VALUES (1)", "update ONLY t SET a = 1", 'UPDATE "t" SET a = 1', "DELETE FROM t"],
)
def test_statements_that_write_are_refused(write: str) -> None:
    sql = f"WITH w AS ({write} RETURNING 1) SELECT 1 AS x FROM w"
    with pytest.raises(NodeError, match="reads only"):
        check_statement(scan(sql), sql)
