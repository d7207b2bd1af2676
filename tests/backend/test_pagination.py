"""`CursorPages`: every row once, in order, forward and back, whatever the types, the order and the NULLs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from backend import CursorError, CursorPages, NodeError, Page, PageError, many, one
from tests.support.sql import query, run
from tests.support.threads import together

KEY = "a key of sixteen"
NUMBERS = CursorPages("SELECT n AS id, n % 3 AS third FROM generate_series(1, %(count)s) n", order="id", keys=KEY)

COLUMNS = {
    "i": ("bigint", ["-9223372036854775808", "-1", "0", "7", "9223372036854775807"]),
    "n": ("numeric", ["0", "1.50", "1.500", "-12345678901234567890.123456789", "NaN", "1e-30"]),
    "t": ("text", ["", "a", "A", "b", "é", "Zebra", "%s{x}'\"\\", "a b", "'; DROP TABLE x --"]),
    "c": ('text COLLATE "C"', ["", "a", "A", "b", "é"]),
    "v": ("varchar(5)", ["x", "X ", "y"]),
    "at": ("timestamptz", ["-infinity", "infinity", "2024-01-01 00:00:00.123456+02",
                           "2024-01-01 00:00:00.123457+02", "0044-03-15 12:00:00+00 BC", "1890-01-01Z"]),
    "ts": ("timestamp", ["infinity", "2024-02-29 23:59:59.999999", "2024-02-29 23:59:59.999998"]),
    "d": ("date", ["-infinity", "infinity", "2024-02-29", "0001-01-01"]),
    "u": ("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    "b": ("boolean", ["true", "false"]),
    "e": ("mood", ["sad", "ok", "happy"]),
    "f": ("float8", ["NaN", "Infinity", "-Infinity", "0.1", "0.30000000000000004", "-0", "0", "1e-308"]),
    "r": ("real", ["NaN", "0.1", "3.4e38"]),
    "iv": ("interval", ["1 day", "24:00:00", "-1 mon +2 days", "00:00:00.000001"]),
    "a": ("int[]", ["{}", "{1,2}", "{1,NULL}"]),
    "by": ("bytea", ["\\x", "\\x00ff"]),
    "ch": ("char(3)", ["a", "b  "]),
}  # fmt: skip


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


@pytest.fixture(scope="module")
def rows(cluster: Any, database: str) -> Iterator[Any]:
    """A connection with an empty table `rows` that has a column of each type."""
    with closing(psycopg2.connect(cluster.dsn(database, "app"))) as connection:
        connection.autocommit = True
        run(connection, "CREATE TYPE pg_temp.mood AS ENUM ('sad', 'ok', 'happy')")
        run(connection, "SET search_path TO pg_temp, public")
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        run(connection, f"CREATE TEMP TABLE rows (id int PRIMARY KEY, {columns})")
        yield connection


def fill(conn: Any, rows: list[dict[str, Any]]) -> None:
    run(conn, "TRUNCATE rows")
    if rows:
        names = ["id", *COLUMNS]
        statement = f"INSERT INTO rows ({', '.join(names)}) VALUES %s"
        with conn.cursor() as cursor:
            psycopg2.extras.execute_values(cursor, statement, [[row.get(name) for name in names] for row in rows])


def walk(pages: CursorPages, conn: Any, size: int, start: str | None = None, way: str = "next") -> list[Page]:
    """Return all pages, by `next` or by `previous`."""
    found = [pages.fetch(conn, start, size)]
    while (cursor := getattr(found[-1], way)) is not None:
        found.append(pages.fetch(conn, cursor, size))
        assert len(found) < 100
    return found


def ids(*pages: Page) -> list[int]:
    return [row["id"] for page in pages for row in page.items]


def sort_of(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["{}", "-{}", "{} DESC", "{} NULLS FIRST", "{} DESC NULLS LAST"]).map(
        lambda form: form.format(name)
    )


ORDER = st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*map(sort_of, names)).map(", ".join)
)
VALUES = st.fixed_dictionaries(
    {name: st.none() | st.sampled_from(values) for name, (_, values) in COLUMNS.items()}
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=ORDER, tail=st.sampled_from(["", ", id", ", -id"]), size=st.integers(1, 7),
    table=st.lists(VALUES, max_size=14),
)  # fmt: skip
def test_forward_and_back_are_the_sorted_table_once(
    rows: Any, order: str, tail: str, size: int, table: list[dict[str, Any]]
) -> None:
    fill(rows, [{"id": number, **row} for number, row in enumerate(table)])
    pages = CursorPages("SELECT * FROM rows", order=order + tail, keys=KEY)
    by = ", ".join(column.clause(column.expression) for column in pages.columns)
    with rows.cursor() as cursor:
        cursor.execute(f"SELECT id FROM rows ORDER BY {by}")
        expected = [row[0] for row in cursor.fetchall()]
    forward = walk(pages, rows, size)
    assert ids(*forward) == expected
    assert all(len(page.items) == size for page in forward[:-1])
    back = walk(pages, rows, size, "last", "previous")
    assert ids(*reversed(back)) == expected
    if len(forward) > 1:
        returned = pages.fetch(rows, forward[1].previous, size)
        assert (ids(returned), returned.previous) == (ids(forward[0]), None)
        assert ids(pages.fetch(rows, returned.next, size)) == ids(forward[1])


def test_every_value_of_every_type_comes_back_from_a_cursor(rows: Any) -> None:
    """One row per value, one page per row: the smallest step between two values is a page's edge."""
    for name, (_, values) in COLUMNS.items():
        fill(rows, [{"id": number, name: value} for number, value in enumerate([*values, None])])
        for way in (name, f"-{name}"):
            pages = CursorPages("SELECT * FROM rows", order=way, keys=KEY)
            assert sorted(ids(*walk(pages, rows, 1))) == list(range(len(values) + 1)), way


def test_sessions_may_differ_in_time_zone_and_formats(rows: Any) -> None:
    fill(rows, [{"id": n, "at": value, "iv": "1 day"} for n, value in enumerate(COLUMNS["at"][1])])
    pages = CursorPages("SELECT id, at, iv FROM rows", order="at, iv", keys=KEY)
    expected, found, cursor = ids(pages.fetch(rows)), [], None
    zones = ["America/St_Johns", "Asia/Tokyo", "UTC"]
    try:
        for number in range(len(expected)):
            run(rows, sql.SQL("SET TimeZone TO {}").format(sql.Literal(zones[number % 3])))
            run(rows, f"SET IntervalStyle TO {('postgres', 'iso_8601')[number % 2]}")
            page = pages.fetch(rows, cursor, 1)
            found += ids(page)
            cursor = page.next
    finally:
        run(rows, "RESET TimeZone")
        run(rows, "RESET IntervalStyle")
    assert found == expected


def test_rows_that_come_and_go_between_pages_shift_nothing(rows: Any) -> None:
    fill(rows, [{"id": n, "i": n} for n in range(0, 40, 2)])
    pages = CursorPages("SELECT id FROM rows", order="-id", size=5, keys=KEY)
    seen: list[int] = []
    cursor = None
    for step in range(20):
        page = pages.fetch(rows, cursor)
        seen += ids(page)
        cursor = page.next
        run(rows, "INSERT INTO rows (id) VALUES (%s)", 100 + step)  # before all that is still to come
        run(rows, "DELETE FROM rows WHERE id = %s", seen[-1])  # the very row that the cursor stands on
        if cursor is None:
            break
    assert seen == list(range(38, -1, -2))


class TestEdges:
    def test_first_and_last_page_know_that_they_are(self, conn: Any) -> None:
        first = NUMBERS.fetch(conn, size=2, count=5)
        assert (first.has_previous, first.has_next, ids(first)) == (False, True, [1, 2])
        last = NUMBERS.fetch(conn, "last", 2, count=5)
        assert (last.has_previous, last.has_next, ids(last)) == (True, False, [4, 5])
        assert NUMBERS.fetch(conn, "first", 2, count=5) == first

    def test_a_page_that_is_all_has_no_neighbours(self, conn: Any) -> None:
        for cursor in (None, "last"):
            page = NUMBERS.fetch(conn, cursor, 5, count=5)
            assert (ids(page), page.next, page.previous) == ([1, 2, 3, 4, 5], None, None)

    def test_an_empty_list_has_one_empty_page(self, conn: Any) -> None:
        for cursor in (None, "last"):
            assert NUMBERS.json(conn, cursor, count=0) == b'{"items":[],"next":null,"previous":null}'

    def test_when_all_that_followed_is_gone_the_page_leads_back(self, rows: Any) -> None:
        fill(rows, [{"id": n} for n in range(4)])
        pages = CursorPages("SELECT id FROM rows", order="id", size=2, keys=KEY)
        first = pages.fetch(rows)
        last = pages.fetch(rows, first.next)
        run(rows, "DELETE FROM rows WHERE id > 1")
        beyond = pages.fetch(rows, first.next)
        assert (beyond.items, beyond.next, beyond.previous) == ([], None, "last")
        assert ids(pages.fetch(rows, beyond.previous)) == [0, 1]
        run(rows, "DELETE FROM rows")
        fill(rows, [{"id": 7}])
        before = pages.fetch(rows, last.previous)
        assert (before.items, before.next, before.previous) == ([], "first", None)
        assert ids(pages.fetch(rows, before.next)) == [7]


class TestRefusals:
    @pytest.mark.parametrize(
        "size", [0, -1, 10**9, 101, "0", "-1", "+5", "101", "abc", "", "1e3", "1.0", " 5", "5 ", "5\n", "\u0665",
                 "\uff15", "\u00b2", "0x5", "1_0", "9" * 5000, True, False, 5.0, b"5", [5]],
    )  # fmt: skip
    def test_a_size_out_of_bounds_says_the_bounds(self, conn: Any, size: Any) -> None:
        with pytest.raises(PageError) as caught:
            NUMBERS.fetch(conn, size=size, count=5)
        assert (str(caught.value), caught.value.status) == ("limit must be a whole number from 1 to 100", 400)
        assert caught.value.code == "H321"

    def test_sizes_within_bounds_are_taken_as_text_and_as_number(self, conn: Any) -> None:
        assert [NUMBERS.fetch(conn, size=size, count=200).size for size in (1, "1", "100", "007", None)] == [
            1, 1, 100, 7, 20,
        ]  # fmt: skip
        assert len(NUMBERS.fetch(conn, size=100, count=200).items) == 100

    def test_a_cursor_of_another_parameter_or_list_is_refused_before_any_sql(self, conn: Any) -> None:
        cursor = NUMBERS.fetch(conn, size=1, count=5).next
        other = CursorPages(NUMBERS._parts.source, order="-id", keys=KEY)
        for pages, count in ((NUMBERS, 6), (other, 5)):
            with pytest.raises(CursorError):
                pages.fetch(None, cursor, count=count)

    def test_a_cursor_survives_a_change_of_the_sql_only_under_a_name(self, conn: Any) -> None:
        old, new = "SELECT n AS id FROM generate_series(1, 9) n", "SELECT m AS id FROM generate_series(1, 9) m"
        named = [CursorPages(text, order="id", name="numbers", keys=KEY) for text in (old, new)]
        assert ids(named[1].fetch(conn, named[0].fetch(conn, size=2).next)) == [3, 4, 5, 6, 7, 8, 9]
        plain = [CursorPages(text, order="id", keys=KEY) for text in (old, new)]
        with pytest.raises(CursorError):
            plain[1].fetch(conn, plain[0].fetch(conn, size=2).next)

    def test_a_parameter_that_varies_is_not_bound(self, conn: Any) -> None:
        source = "SELECT n AS id, %(viewer)s::text AS viewer FROM generate_series(1, 3) n"
        pages = CursorPages(source, order="id", size=2, varying=["viewer"], keys=KEY)
        page = pages.fetch(conn, viewer="a")
        assert pages.fetch(conn, page.next, viewer="b").items == [{"id": 3, "viewer": "b"}]

    @pytest.mark.parametrize(
        ("source", "options", "said"),
        [
            ("SELECT 1 AS id", {"order": "id", "size": 0}, "size=0"),
            ("SELECT 1 AS id", {"order": "id", "size": 200}, "size=200, largest=100"),
            ("SELECT 1 AS id", {"order": "id", "largest": 10**9}, "largest=1000000000"),
            ("SELECT 1 AS id", {"order": "id", "size": True}, "size=True"),
            ("SELECT %(size)s AS id", {"order": "id"}, "%(size)s: that name is taken"),
            ("SELECT %(page_0)s AS id", {"order": "id"}, "%(page_0)s: that name is taken"),
            ("SELECT 1 AS id", {"order": "id", "varying": ["x"]}, "varying names 'x'"),
            ("SELECT 1 AS id", {"order": "id", "item": many("SELECT 1 AS x")}, "made by one()"),
            ("SELECT 1 AS id", {"order": "id", "item": "SELECT 1"}, "made by one()"),
            (one("SELECT 1 AS id"), {"order": "id"}, "made by many()"),
            ("DELETE FROM x", {"order": "id"}, "is one SELECT"),
            ("SELECT {x}", {"order": "id"}, "has no child"),
            ("SELECT 1 AS id", {"order": "id", "key": ""}, "key is empty"),
            ("SELECT 1 AS id", {"order": "id", "keys": "short"}, "at least 16"),
        ],
    )
    def test_a_list_that_cannot_be_is_refused_when_it_is_made(self, source: Any, options: Any, said: str) -> None:
        with pytest.raises(NodeError) as caught:
            CursorPages(source, **options)
        assert said in str(caught.value)

    def test_parameters_that_are_missing_or_unknown_are_named(self, conn: Any) -> None:
        with pytest.raises(NodeError, match=r"missing count; unknown cont"):
            NUMBERS.fetch(conn, cont=1)

    def test_a_key_that_is_not_unique_is_noticed_where_it_would_lose_rows(self, conn: Any) -> None:
        pages = CursorPages(NUMBERS._parts.source, order="third", key="third", size=2, keys=KEY)
        with pytest.raises(NodeError, match="key= must be unique"):
            pages.fetch(conn, count=9)

    def test_a_null_in_a_column_declared_without_is_noticed_at_an_edge(self, conn: Any) -> None:
        source = "SELECT n AS id, nullif(n, 2) AS maybe FROM generate_series(1, 3) n"
        pages = CursorPages(source, order="maybe", not_null=["maybe"], size=3, keys=KEY)
        with pytest.raises(NodeError, match="maybe is NULL"):
            pages.fetch(conn)


class TestShapes:
    def test_items_are_the_server_s_own_json_and_are_never_parsed(
        self, conn: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed: list[Any] = []
        monkeypatch.setattr(json, "loads", lambda text: parsed.append(text) or [["1"]])
        pages = CursorPages("SELECT 1 AS id, 12.50 AS price, 'é' AS text", order="id", keys=KEY)
        body = pages.json(conn)
        assert body == '{"items":[{"id":1,"price":12.50,"text":"é"}],"next":null,"previous":null}'.encode()
        assert parsed and all("é" not in text for text in parsed)

    def test_children_of_each_row_come_along(self, conn: Any) -> None:
        source = many(
            "SELECT n AS id, {kids} FROM generate_series(1, 4) n",
            kids=many("SELECT k FROM generate_series(1, n) k ORDER BY k"),
        )
        page = CursorPages(source, order="-id", size=2, keys=KEY).fetch(conn)
        assert page.items == [
            {"id": 4, "kids": [{"k": 1}, {"k": 2}, {"k": 3}, {"k": 4}]},
            {"id": 3, "kids": [{"k": 1}, {"k": 2}, {"k": 3}]},
        ]

    def test_an_item_hides_what_only_sorts(self, conn: Any) -> None:
        pages = CursorPages(
            "SELECT n AS id, n %% 2 AS secret FROM generate_series(1, 5) n", order="-secret, id", size=2, keys=KEY,
            item=one("SELECT page.id, {kids}, %(word)s::text AS word", kids=many("SELECT page.id AS parent")),
        )  # fmt: skip
        page = pages.fetch(conn, word="x")
        assert page.items[0] == {"id": 1, "kids": [{"parent": 1}], "word": "x"}
        page = pages.fetch(conn, page.next, word="x")
        assert ids(page) == [5, 2]
        assert ids(pages.fetch(conn, page.previous, 2, word="x")) == [1, 3]

    def test_columns_may_have_any_name_and_the_order_any_expression(self, conn: Any) -> None:
        source = 'SELECT n AS id, -n AS item, n AS page, n AS r, n AS "A b%%", n AS "~x" FROM numbers n (n)'
        source = f"WITH numbers AS (SELECT generate_series(1, 4)) {source}"
        for order in ("item", "-page", 'abs(item) DESC, "A b%"', "-r", "id %% 2, (-item) DESC", "item % %(by)s"):
            pages = CursorPages(source, order=order, size=3, keys=KEY)
            given = {"by": 3} if "by" in order else {}
            first = pages.fetch(conn, **given)
            assert sorted(ids(first, pages.fetch(conn, first.next, **given))) == [1, 2, 3, 4]

    def test_identifiers_that_are_not_constant_go_by_psycopg2_sql(self, conn: Any) -> None:
        hostile = 'a"; DROP TABLE x; --%s{y}'
        source = sql.SQL("SELECT 1 AS id, 2 AS {}").format(sql.Identifier(hostile))
        pages = CursorPages(source, order='"' + hostile.replace('"', '""') + '"', keys=KEY)
        assert pages.fetch(conn).items == [{"id": 1, hostile: 2}]

    def test_groups_distinct_rows_and_unions_can_be_read_too(self, conn: Any) -> None:
        for source in (
            "SELECT n % 5 AS id, count(*) AS many FROM generate_series(1, 20) n GROUP BY 1",
            "SELECT DISTINCT n % 5 AS id FROM generate_series(1, 20) n",
            "SELECT n AS id FROM generate_series(0, 2) n UNION SELECT n FROM generate_series(2, 4) n",
            "WITH few AS (SELECT n AS id FROM generate_series(0, 4) n) SELECT * FROM few -- that is all",
            "SELECT n AS id, rank() OVER (ORDER BY n) AS rank FROM generate_series(0, 4) n;",
        ):
            pages = CursorPages(source, order="-id", keys=KEY)
            assert ids(*walk(pages, conn, 2)) == [4, 3, 2, 1, 0], source

    @pytest.mark.parametrize("factory", [psycopg2.extras.DictConnection, psycopg2.extras.RealDictConnection])
    def test_any_row_type_of_the_connection_will_do(self, dsn: str, factory: Any) -> None:
        with closing(psycopg2.connect(dsn, connection_factory=factory)) as connection:
            assert ids(NUMBERS.fetch(connection, size=2, count=3)) == [1, 2]
            assert "actual time" in NUMBERS.explain(connection, size=2, count=3)

    def test_other_encodings_are_turned_into_utf_8(self, dsn: str) -> None:
        pages = CursorPages("SELECT 'é' || n AS id FROM generate_series(1, 2) n", order="id", size=1, keys=KEY)
        with closing(psycopg2.connect(dsn, client_encoding="LATIN1")) as connection:
            first = pages.fetch(connection)
            assert ids(first, pages.fetch(connection, first.next)) == ["é1", "é2"]

    def test_it_is_one_statement_and_says_which(self, conn: Any) -> None:
        assert NUMBERS.sql.startswith('WITH "~page" AS MATERIALIZED')
        assert repr(NUMBERS).startswith("<CursorPages SELECT n AS id")

    def test_a_page_behind_a_pooler_and_from_many_threads(self, bouncer: Any, make_pool: Any) -> None:
        pool = make_pool(1, 4, connect={"dsn": bouncer.url("app", "app")}, reset="pgbouncer")

        def read(number: int) -> list[int]:
            with pool.connection() as connection:
                first = NUMBERS.fetch(connection, size=number + 1, count=20)
                return ids(first, NUMBERS.fetch(connection, first.next, number + 1, count=20))

        for number, found in enumerate(together(8, read)):
            assert found == list(range(1, 2 * number + 3))

    def test_floats_are_read_back_to_the_last_bit(self, rows: Any) -> None:
        values = [0.1 + n * math.ulp(0.1) for n in range(6)]
        fill(rows, [{"id": n, "f": repr(value)} for n, value in enumerate(values)])
        pages = CursorPages("SELECT id, f FROM rows", order="f", keys=KEY)
        assert ids(*walk(pages, rows, 1)) == list(range(6))


def test_the_kit_leaves_nothing_in_the_session(conn: Any) -> None:
    NUMBERS.fetch(conn, count=3)
    assert query(conn, "SELECT count(*) FROM pg_prepared_statements") == 0
