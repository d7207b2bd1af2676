"""`one` and `many`: PostgreSQL's own JSON, the same as a reference in Python, and clear errors when built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import NodeError, many, one
from tests.support.threads import together

TREE = one(
    "SELECT p.id, p.name, {children} FROM (VALUES (1, 'a'), (2, 'b')) p (id, name) WHERE p.id = %(id)s",
    children=many(
        "SELECT c.n, {twice}, {none} FROM generate_series(1, %(count)s) c (n) ORDER BY c.n DESC",
        twice=one("SELECT c.n * 2 AS value"),
        none=one("SELECT 1 AS x WHERE false"),
    ),
)


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def test_tree_of_three_levels_is_one_statement_with_lists_objects_and_nulls(conn: Any) -> None:
    assert TREE.fetch(conn, id=2, count=2) == {
        "id": 2,
        "name": "b",
        "children": [
            {"n": 2, "twice": {"value": 4}, "none": None},
            {"n": 1, "twice": {"value": 2}, "none": None},
        ],
    }


def test_no_children_is_an_empty_list_and_no_row_is_none(conn: Any) -> None:
    assert TREE.fetch(conn, id=1, count=0) == {"id": 1, "name": "a", "children": []}
    assert TREE.json(conn, id=9, count=0) is None
    assert TREE.fetch(conn, id=9, count=0) is None


def test_many_at_the_top_is_a_list_also_when_empty(conn: Any) -> None:
    numbers = many("SELECT n FROM generate_series(1, %(count)s) n ORDER BY n")
    assert numbers.json(conn, count=0) == b"[]"
    assert numbers.fetch(conn, count=2) == [{"n": 1}, {"n": 2}]


def test_json_is_the_server_s_text_and_is_never_parsed(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", lambda *_: pytest.fail("parsed"))
    assert one("SELECT 12.50::numeric AS price, 'é' AS text").json(conn) == '{"price":12.50,"text":"é"}'.encode()


@pytest.mark.parametrize(
    "factory",
    [psycopg2.extras.DictConnection, psycopg2.extras.RealDictConnection, psycopg2.extras.NamedTupleConnection],
)
def test_any_row_type_of_the_connection_will_do(dsn: str, factory: Any) -> None:
    with closing(psycopg2.connect(dsn, connection_factory=factory)) as connection:
        assert one("SELECT 1 AS x").json(connection) == b'{"x":1}'
        assert "Result" in one("SELECT 1 AS x").explain(connection)


def test_explain_shows_the_plan_with_times(conn: Any) -> None:
    assert "actual time" in TREE.explain(conn, id=1, count=3)


def test_braces_that_are_no_hole_and_doubled_percent_signs_are_left_alone(conn: Any) -> None:
    node = one("SELECT '{}'::int[] AS numbers, '100%%' AS share, '{1,2}'::int[] AS two")
    assert node.fetch(conn) == {"numbers": [], "share": "100%", "two": [1, 2]}


def test_parameters_are_values_and_never_sql(conn: Any) -> None:
    hostile = "'; DROP TABLE x; --{children}%s"
    assert one("SELECT %(text)s AS text").fetch(conn, text=hostile) == {"text": hostile}


@pytest.mark.parametrize(
    ("template", "children", "said"),
    [
        ("SELECT {a}", {}, "has no child; pass a=many(...)"),
        ("SELECT 1", {"a": one("SELECT 1 AS x")}, "child 'a' has no hole"),
        ("SELECT {a}, {a}", {"a": one("SELECT 1 AS x")}, "stands twice"),
        *((sql, {"a": one("SELECT 1 AS x")}, "must be a column of its own in a SELECT list") for sql in (
            "SELECT x.b FROM {a}",
            "SELECT b FROM t, {a}",
            "SELECT coalesce(b, {a}) AS c FROM t",
            "SELECT b FROM t ORDER BY b, {a}",
            "SELECT b FROM t WHERE b IN (1, {a})",
            "VALUES (1, {a})",
        )),
        ("SELECT {1}, a", {}, "a brace in"),
        ("SELECT {a-b}, a", {}, "a brace in"),
        ("SELECT {{a}}", {"a": one("SELECT 1 AS x")}, "a brace in"),
        (f"SELECT {{{'a' * 64}}}", {"a" * 64: one("SELECT 1 AS x")}, "longer than PostgreSQL keeps"),
        ("SELECT {a}", {"a": "SELECT 1"}, "must be made by one() or many(), not str"),
    ],
)
def test_what_does_not_fit_together_is_refused_when_it_is_built(
    template: str, children: dict[str, Any], said: str
) -> None:
    for make in (one, many):
        with pytest.raises(NodeError) as caught:
            make(template, **children)
        assert said in str(caught.value)


def test_repr_is_short() -> None:
    assert repr(TREE).startswith("<one SELECT p.id") and len(repr(TREE)) < 80


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parents=st.lists(st.tuples(st.integers(0, 5), TEXT), max_size=5), children=st.lists(st.tuples(
    st.integers(0, 5), TEXT, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=12))  # fmt: skip
def test_random_trees_equal_a_plain_python_reference(conn: Any, parents: Any, children: Any) -> None:
    node = many(
        "SELECT p.id, p.name, {kids} FROM jsonb_to_recordset(%(parents)s::jsonb) p (id int, name text, o int)"
        " ORDER BY p.o",
        kids=many(
            "SELECT c.text, c.number FROM jsonb_to_recordset(%(children)s::jsonb)"
            " c (parent int, text text, number bigint, o int) WHERE c.parent = p.id ORDER BY c.o"
        ),
    )
    got = node.fetch(
        conn,
        parents=json.dumps([{"id": i, "name": n, "o": o} for o, (i, n) in enumerate(parents)]),
        children=json.dumps(
            [{"parent": p, "text": t, "number": n, "o": o} for o, (p, t, n) in enumerate(children)]
        ),
    )
    assert got == [
        {"id": i, "name": n, "kids": [{"text": t, "number": x} for p, t, x in children if p == i]}
        for i, n in parents
    ]


def test_a_row_in_a_child_of_one_that_has_two_is_the_servers_error(conn: Any) -> None:
    node = one("SELECT {child}", child=one("SELECT n FROM generate_series(1, 2) n"))
    with pytest.raises(psycopg2.errors.CardinalityViolation):
        node.json(conn)


def test_parameters_reach_every_level_and_a_missing_one_is_named(conn: Any) -> None:
    middle = many("SELECT %(b)s AS b, {deep}", deep=one("SELECT %(a)s AS c"))
    node = one("SELECT %(a)s AS a, {child}", child=middle)
    assert node.fetch(conn, a=1, b="x") == {"a": 1, "child": [{"b": "x", "deep": {"c": 1}}]}
    for ask in (node.fetch, node.json, node.explain):
        with pytest.raises(NodeError, match="missing b; unknown d; its SQL names a, b"):
            ask(conn, a=1, d=1)


def test_a_json_type_that_the_app_registered_does_not_parse_it(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        psycopg2.extras.register_default_json(connection, loads=lambda text: pytest.fail("parsed"))
        assert one("SELECT 1 AS x").json(connection) == b'{"x":1}'


def test_one_node_serves_many_threads(make_pool: Any) -> None:
    pool = make_pool(1, 4)

    def ask(number: int) -> Any:
        with pool.connection() as connection:
            return TREE.fetch(connection, id=1 + number % 2, count=number)

    for number, answer in enumerate(together(8, ask)):
        assert (answer["id"], len(answer["children"])) == (1 + number % 2, number)


def test_children_may_have_any_name_that_is_an_identifier(conn: Any) -> None:
    node = one(
        "SELECT {conn}, {SELECT}, {template}",
        conn=one("SELECT 1 AS x"), SELECT=one("SELECT 2 AS x"), template=many("SELECT 3 AS x"),
    )  # fmt: skip
    assert node.fetch(conn) == {"conn": {"x": 1}, "SELECT": {"x": 2}, "template": [{"x": 3}]}


def test_a_column_may_have_any_name_but_the_one_of_the_row(conn: Any) -> None:
    node = one("SELECT 1 AS r, 2 AS f, 3 AS k, {rows}", rows=many("SELECT 4 AS r, 5 AS x"))
    assert node.fetch(conn) == {"r": 1, "f": 2, "k": 3, "rows": [{"r": 4, "x": 5}]}
    with pytest.raises(NodeError, match="cannot be called _row_"):
        one("SELECT 1 AS _row_")


@pytest.mark.parametrize(
    "template",
    [
        "SELECT 1 AS a, {kids}",
        "SELECT v.a IS DISTINCT FROM 2 AS x, {kids} FROM (SELECT 1 AS a) v",
        "SELECT v.order, v.limit AS from, {kids}, v.from AS f FROM (SELECT 1 AS order, 2 AS limit, 3 AS from) v",
        "SELECT extract(day FROM now()) AS day, count(*) OVER (ORDER BY 1) AS n, {kids}",
        "SELECT DISTINCT ON (v.a) {kids}, v.a FROM (SELECT 1 AS a) v ORDER BY v.a",
        "SELECT 2 AS a, ARRAY[1]::int[] AS kids UNION ALL SELECT 1, {kids}",
        "SELECT 1 AS a, (SELECT v FROM (SELECT 1 AS b, {kids}) v) AS v",
        "WITH w AS (SELECT 3 AS c, {kids}) SELECT c, kids FROM w WHERE c IN (SELECT 3)",
        "SELECT ({kids_in}) AS x",
    ],
)
def test_a_hole_may_stand_in_any_select_list(conn: Any, template: str) -> None:
    name = "kids_in" if "kids_in" in template else "kids"
    kids = many("SELECT n FROM generate_series(1, 2) n")
    if name == "kids_in":
        with pytest.raises(NodeError, match="a column of its own"):
            one(template, kids_in=kids)
    elif "UNION" in template:
        one(template, kids=kids)
    else:
        assert '"kids": [{"n": 1}, {"n": 2}]' in json.dumps(one(template, kids=kids).fetch(conn))
