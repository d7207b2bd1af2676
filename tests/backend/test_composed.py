"""psycopg2.sql objects become text without a connection, and a name never becomes code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from backend import NodeError, many, one
from backend.composed import quoted, text_of


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        yield connection


NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=15)


@given(name=NAMES | st.sampled_from(['a"b', "50%", "%(x)s", "{kids}", "--", "a;b", "'", "%%"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_one_identifier_as_psycopg2_itself_quotes_it(conn: Any, name: str) -> None:
    assert quoted(name) == sql.Identifier(name).as_string(conn)
    node = one(
        sql.SQL("SELECT {column}, {{kids}} FROM (SELECT 1 AS {column}) t").format(column=sql.Identifier(name)),
        kids=many("SELECT 1 AS x"),
    )
    assert node.fetch(conn) == {name: 1, "kids": [{"x": 1}]}


def test_dynamic_order_with_children_and_parameters(conn: Any) -> None:
    template = sql.SQL("SELECT t.n, {{kids}} FROM generate_series(1, {most}) t (n) ORDER BY {column} DESC").format(
        most=sql.Placeholder("most"), column=sql.Identifier("t", "n")
    )
    node = many(template, kids=many("SELECT t.n AS again"))
    assert [row["n"] for row in node.fetch(conn, most=3)] == [3, 2, 1]


@pytest.mark.parametrize(
    "template", [sql.Literal("x"), sql.SQL("SELECT {} AS x").format(sql.Literal(1)), sql.Placeholder()]
)
def test_values_are_refused(template: sql.Composable) -> None:
    with pytest.raises(NodeError, match="values go by parameters"):
        text_of(template)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_can_be_no_name_is_refused(name: str) -> None:
    with pytest.raises(NodeError, match="cannot be an identifier"):
        quoted(name)


@pytest.mark.parametrize("template", [None, 7, b"SELECT 1 AS x"])
def test_what_is_no_text_is_refused(template: Any) -> None:
    with pytest.raises(NodeError, match=r"a template is text or a psycopg2.sql object"):
        one(template)
