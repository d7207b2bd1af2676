"""The lexer: what is quoted stays as it is, what psycopg2 would choke on is doubled or refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import NodeError, one
from backend.sqltext import rendered, scan


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def sent(sql: str) -> str:
    return "".join(rendered(scan(sql)))


def of_kind(sql: str, kind: str) -> list[str]:
    return [token.text for token in scan(sql) if token.kind == kind]


@pytest.mark.parametrize(
    "literal",
    [
        "'{a}'", "'it''s {a}'", r"E'it\'s {a}'", r"e'\\'", "U&'{a}'", "B'101'", "$${a}$$", "$x$ {a} $$ $x$", "''",
        "$_1$'$_1$", "E''''",
    ],
)  # fmt: skip
def test_what_is_quoted_is_one_piece_and_has_no_holes(literal: str) -> None:
    tokens = scan(f"SELECT {literal} || {{b}}")
    assert [token.text for token in tokens if token.kind == "string"] == [literal]
    assert [token.text for token in tokens if token.kind == "hole"] == ["b"]


@pytest.mark.parametrize("name", ['"{a}"', '"a ""{b}"" c"', 'U&"d!0061t" UESCAPE \'!\''])
def test_a_quoted_name_is_no_hole_either(name: str) -> None:
    assert of_kind(f"SELECT {name}", "hole") == []
    assert of_kind(f"SELECT {name}", "name") == [name.split(" UESCAPE")[0]]


def test_a_backslash_ends_no_plain_string() -> None:
    assert of_kind(r"SELECT 'a\', {b}, 'c'", "string") == [r"'a\'", "'c'"]


@pytest.mark.parametrize(
    "sql", ["SELECT 1 -- {a} 'x\n, 2", "SELECT 1 /* {a} ' */, 2", "SELECT 1 /* a /* ' */ {b} */, 2"]
)
def test_comments_are_left_out(sql: str) -> None:
    assert sent(sql) == "SELECT 1 , 2" or sent(sql) == "SELECT 1, 2"


def test_spaces_become_one_and_those_in_literals_stay() -> None:
    assert sent("SELECT\n\t 'a  b'  ,\n  2") == "SELECT 'a  b' , 2"


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("SELECT 'a' LIKE 'a%' AS x", True),
        ("SELECT 'ab' LIKE 'a%%' AS x", True),
        ("SELECT 7 % 2 = 1 AS x", True),
        ("SELECT 7 %% 2 = 1 AS x", True),
        ("SELECT '100%' = '100' || chr(37) AS x", True),
        ("SELECT 7 % (1 + 1) AS x", 1),
        ('SELECT true AS "50%"', None),
    ],
)
def test_percent_signs_reach_the_server_as_they_are_meant(conn: Any, sql: str, asked: Any) -> None:
    got = one(sql).fetch(conn)
    assert got == ({"50%": True} if asked is None else {"x": asked})


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT %s AS x", "write %(name)s"),
        ("SELECT %(a b)s AS x", "made of letters, digits and _"),
        ("SELECT %(a-b)s AS x", "made of letters, digits and _"),
        ("SELECT %()s AS x", "made of letters, digits and _"),
        ("SELECT %(a)s AS x, $1 AS y", "$ and a number"),
        ("SELECT 7 %(x) AS x", "write %(x)s, or % and a space"),
        ("SELECT interval '%(days)s days' AS x", "stands inside quotes"),
        ("SELECT $$ %(days)s $$ AS x", "stands inside quotes"),
        ('SELECT 1 AS "%(name)s"', "stands inside quotes"),
        ("SELECT 'x", "a quote is not closed"),
        ('SELECT "x', "a quote is not closed"),
        ("SELECT 1 /* /* */", "a comment is not closed"),
        ("SELECT (1", "a parenthesis is not closed"),
        ("SELECT 1)", "')' closes nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused(sql: str, said: str) -> None:
    with pytest.raises(NodeError) as caught:
        scan(sql)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=30))
def test_any_text_in_a_literal_comes_back_as_it_is(conn: Any, text: str) -> None:
    """As postgresql.org spells literals, with every sign that means something to psycopg2 or to a template."""
    if "%(" in text:
        text = text.replace("%(", "%%(")
    literal = "'" + text.replace("'", "''") + "'"
    got = one(f"SELECT {literal} AS x, %(p)s AS p").fetch(conn, p=text)
    assert got == {"x": text.replace("%%", "%"), "p": text}


@settings(max_examples=300, deadline=None)
@given(sql=st.text("SELECT'\"$%(){}ab1 -/*\n;,", max_size=40))
def test_any_text_is_read_or_refused(sql: str) -> None:
    try:
        tokens = scan(sql)
    except NodeError:
        return
    assert not {token.kind for token in tokens} - {
        "space", "string", "name", "word", "number", "parameter", "hole", "mark",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT 'a'\n  'b' AS x", "ab"),
        ("SELECT 'a' -- and\n 'b' AS x", "ab"),
        ("SELECT 1 -- old Macs end lines so\r + 1 AS x", 2),
        ("SELECT %(v)s::text AS x", "-5"),
        ("SELECT %(v)s /* cast */ ::text AS x", "-5"),
        ("SELECT (ARRAY[1, 2, 3])[%(v)s + 6:2] AS x", [1, 2]),
        ("SELECT 1 WHERE-5 IN(%(v)s)OR%(v)s IS NULL", None),
    ],
)
def test_literals_of_two_lines_and_parameters_beside_anything(conn: Any, sql: str, wanted: Any) -> None:
    names = {"v": -5} if "%(v)s" in sql else {}
    if wanted is None:
        assert "OR %(v)s IS" in "".join(rendered(scan(sql)))
    else:
        assert one(sql).fetch(conn, **names) == {"x": wanted}


def test_a_parameter_is_never_part_of_a_word_or_a_literal() -> None:
    assert "".join(rendered(scan("a LIKE%(x)sAND E%(y)s || 'a'%(z)s'b'"))) == (
        "a LIKE %(x)s AND E %(y)s || 'a' %(z)s 'b'"
    )
