"""Batched writes: the same rows as one by one, in order, in the caller's transaction, in few statements."""

from __future__ import annotations

import uuid
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import ISQLQuote, adapters
from psycopg2.sql import SQL, Identifier

from backend import BatchError, execute_many, insert_many, upsert_many
from backend.sqlmask import mask
from backend.values_clause import split
from backend.write_pages import LARGEST

SCHEMA = """
CREATE TEMP TABLE items (
    id int GENERATED ALWAYS AS IDENTITY, sku text UNIQUE, price numeric, about jsonb, "a %b""c" int,
    doubled numeric GENERATED ALWAYS AS (price * 2) STORED, CHECK (price >= 0));
CREATE TEMP TABLE stock (shop int, code uuid, day date, amount int, PRIMARY KEY (shop, code, day));
"""


class Counting(psycopg2.extensions.cursor):
    """A cursor that counts what is sent."""

    sent: list[bytes] = []

    def execute(self, query: Any, vars: Any = None) -> None:
        self.sent.append(query)
        super().execute(query, vars)


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn, cursor_factory=Counting)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        connection.commit()
        Counting.sent = []
        yield connection


def ask(conn: Any, sql: str) -> Any:
    with conn.cursor(cursor_factory=psycopg2.extensions.cursor) as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_an_insert_of_many_rows_is_one_statement_and_returns_in_order(conn: Any) -> None:
    written = execute_many(
        conn, "INSERT INTO items (sku, price) VALUES (lower(%s), %s) RETURNING sku, doubled; ",
        [("B", 1), ("A", Decimal("2.5")), ("C", None)],
    )  # fmt: skip
    assert written == [("b", 2), ("a", Decimal("5.0")), ("c", None)]
    assert written.rowcount == 3 and len(Counting.sent) == 1
    named = "INSERT INTO items (sku) VALUES (%(sku)s)"
    assert execute_many(conn, named, [{"sku": "d"}, {"sku": "e"}]).rowcount == 2


def test_pages_of_values_update_and_delete_too(conn: Any) -> None:
    insert_many(conn, "items", [(f"s{n}", n) for n in range(5)], columns=["sku", "price"])
    Counting.sent = []
    update = "UPDATE items SET price = new.price FROM (VALUES %s) AS new (sku, price) WHERE items.sku = new.sku"
    assert execute_many(conn, update, [("s1", 10), ("s2", 20), ("nobody", 1)], page_size=2).rowcount == 2
    assert len(Counting.sent) == 2
    delete = SQL("DELETE FROM {} WHERE sku IN (VALUES %s)").format(Identifier("items"))
    assert execute_many(conn, delete, [("s3",)]).rowcount == 1
    assert ask(conn, "SELECT sku, price FROM items ORDER BY sku") == [("s0", 0), ("s1", 10), ("s2", 20), ("s4", 4)]


def test_what_is_no_insert_goes_statement_by_statement_in_few_round_trips(conn: Any) -> None:
    insert_many(conn, "items", [{"sku": "a", "price": 0}])
    Counting.sent = []
    update = "UPDATE items SET price = price + %s WHERE sku = %s"
    written = execute_many(conn, update, [(n, "a") for n in range(10)])
    assert (written, written.rowcount, len(Counting.sent)) == ([], -1, 1)
    assert ask(conn, "SELECT price FROM items") == [(45,)]


def test_rows_that_may_meet_each_other_are_not_one_statement(conn: Any) -> None:
    """`executemany` adds up; one INSERT of all rows would fail: it cannot affect a row twice."""
    sql = "INSERT INTO items (sku, price) VALUES (%s, 1) ON CONFLICT (sku) DO UPDATE SET price = items.price + 1"
    execute_many(conn, sql, [("a",)] * 3)
    count = "INSERT INTO items (sku, price) VALUES (%s, (SELECT count(*) FROM items))"
    execute_many(conn, count, [("b",), ("c",)])
    assert ask(conn, "SELECT sku, price FROM items ORDER BY sku") == [("a", 3), ("b", 1), ("c", 2)]
    with pytest.raises(BatchError, match="RETURNING in a statement that goes row by row"):
        execute_many(conn, sql + " RETURNING id", [("a",)])


def test_a_statement_that_ends_in_a_comment_runs_for_every_row(conn: Any) -> None:
    """Joined by a bare semicolon, all statements of a page but the first would be part of the comment."""
    with conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE commented (n int PRIMARY KEY, seen int DEFAULT 0) ON COMMIT DROP")
        cursor.execute("INSERT INTO commented SELECT generate_series(1, 3)")
        execute_many(conn, "UPDATE commented SET seen = 1 WHERE n = %s -- the row", [(1,), (2,), (3,)])
        cursor.execute("SELECT * FROM commented WHERE seen = 1")
        assert len(cursor.fetchall()) == 3



@pytest.mark.parametrize(("sql", "pages"), [
    ("INSERT INTO t VALUES (%s, ')', /* ) values ( */ now()) -- returning", True),
    ("INSERT INTO t (\"values (\", b) VALUES (%s, 'VALUES %s')", True),
    ("insert into t values (%s) on conflict do nothing returning id", True),
    ("INSERT INTO t VALUES (%s), (%s)", False),
    ("INSERT INTO t SELECT %s", False),
    ("INSERT INTO t VALUES (%s) ON CONFLICT (a) DO NOTHING; SELECT 1", False),
    ("WITH x AS (INSERT INTO t VALUES (%s)) INSERT INTO u VALUES (1)", False),
    ("UPDATE t SET a = v.a FROM (VALUES (%s, 1)) v (a, b)", False),
    ("INSERT INTO t VALUES ($a$)$a$, E'\\')', %s, (1))", True),
])  # fmt: skip
def test_only_rows_that_do_not_depend_on_each_other_become_one_statement(sql: str, pages: bool) -> None:
    clause = split(sql)
    assert clause.takes_pages is pages
    assert clause.before + (clause.template or "") + clause.after == sql.rstrip("; ")


@pytest.mark.parametrize(("sql", "rows", "said"), [
    ("INSERT INTO items (sku) VALUES ('a')", [()], "no %s or %(name)s"),
    ("INSERT INTO items (sku) VALUES ('%s')", [("a",)], "no %s or %(name)s"),
    ("SELECT %s FROM (VALUES %s) v", [(1, 2)], "no other %s can stand"),
    (b"INSERT", [(1,)], "the statement must be text, not bytes"),
    ("INSERT INTO items (sku) VALUES %s", [{"a": 1}], "row 0 is a dict: for VALUES %s pass sequences"),
    ("INSERT INTO items (sku) VALUES (%s)", ["ab"], "row 0 is a str; a row is a dict or a sequence"),
    ("INSERT INTO items (sku) VALUES (%s)", [("a",), ("b", "c")], "row 1 cannot be sent: not all arguments"),
    ("INSERT INTO items (sku, price) VALUES %s", [("a", 1), ("b",)], "row 1 cannot be sent"),
    ("INSERT INTO items (sku) VALUES (%(a)s)", [{"a": 1}, {"b": 1}], "row 1 cannot be sent: no value for 'a'"),
    ("INSERT INTO items (sku) VALUES (%s)", {"a": 1}, "rows must be a list of rows, not dict"),
    ("INSERT INTO items (sku) VALUES (%s)", [("a",), (object(),)], "row 1 cannot be sent: can't adapt type"),
    ("INSERT INTO items (sku) VALUES (%s)", [("a\0",)], "row 0 cannot be sent: A string literal"),
])  # fmt: skip
def test_rows_that_do_not_fit_the_statement_are_named(conn: Any, sql: Any, rows: Any, said: str) -> None:
    with pytest.raises(BatchError) as caught:
        execute_many(conn, sql, rows)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert Counting.sent == []


Item = namedtuple("Item", "sku price")


@pytest.mark.parametrize("rows", [
    [{"sku": "b", "price": 2}, {"price": 1, "sku": "a"}],
    [Item("b", 2), Item("a", 1)],
    (row for row in [Item("b", 2), Item("a", 1)]),
    iter([{"sku": "b", "price": 2}, {"price": 1, "sku": "a"}]),
])  # fmt: skip
def test_insert_takes_dicts_and_named_tuples_and_returns_what_was_made_of_them(conn: Any, rows: Any) -> None:
    written = insert_many(conn, "pg_temp.items", rows, returning=["id", "sku", "doubled"], page_size=1)
    assert [row[1:] for row in written] == [("b", 4), ("a", 2)]
    assert written[0][0] < written[1][0] and written.rowcount == 2


@pytest.mark.parametrize("factory", [
    psycopg2.extras.DictCursor, psycopg2.extras.RealDictCursor, psycopg2.extras.NamedTupleCursor,
])  # fmt: skip
def test_returned_rows_are_what_the_connection_s_cursors_make_of_them(conn: Any, factory: Any) -> None:
    conn.cursor_factory = factory
    for write, more in ((insert_many, {}), (upsert_many, {"key": ["sku"]})):
        written: Any = write(conn, "items", [{"sku": write.__name__, "price": 1}], returning=["sku"], **more)
        is_named = factory is psycopg2.extras.NamedTupleCursor
        assert (written[0].sku if is_named else written[0]["sku"]) == write.__name__


def test_dicts_are_json_and_odd_names_are_names(conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(adapters, (dict, ISQLQuote), raising=False)  # hstore's, when another test has met it
    rows = [{"sku": "a", "about": {"x": [1, {"y": "%s"}]}, 'a %b"c': 5}, {"sku": "b", "about": None, 'a %b"c': 6}]
    assert insert_many(conn, "items", rows, returning=['a %b"c']) == [(5,), (6,)]
    written = upsert_many(conn, "items", rows, key=["sku"], returning=['a %b"c', "about"])
    assert written[0] == (5, {"x": [1, {"y": "%s"}]}, "a")
    assert execute_many(conn, "INSERT INTO items (about) VALUES (%s)", [({"z": 1},)]).rowcount == 1
    with pytest.raises(BatchError, match="row 0 cannot be sent: Object of type object is not JSON"):
        insert_many(conn, "items", [{"about": {"x": object()}}])


@pytest.mark.parametrize("write", [
    lambda conn: execute_many(conn, "INSERT INTO nowhere VALUES (%s) RETURNING x", []),
    lambda conn: insert_many(conn, "nowhere", [], returning=["x"]),
    lambda conn: insert_many(conn, "nowhere", iter(()), columns=["a"]),
    lambda conn: upsert_many(conn, "nowhere", (), key=["a"]),
])  # fmt: skip
def test_no_rows_are_no_query(conn: Any, write: Any) -> None:
    written = write(conn)
    assert (written, written.rowcount, Counting.sent) == ([], 0, [])


@pytest.mark.parametrize(("rows", "arguments", "said"), [
    ([{"sku": "a"}, {"sku": "b", "price": 1}], {}, "row 1 has besides them price; the columns are sku"),
    ([{"sku": "a", "price": 1}, {"sku": "b", "cost": 1}], {}, "row 1 lacks price and has besides them cost"),
    ([("a", 1), ("b",)], {"columns": ["sku", "price"]}, "row 1 has 1 values for the columns sku, price"),
    ([("a", 1)], {}, "row 0 is a tuple: pass columns="),
    ([{"sku": "a"}, "b"], {}, "row 1 is a str"),
    ([None], {"columns": ["sku"]}, "row 0 is a NoneType"),
    ([("a", 1)], {"columns": ["sku", "sku"]}, "a column stands twice"),
    ([{"sku": "a"}], {"columns": "sku"}, "columns must be a list of names"),
    ([{1: "a"}], {}, "columns must be a list of names"),
    ({"sku": "a"}, {}, "rows must be a list of rows, not dict"),
    ([{"sku": "a"}], {"page_size": 0}, "page_size=0"),
    ([{"sku": "a"}], {"returning": "id"}, "columns must be a list of names, not 'id'"),
])  # fmt: skip
def test_rows_of_different_shapes_are_refused_before_anything_is_sent(
    conn: Any, rows: Any, arguments: Any, said: str
) -> None:
    with pytest.raises(BatchError) as caught:
        insert_many(conn, "items", rows, **{"page_size": 1, **arguments})
    assert said in str(caught.value)
    assert Counting.sent == []


def test_an_iterator_is_drawn_page_by_page_and_its_pages_end_with_the_transaction(conn: Any) -> None:
    drawn: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for n in range(10):
            drawn.append(n)
            assert len(drawn) - 1 <= (len(Counting.sent) + 1) * 3
            yield {"sku": str(n)} if n < 8 else {"oops": 1}

    with pytest.raises(BatchError, match="row 8 lacks sku"):
        insert_many(conn, "items", rows(), page_size=3)
    assert len(Counting.sent) == 2
    assert ask(conn, "SELECT count(*) FROM items") == [(6,)]
    conn.rollback()
    assert ask(conn, "SELECT count(*) FROM items") == [(0,)]


def test_long_rows_make_shorter_pages(conn: Any) -> None:
    rows = [{"sku": f"{n}" * (LARGEST // 3 * 2)} for n in range(3)]
    with pytest.raises(psycopg2.errors.ProgramLimitExceeded):  # too long for the index, but each was sent alone
        insert_many(conn, "items", rows)
    assert len(Counting.sent[0]) < LARGEST


def test_a_trigger_works_and_one_that_leaves_rows_out_makes_the_order_unknown(conn: Any) -> None:
    with conn.cursor(cursor_factory=psycopg2.extensions.cursor) as cursor:
        cursor.execute("""
            CREATE FUNCTION pg_temp.picky() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.sku = upper(NEW.sku); RETURN CASE WHEN NEW.sku = 'B' THEN NULL ELSE NEW END; END $$;
            CREATE TRIGGER picky BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION pg_temp.picky()""")
    assert insert_many(conn, "items", [{"sku": "a"}, {"sku": "c"}], returning=["sku"]) == [("A",), ("C",)]
    with pytest.raises(BatchError, match="2 rows from row 0 on were sent and 1 returned"):
        insert_many(conn, "items", [{"sku": "b"}, {"sku": "d"}], returning=["sku"])
    assert insert_many(conn, "items", [{"sku": "b"}, {"sku": "e"}]).rowcount == 1
    with pytest.raises(BatchError, match="came back and was not sent: a trigger changed it"):
        upsert_many(conn, "items", [{"sku": "f"}], key=["sku"], returning=["id"])


def test_upsert_returns_in_the_order_of_the_rows_whatever_was_there_before(conn: Any) -> None:
    insert_many(conn, "items", [{"sku": "b", "price": 1}])
    rows = [{"sku": sku, "price": 9} for sku in "cba"]
    written = upsert_many(conn, "items", rows, key=["sku"], returning=["price"])
    assert written == [(9, "c"), (9, "b"), (9, "a")] and written.rowcount == 3
    rows = [{"sku": sku, "price": 5} for sku in "xay"]
    left = upsert_many(conn, "items", rows, key="sku", update=[], returning=["sku"])
    assert left == [("x",), None, ("y",)] and left.rowcount == 2
    columns = ["sku", "price", 'a %b"c']
    some = upsert_many(conn, "items", [("a", 7, 8)], columns=columns, key=["sku"], update=["price"])
    assert (some, some.rowcount) == ([], 1)
    assert ask(conn, "SELECT price, \"a %b\"\"c\" FROM items WHERE sku = 'a'") == [(7, None)]


U = uuid.UUID(int=5)


def test_a_key_of_several_columns_is_matched_in_whatever_type_it_comes_back(conn: Any) -> None:
    psycopg2.extras.register_uuid(conn_or_curs=conn)  # to send it; without, text does
    rows = [{"shop": 1, "code": U, "day": date(2024, 1, 1), "amount": 1},
            {"shop": "2", "code": str(U), "day": "2024-01-02", "amount": 2}]  # fmt: skip
    written = upsert_many(conn, "stock", rows, key=["shop", "code", "day"], returning=["amount"])
    assert [row[0] for row in written] == [1, 2]


@pytest.mark.parametrize(("rows", "arguments", "said"), [
    ([{"sku": "a"}, {"sku": "b"}, {"sku": "a"}], {}, "rows 0 and 2 have one key, sku='a'"),
    ([{"sku": None}], {}, "row 0: sku=None has a NULL"),
    ([{"sku": ["a"]}], {}, "cannot be compared"),
    ([{"price": 1}], {}, "key names 'sku', which the rows do not have; they have price"),
    ([{"sku": "a"}], {"update": ["cost"]}, "update names 'cost'"),
    ([{"sku": "a"}], {"on_duplicate": "first"}, "it is 'refuse' or 'last'"),
    ([{"sku": "a"}], {"key": []}, "key="),
    ([{"sku": "a"}], {"update": [], "on_duplicate": "last"}, "needs columns to update"),
])  # fmt: skip
def test_an_upsert_that_cannot_be_is_refused_before_anything_is_sent(
    conn: Any, rows: Any, arguments: Any, said: str
) -> None:
    with pytest.raises(BatchError) as caught:
        upsert_many(conn, "items", rows, **{"key": ["sku"], "page_size": 1, **arguments})
    assert said in str(caught.value)
    assert Counting.sent == []


KEYS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99)), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=KEYS, rows=KEYS, page_size=st.integers(1, 5), updates=st.booleans())
def test_any_upsert_equals_a_loop_in_python(
    conn: Any, before: list[Any], rows: list[Any], page_size: int, updates: bool
) -> None:
    conn.rollback()
    there = {f"k{key}": price for key, price in before}
    insert_many(conn, "items", [{"sku": sku, "price": price} for sku, price in there.items()])
    if not updates:
        rows = list(dict(rows).items())
    expected: list[Any] = []
    for key, price in rows:
        expected.append(None if not updates and f"k{key}" in there else f"k{key}")
        if updates:
            there[f"k{key}"] = price
        else:
            there.setdefault(f"k{key}", price)
    written = upsert_many(
        conn, "items", ({"sku": f"k{key}", "price": price} for key, price in rows), key=["sku"],
        update=None if updates else [], on_duplicate="last" if updates else "refuse",
        returning=["sku"], page_size=page_size,
    )  # fmt: skip
    assert [row and row[0] for row in written] == expected
    assert dict(ask(conn, "SELECT sku, price FROM items")) == there


PIECES = st.sampled_from(["'", '"', "$", "$$", "$a$", "--", "\n", "/*", "*/", "E'", "\\", "x", " ", "(", "%s"])


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_a_mask_has_the_length_of_the_text_and_hides_nothing_twice(text: str) -> None:
    assert len(mask(text)) == len(text)
    masked = mask(text)
    assert all(kept in (char, " ", "_") for char, kept in zip(text, masked, strict=True))


def test_a_mask_leaves_the_code() -> None:
    text = """SELECT 'a''--', "b c"(1), E'\\'x', $q$ '$q$, /* /* */ ' */ 2 -- '\n, 3"""
    assert " ".join(mask(text).split()) == """SELECT ' '' ', "___"(1), ' ', , 2 , 3"""
