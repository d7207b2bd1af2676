"""What statements are, with the real grammar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.audit.model.values import Hole, Site, Text
from scripts.audit.sql.select import Column, Filter, Select
from scripts.audit.sql.shown import shown
from scripts.audit.sql.statement import Statement, statement

HOLE = Hole(Site("app.py", 1, 1), ("request",))


def _read(*pieces: str | Hole) -> Statement:
    found = statement(Text(pieces))
    assert found is not None
    return found


def _select(*pieces: str | Hole) -> Select:
    found = _read(*pieces).select
    assert found is not None
    return found


def _filters(*pieces: str | Hole) -> list[tuple[str, str, str, str]]:
    return [(each.column.table, each.column.name, each.operator, each.by) for each in _select(*pieces).filters]


@pytest.mark.parametrize("sql, kind", [
    ("SELECT 1", "select"),
    ("  -- why\n select 1", "select"),
    ("WITH a AS (SELECT 1) SELECT * FROM a", "select"),
    ("TABLE users", "select"),
    ("INSERT INTO a VALUES (%s)", "insert"),
    ("INSERT INTO a (b) VALUES %s", "insert"),
    ("UPDATE a SET b = %(b)s", "update"),
    ("DELETE FROM a WHERE id = %s", "delete"),
    ("CREATE TABLE a (id int)", "ddl"),
    ("TRUNCATE a", "ddl"),
    ("BEGIN", "begin"),
    ("COMMIT", "commit"),
    ("ROLLBACK", "rollback"),
    ("SAVEPOINT a", "savepoint"),
    ("SET search_path TO x", "set"),
    ("SET LOCAL statement_timeout = %s", "set"),
    ("LISTEN jobs", "listen"),
    ("COPY a FROM STDIN", "copy"),
    ("CALL refresh(%s)", "call"),
    ("LOCK TABLE a", "lock"),
])  # fmt: skip
def test_each_kind_is_told(sql: str, kind: str) -> None:
    assert _read(sql).kind == kind


@pytest.mark.parametrize("sql", ["", "   ", "hello world", "please select something", "%s"])
def test_what_is_no_sql_is_nothing(sql: str) -> None:
    assert statement(Text((sql,) if sql else ())) is None


def test_several_statements_are_the_last_one_with_the_others() -> None:
    found = _read("UPDATE a SET b = 1; SELECT * FROM a")
    assert found.kind == "select"
    assert [each.kind for each in found.others] == ["update"]


def test_tables_are_told_apart_from_ctes_and_aliases() -> None:
    found = _read(
        "WITH mine AS (SELECT * FROM orders) INSERT INTO log SELECT * FROM mine JOIN public.items i ON true"
    )
    assert (found.writes, set(found.reads)) == (("log",), {"orders", "items"})


def test_filters_have_their_tables_through_aliases_and_functions() -> None:
    sql = (
        "SELECT * FROM users u JOIN orders o ON o.user_id = u.id"
        " WHERE lower(u.email) = %s AND 3 < o.total AND o.kind = 'x'"
    )
    assert _filters(sql) == [
        ("users", "email", "=", "placeholder"),
        ("orders", "total", ">", "literal"),
        ("orders", "kind", "=", "literal"),
    ]
    assert _select(sql).filters[0].column.function == "lower"
    assert _select(sql).joins == [(Column("orders", "user_id"), Column("users", "id"))]


@pytest.mark.parametrize("condition, operator, by", [
    ("id = %s", "=", "placeholder"),
    ("id = '%s'", "=", "placeholder"),
    ("id = ?", "=", "placeholder"),
    ("id = :id", "=", "placeholder"),
    ("id IN %s", "in", "placeholder"),
    ("id IN (%s, %s)", "in", "placeholder"),
    ("id = ANY(%s)", "any", "placeholder"),
    ("id::text = %(id)s", "=", "placeholder"),
    ("id <> %s", "<>", "placeholder"),
    ("id NOT IN %s", "<>", "placeholder"),
    ("id LIKE '%%' || %s || '%%'", "like", "placeholder"),
    ("id ILIKE '%%%s%%'", "ilike", "placeholder"),
    ("id BETWEEN %s AND %s", "between", "placeholder"),
    ("id IS NULL", "null", "literal"),
    ("id IN (SELECT a FROM b WHERE c = %s)", "in", "select"),
    ("id = (SELECT max(id) FROM b)", "=", "select"),
    ("id > now() - INTERVAL %s", ">", "past"),
    ("id > now() - interval '%s days'", ">", "past"),
    ("id = current_date", "=", "now"),
    ("id > current_date - %s", ">", "past"),
])  # fmt: skip
def test_a_condition_says_what_a_column_is_compared_with(condition: str, operator: str, by: str) -> None:
    assert _filters(f"SELECT * FROM t WHERE {condition}") == [("t", "id", operator, by)]


def test_an_or_is_optional_and_the_on_of_an_outer_join_is_marked() -> None:
    filters = _select("SELECT * FROM a LEFT JOIN b ON b.x = %s WHERE a.y = %s OR a.z = %s").filters
    assert [(each.column.name, each.is_optional, each.is_outer) for each in filters] == [
        ("x", False, True), ("y", True, False), ("z", True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("sql", [
    "SELECT count(*) FROM a",
    "SELECT coalesce(max(x), 0) FROM a",
    "SELECT EXISTS (SELECT 1 FROM a)",
    "SELECT now()",
    "SELECT * FROM a LIMIT 1",
    "SELECT * FROM a FETCH FIRST ROW ONLY",
    "INSERT INTO a (x) VALUES (%s) RETURNING id",
])  # fmt: skip
def test_one_row_at_most_is_seen_in_the_text(sql: str) -> None:
    assert _read(sql).is_one_row


@pytest.mark.parametrize("sql", [
    "SELECT count(*) FROM a GROUP BY b",
    "SELECT count(*) OVER () FROM a",
    "SELECT * FROM a LIMIT 2",
    "SELECT (SELECT count(*) FROM b) FROM a",
    "SELECT 1 UNION SELECT 2",
    "INSERT INTO a SELECT * FROM b RETURNING id",
    "UPDATE a SET x = 1",
])  # fmt: skip
def test_more_rows_are_not_taken_for_one(sql: str) -> None:
    assert not _read(sql).is_one_row


@pytest.mark.parametrize("pieces", [
    ("SELECT * FROM a LIMIT ", HOLE),
    ("SELECT * FROM a ORDER BY ", HOLE, " DESC LIMIT %s OFFSET %s"),
    ("SELECT * FROM a WHERE x = '", HOLE, "' LIMIT 10"),
    ("SELECT ", HOLE, " FROM ", HOLE, " FETCH FIRST 10 ROWS ONLY"),
])  # fmt: skip
def test_a_limit_is_seen_beside_holes(pieces: tuple[str | Hole, ...]) -> None:
    assert _read(*pieces).has_limit and _read(*pieces).is_parsed


@pytest.mark.parametrize("pieces, is_open", [
    (("SELECT * FROM a ", HOLE), True),
    (("SELECT * FROM a WHERE x = 1 ", HOLE), True),
    (("SELECT * FROM a ", HOLE, " ORDER BY b"), False),
    (("SELECT * FROM a WHERE ", HOLE), False),
    (("SELECT * FROM a ORDER BY b ", HOLE), False),
    (("SELECT * FROM ", HOLE), False),
    (("SELECT * FROM a WHERE x = ", HOLE), False),
])  # fmt: skip
def test_a_hole_that_may_bring_a_limit_leaves_the_end_open(pieces: tuple[str | Hole, ...], is_open: bool) -> None:
    assert _read(*pieces).is_open is is_open


def test_a_hole_for_a_condition_is_an_unknown_filter() -> None:
    assert _select("SELECT * FROM a WHERE ", HOLE, " ORDER BY b").has_unknown_filter
    assert _select("SELECT * FROM a ", HOLE, " ORDER BY b").has_unknown_filter
    assert not _select("SELECT * FROM a WHERE x = ", HOLE).has_unknown_filter


def test_a_value_between_quotes_is_a_hole() -> None:
    assert _filters("SELECT * FROM a WHERE x = '", HOLE, "' AND y LIKE '%", HOLE, "%'") == [
        ("a", "x", "=", "hole"), ("a", "y", "like", "hole"),
    ]  # fmt: skip


def test_ctes_unions_and_sub_selects_are_queries_of_their_own() -> None:
    found = _select(
        "WITH x AS (SELECT * FROM a WHERE u = %s) SELECT * FROM x UNION SELECT * FROM (SELECT * FROM b LIMIT 2) y"
    )
    assert [each.tables for each in found.blocks()] == [[], [], [], ["a"], ["b"]]


def test_a_recursive_cte_ends() -> None:
    found = _select("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t")
    assert found.blocks()


def test_what_does_not_parse_is_told_by_its_words() -> None:
    found = _read("SELECT a b c FROM users WHERE 'limit' LIMIT LIMIT 3")
    assert (found.kind, found.reads, found.has_limit, found.is_parsed) == ("select", ("users",), True, False)


def test_the_words_in_strings_and_comments_say_nothing() -> None:
    found = _read("SELECT x y z FROM users WHERE a = 'limit 3' -- limit 4")
    assert not found.has_limit


def test_a_filter_keeps_its_sub_select() -> None:
    first: Filter = _select("SELECT * FROM a WHERE id IN (SELECT x FROM b WHERE y = %s)").filters[0]
    assert first.inner is not None and first.inner.tables == ["b"]


def test_deep_nesting_does_not_end_the_audit() -> None:
    assert statement(Text(("SELECT " + "(" * 5000 + "1" + ")" * 5000,))) is not None


WORDS = st.sampled_from([
    "SELECT", "*", "FROM", "users", "u", "WHERE", "id", "=", "%s", "(", ")", ",", "'", '"', "LIMIT", "1",
    "JOIN", "ON", "AND",
    "ORDER BY", "UNION", "WITH", "AS", "INSERT INTO", "VALUES", "IN", "ANY", ";", "--\n"
    "", "/*", "*/", "$$", "%(a)s", "%%", "?",
    "NOT", "EXISTS", "NULL", "IS", "\0", "é", HOLE,
])  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=25))
def test_no_text_is_too_odd(words: list[str | Hole]) -> None:
    """Whatever the code puts together, reading and showing it raises nothing."""
    pieces = tuple(f"{word} " if isinstance(word, str) else word for word in words)
    found = statement(Text(pieces))
    assert found is None or found.kind
    assert len(shown(Text(pieces), 40)) <= 40
