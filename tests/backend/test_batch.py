"""Lookups of many ids: the same as a loop in Python, in one statement, whatever the rows are made of."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import IntEnum
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Identifier

from backend import BatchError, exists_by_ids, fetch_by_ids, fetch_grouped, json_by_ids, owned_by_ids
from backend.ids import LARGEST, chunks
from tests.support.threads import together

SCHEMA = """
CREATE TEMP TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TEMP TABLE vehicles (id bigint PRIMARY KEY, customer_id int, "type" text, "100%% odd""name" int);
CREATE TEMP TABLE parts (tenant int, code text, label text, owner int, PRIMARY KEY (tenant, code));
CREATE TEMP TABLE keys (
    u uuid, t text, n numeric, d date, z timestamptz, w timestamp, b bytea, c char(5), s smallint);
INSERT INTO customers SELECT n, 'name ' || n FROM generate_series(1, 50) n;
INSERT INTO vehicles SELECT n, CASE WHEN n % 5 > 0 THEN n % 5 END, 'car', n FROM generate_series(1, 40) n;
INSERT INTO parts SELECT n / 10, 'c' || n % 10, 'label ' || n, n % 2 FROM generate_series(0, 39) n;
"""


class Counting(psycopg2.extensions.cursor):
    """A cursor that counts what is sent."""

    sent: list[str] = []

    def execute(self, query: Any, vars: Any = None) -> None:
        super().execute(query, vars)
        self.sent.append(self.query.decode())


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn, cursor_factory=Counting)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA.replace("%%", "%"))
        connection.commit()
        Counting.sent = []
        yield connection


def test_rows_come_in_the_order_of_the_ids_with_duplicates_and_the_missing_ones_are_named(conn: Any) -> None:
    found = fetch_by_ids(conn, "customers", [7, 99, 3, 7, 98, 99])
    assert found == [(7, "name 7"), (3, "name 3"), (7, "name 7")]
    assert found.rows == [(7, "name 7"), None, (3, "name 3"), (7, "name 7"), None, None]
    assert found.missing == [99, 98]
    assert found.by_id == {7: (7, "name 7"), 3: (3, "name 3")}
    assert len(Counting.sent) == 1
    assert "'{7,99,3,98}'::bigint[]" in Counting.sent[0]


@pytest.mark.parametrize("ask", [
    lambda conn: fetch_by_ids(conn, "nowhere", []),
    lambda conn: fetch_grouped(conn, "nowhere", iter(()), key="x"),
    lambda conn: exists_by_ids(conn, "nowhere", []),
    lambda conn: exists_by_ids(conn, "nowhere", [], key=("a", "b")),
    lambda conn: owned_by_ids(conn, "nowhere", [], customer_id=1),
    lambda conn: json_by_ids(conn, "nowhere", []),
])  # fmt: skip
def test_no_ids_are_no_query(conn: Any, ask: Any) -> None:
    assert ask(conn) in ([], {}, b"[]")
    assert Counting.sent == []


@pytest.mark.parametrize("factory", [
    psycopg2.extras.DictCursor, psycopg2.extras.RealDictCursor, psycopg2.extras.NamedTupleCursor,
])  # fmt: skip
def test_rows_are_what_the_connection_s_cursors_make_of_them(conn: Any, factory: Any) -> None:
    conn.cursor_factory = factory
    with conn.cursor() as cursor:
        cursor.execute("SELECT name, id FROM customers WHERE id = 3")
        expected = cursor.fetchone()
    found = fetch_by_ids(conn, "SELECT name, id FROM customers WHERE id = ANY(%(ids)s)", [99, 3])
    assert found == [expected] and type(found[0]).__name__ == type(expected).__name__
    assert found.missing == [99]
    assert fetch_grouped(conn, "vehicles", [2], key="customer_id", order="id")[2][1][
        1 if factory is psycopg2.extras.NamedTupleCursor else "customer_id"
    ] == 2  # fmt: skip
    assert owned_by_ids(conn, "vehicles", [1], customer_id=1) == {1: (True, True)}
    assert json_by_ids(conn, "customers", [1]) == b'[{"id":1,"name":"name 1"}]'


def test_a_select_of_one_s_own_has_any_and_its_own_parameters(conn: Any) -> None:
    own = """SELECT id AS number, '5%%' AS share FROM vehicles
             WHERE id = ANY(%(ids)s) AND customer_id = %(customer)s"""
    found = fetch_by_ids(conn, own, [1, 2, 6], key="number", parameters={"customer": 1})
    assert (found, found.missing) == ([(1, "5%"), (6, "5%")], [2])
    cast = SQL("SELECT id FROM {} WHERE id = ANY(%(ids)s::int[])").format(Identifier("customers"))
    assert fetch_by_ids(conn, cast, [2]) == [(2,)]
    assert fetch_by_ids(conn, Identifier("pg_temp", "customers"), [2], columns=["id"]) == [(2,)]


def test_columns_are_those_asked_for_and_the_key(conn: Any) -> None:
    assert fetch_by_ids(conn, "vehicles", [5], columns=['100% odd"name']) == [(5, 5)]
    assert fetch_by_ids(conn, "vehicles", [5], key='100% odd"name', columns=["id"]) == [(5, 5)]


def test_a_hostile_name_is_a_name(conn: Any) -> None:
    hostile = 'x"; DROP TABLE customers; --%(a)s'
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        exists_by_ids(conn, "customers", [1], key=hostile)
    conn.rollback()
    with pytest.raises(psycopg2.errors.UndefinedTable):
        exists_by_ids(conn, (hostile,), [1])
    conn.rollback()
    assert exists_by_ids(conn, ("pg_temp", "customers"), [1]) == exists_by_ids(conn, "pg_temp.customers", [1])


def test_existence_and_ownership_of_many_are_one_query_each(conn: Any) -> None:
    """A query per vehicle before."""
    assert exists_by_ids(conn, "vehicles", [3, 99, 3]) == {3: True, 99: False}
    answer = owned_by_ids(conn, "vehicles", [1, 2, 5, 99, 1], customer_id=1)
    assert answer == {1: (True, True), 2: (True, False), 5: (True, False), 99: (False, False)}
    assert list(answer) == [1, 2, 5, 99] and answer[1].owned
    assert owned_by_ids(conn, "vehicles", [1], customer_id=1, type="bike") == {1: (True, False)}
    assert len(Counting.sent) == 3


@pytest.mark.parametrize("owner", [{}, {"customer_id": None}])
def test_nobody_owns_nothing(conn: Any, owner: Any) -> None:
    with pytest.raises(BatchError, match="customer_id=7"):
        owned_by_ids(conn, "vehicles", [5], **owner)


def test_a_key_with_several_rows_is_owned_when_all_are_and_is_no_single_row(conn: Any) -> None:
    assert owned_by_ids(conn, "vehicles", ["car"], key="type", customer_id=1)["car"] == (True, False)
    with pytest.raises(BatchError, match="two rows with customer_id 1; fetch_grouped"):
        fetch_by_ids(conn, "vehicles", [1], key="customer_id")


def test_children_are_grouped_in_the_statement_s_order_and_none_is_an_empty_list(conn: Any) -> None:
    own = "SELECT customer_id, id FROM vehicles WHERE customer_id = ANY(%(ids)s) AND id < 12 ORDER BY id DESC"
    assert fetch_grouped(conn, own, [4, 77, 1, 4], key="customer_id") == {
        4: [(4, 9), (4, 4)], 77: [], 1: [(1, 11), (1, 6), (1, 1)],
    }  # fmt: skip
    by_table = fetch_grouped(conn, "vehicles", [4], key="customer_id", columns=["id"], order=["id"])
    assert by_table[4][:2] == [(4, 4), (9, 4)]
    assert len(Counting.sent) == 2


def test_composite_keys_are_tuples(conn: Any) -> None:
    asked = [(1, "c3"), (9, "c9"), (0, "c1"), (1, "c3")]
    found = fetch_by_ids(conn, "parts", asked, key=("tenant", "code"), columns=["label"])
    assert found.rows == [("label 13", 1, "c3"), None, ("label 1", 0, "c1"), ("label 13", 1, "c3")]
    assert found.missing == [(9, "c9")]
    there = exists_by_ids(conn, "parts", asked, key=("tenant", "code"))
    assert there == dict.fromkeys(asked, True) | {(9, "c9"): False}
    owned = owned_by_ids(conn, "parts", asked, key=("tenant", "code"), owner=1)
    assert [owned[id] for id in asked[:3]] == [(True, True), (False, False), (True, True)]
    typed = exists_by_ids(conn, "parts", [("1", "c3")], key=("tenant", "code"), id_type=["integer", "text"])
    assert typed == {("1", "c3"): True}
    assert len(Counting.sent) == 4


def test_json_is_the_server_s_text_in_the_order_of_the_ids_with_null_for_a_missing_one(conn: Any) -> None:
    assert json_by_ids(conn, "customers", [2, 99, 1, 2], columns=["id"]) == b'[{"id":2},null,{"id":1},{"id":2}]'
    own = "SELECT c.name, %(x)s AS x FROM customers c WHERE c.id = asked.id"
    body = json_by_ids(conn, own, [3, 99], parameters={"x": "é"}, chunk=1)
    assert json.loads(body) == [{"name": "name 3", "x": "é"}, None]


U = uuid.UUID("00000000-0000-0000-0000-0000000000aB")


@pytest.mark.parametrize(("column", "value", "other", "id_type"), [
    ("u", U, uuid.UUID(int=1), None),
    ("u", str(U), "{00000000-0000-0000-0000-000000000001}", "uuid"),
    ("t", 'a"b\\c,{}\' NULL é%s', "", None),
    ("n", Decimal("1.50"), Decimal("-1E+3"), None),
    ("n", 7, 8, None),
    ("d", date(2024, 2, 29), date(1, 1, 1), None),
    ("d", "2024-02-29", "2024-03-01", "date"),
    ("z", datetime(2024, 2, 29, 12, 0, 0, 5, timezone.utc), datetime(2020, 1, 1, tzinfo=timezone.utc), None),
    ("w", datetime(2024, 2, 29, 12, 0, 0, 5), datetime(2020, 1, 1), None),
    ("b", b"\x00\xff\\\"", b"", None),
    ("c", "ab", "cd", "bpchar"),
    ("s", 5, 6, None),
    ("s", IntEnum("Kind", {"A": 5}).A, 6, None),
    ("s", "5", "6", "smallint"),
])  # fmt: skip
def test_ids_of_each_type_are_found_and_told_from_others(
    conn: Any, column: str, value: Any, other: Any, id_type: Any
) -> None:
    with conn.cursor() as cursor:
        stored = bytes(value) if column == "b" else str(value) if column == "u" else value
        cursor.execute(f"INSERT INTO keys ({column}) VALUES (%s)", (int(value) if column == "s" else stored,))
    ids = [value, other] if type(value) is type(other) else [value]
    found = fetch_by_ids(conn, "keys", ids, key=column, columns=[column], id_type=id_type)
    assert len(found) == 1 and found.missing == ids[1:] and list(found.by_id) == [value]


@pytest.mark.parametrize(("ids", "said"), [
    ([1, None], "id None at position 1 (NoneType): NULL equals nothing"),
    ([1, 2, True], "id True at position 2 (bool)"),
    ([1.0], "id 1.0 at position 0 (float): a float is not exact"),
    ([1, [2]], "id [2] at position 1 (list): an id is one value"),
    ([1, "2"], "id '2' at position 1 (str): the ids before it are int"),
    ([2**63], "id 9223372036854775808 at position 0 (int): it is beyond bigint"),
    ([0, -(2**63) - 1], "at position 1 (int): it is beyond bigint"),
    (["a\0"], "cannot hold a NUL"),
    (["a", "\ud800"], "at position 1 (str): it is not valid Unicode"),
    ([Decimal("NaN")], "it is not a number"),
    ([date(2024, 1, 1), datetime(2024, 1, 1)], "at position 1 (datetime)"),
    ([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=timezone.utc)], "with and without a time zone"),
    ([object()], "no SQL type is known for it; pass id_type"),
    ([1, 10**60], "(int): it is beyond bigint"),
    ("123", "ids must be a list of ids, not str"),
    (7, "ids must be a list of ids, not int"),
])  # fmt: skip
def test_what_is_no_id_is_named_with_its_position_and_type_before_anything_is_sent(
    conn: Any, ids: Any, said: str
) -> None:
    for ask in (fetch_by_ids, exists_by_ids, json_by_ids):
        with pytest.raises(BatchError) as caught:
            ask(conn, "customers", ids)
        assert said in str(caught.value) and "\n" not in str(caught.value)
    assert Counting.sent == []


@pytest.mark.parametrize(("arguments", "said"), [
    ({"ids": ["x"], "id_type": "uuid"}, "id 'x' at position 0 (str): it is no uuid"),
    ({"ids": [40000], "id_type": "smallint"}, "beyond smallint"),
    ({"ids": ["1_0"], "id_type": "bigint"}, "id '1_0' at position 0 (str): it is no bigint"),
    ({"ids": ["1", "\u0661"], "id_type": "int"}, "at position 1 (str): it is no int"),
    ({"ids": [1], "id_type": "int[]; DROP"}, "is not the name of a type"),
    ({"ids": [1], "chunk": 0}, "chunk=0"),
    ({"ids": [1], "key": ()}, "must be the name of a column"),
    ({"ids": [1], "key": ("a", "b")}, "id 1 at position 0 (int): the key has 2 columns"),
    ({"ids": [(1, 2)], "key": ("a", "b"), "id_type": ("text",) * 3}, "id_type has 3 types for the 2 columns"),
    ({"ids": [1], "columns": "name"}, "columns must be a list of names"),
    ({"ids": [1], "parameters": {"ids": 1}}, "parameter 'ids' is the array"),
    ({"ids": [1], "source": "SELECT * FROM customers"}, "no %(ids)s in «SELECT * FROM customers»"),
    ({"ids": [1], "source": ""}, "is not the name of a table"),
    ({"ids": [1], "source": ("a", 1)}, "is not the name of a table"),
    ({"ids": [1], "source": "a\0b"}, "is not the name of a table"),
    ({"ids": [1], "source": "SELECT 1 AS id WHERE 1 = ANY(%(ids)s)", "columns": ["id"]}, "need a table"),
    ({"ids": [1], "source": "SELECT 1 AS x WHERE 1 = ANY(%(ids)s)"}, "no column 'id' in the result (x)"),
    ({"ids": [1], "source": "SELECT 1 id, 1 id WHERE 1 = ANY(%(ids)s)"}, "more than one column 'id'"),
    ({"ids": [1], "source": "SELECT 5 AS id WHERE 1 = ANY(%(ids)s)"}, "a row has id 5 (int), which was not asked"),
    ({"ids": [1], "source": "SELECT 'a' AS id WHERE 1 = ANY(%(ids)s)"}, "a row has id 'a' (str), which was not"),
])  # fmt: skip
def test_what_cannot_be_a_lookup_is_refused(conn: Any, arguments: dict[str, Any], said: str) -> None:
    arguments = {"source": "customers", **arguments}
    with pytest.raises(BatchError) as caught:
        fetch_by_ids(conn, arguments.pop("source"), arguments.pop("ids"), **arguments)
    assert said in str(caught.value)


def test_a_million_ids_go_in_chunks_of_bounded_statements(conn: Any) -> None:
    answer = exists_by_ids(conn, "customers", range(1, 50_001))
    assert sum(answer.values()) == 50 and len(answer) == 50_000
    assert len(Counting.sent) == 5
    assert max(map(len, Counting.sent)) < LARGEST + 1000
    assert len(list(chunks([range(1_000_000)]))) == 100


def test_long_ids_make_shorter_chunks(conn: Any) -> None:
    ids = [str(n) * 300_000 for n in range(1, 10)] + ["x" * (2 * LARGEST)]
    assert not any(exists_by_ids(conn, "customers", ids, key="name").values())
    assert [len(text) for text in Counting.sent][:3] < [LARGEST + 200] * 3 and len(Counting.sent) == 4


IDS = st.lists(st.integers(-5, 60) | st.integers(-(2**63), 2**63 - 1), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=IDS, chunk=st.integers(1, 8))
def test_any_ids_equal_a_loop_in_python(conn: Any, ids: list[int], chunk: int) -> None:
    there = {n: (n, f"name {n}") for n in range(1, 51)}
    found = fetch_by_ids(conn, "customers", ids, chunk=chunk)
    assert list(found) == [there[id] for id in ids if id in there]
    assert found.rows == [there.get(id) for id in ids]
    assert found.missing == list(dict.fromkeys(id for id in ids if id not in there))
    assert exists_by_ids(conn, "customers", ids, chunk=chunk) == {id: id in there for id in ids}
    assert json.loads(json_by_ids(conn, "customers", ids, columns=["id"], chunk=chunk)) == [
        {"id": id} if id in there else None for id in ids
    ]
    groups = fetch_grouped(conn, "vehicles", ids, key="customer_id", columns=["id"], order="id", chunk=chunk)
    assert list(groups) == list(dict.fromkeys(ids))
    assert groups == {id: [(n, id) for n in range(1, 41) if n % 5 and n % 5 == id] for id in ids}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["c0", "c3", "C3", ""]) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=4)), max_size=12))  # fmt: skip
def test_any_composite_ids_equal_a_loop_in_python(conn: Any, ids: list[tuple[int, str]]) -> None:
    there = {(n // 10, f"c{n % 10}"): f"label {n}" for n in range(40)}
    found = fetch_by_ids(conn, "parts", ids, key=("tenant", "code"), columns=["label"], chunk=3)
    assert [row and row[0] for row in found.rows] == [there.get(id) for id in ids]
    assert found.missing == list(dict.fromkeys(id for id in ids if id not in there))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), max_size=8))
def test_any_text_reaches_the_server_as_it_is(conn: Any, ids: list[str]) -> None:
    own = "SELECT t AS id FROM unnest(%(ids)s) t"
    assert fetch_by_ids(conn, own, ids).rows == [(id,) for id in ids]


def test_lookups_run_in_the_caller_s_transaction_and_on_pooled_connections(make_pool: Any) -> None:
    pool = make_pool(1, 4)
    own = "SELECT n AS id FROM generate_series(1, 9) n WHERE n = ANY(%(ids)s)"

    def ask(number: int) -> Any:
        with pool.connection() as connection:
            return fetch_by_ids(connection, own, [number])

    assert together(6, ask) == [[]] + [[(n,)] for n in range(1, 6)]
