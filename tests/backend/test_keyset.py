"""Orders and what comes after a row in them: the same rows as plain Python says, and by an index at any depth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import CursorPages, NodeError, many, one
from backend.cursors import Position
from backend.keyset import stretches
from backend.page_order import SortColumn, parse_order
from tests.support.sql import run

ROWS = 40_000


def spelled(order: str, key: str = "id", not_null: tuple[str, ...] = ()) -> list[str]:
    return [column.clause(column.expression) for column in parse_order(order, key, not_null)]


class TestOrder:
    def test_minus_and_desc_turn_a_column_around_and_the_key_follows_the_last_one(self) -> None:
        assert spelled("-starts_at") == ["starts_at DESC", "id DESC"]
        assert spelled("starts_at desc, name") == ["starts_at DESC", "name", "id"]
        assert spelled("id") == ["id"]
        assert spelled("-id, name") == ["id DESC", "name"]
        assert spelled("", key="a, b") == ["a", "b"]

    def test_nulls_stand_where_postgresql_puts_them_unless_told(self) -> None:
        up, down, *moved = parse_order("a, -b, c NULLS FIRST, d DESC nulls last, e NULLS LAST", "id")
        assert (up.nulls_first, down.nulls_first) == (False, True)
        assert [column.nulls_first for column in moved[:3]] == [True, False, False]
        assert spelled("c NULLS FIRST, d DESC nulls last, e NULLS LAST")[:3] == [
            "c NULLS FIRST", "d DESC NULLS LAST", "e",
        ]  # fmt: skip

    def test_expressions_keep_their_commas_quotes_and_percent_signs(self) -> None:
        assert spelled("coalesce(a, 'x,y') DESC, \"a,b\", (-c), name COLLATE \"C\", d % 2") == [
            "coalesce(a, 'x,y') DESC", '"a,b"', "(-c)", 'name COLLATE "C"', "d %% 2", "id",
        ]  # fmt: skip

    def test_the_key_and_what_is_declared_so_is_never_null(self) -> None:
        assert [c.nullable for c in parse_order("a, b", "id", ["b"])] == [True, False, False]

    @pytest.mark.parametrize(
        ("order", "key", "not_null", "said"),
        [
            ("a", "", (), "key is empty"),
            ("a, a", "id", (), "'a' twice"),
            ("-a desc", "id", (), "a direction in front and one behind"),
            ("1", "id", (), "is no column"),
            ("'x' DESC", "id", (), "is no column"),
            ("-", "id", (), "is no column"),
            ("a; DROP TABLE x", "id", (), "no {holes} and no ;"),
            ("{a}", "id", (), "no {holes}"),
            ("f(a", "id", (), "not closed"),
            ("a", "id", ("b",), "not_null names 'b'"),
            (", ".join("abcdefgh"), "id", (), "9 columns"),
        ],
    )
    def test_what_is_no_order_is_refused(self, order: str, key: str, not_null: Any, said: str) -> None:
        with pytest.raises(NodeError) as caught:
            parse_order(order, key, not_null)
        assert said in str(caught.value)


class TestStretches:
    def test_one_direction_is_one_row_comparison(self) -> None:
        columns = parse_order("-a, -b", "id", ["a", "b"])
        assert stretches(columns, [False] * 3) == ["((a), (b), (id)) < (%(page_0)s, %(page_1)s, %(page_2)s)"]

    def test_a_turn_begins_a_new_stretch(self) -> None:
        columns = parse_order("-a, id", "id", ["a"])
        assert stretches(columns, [False, False]) == ["(a) < %(page_0)s", "(a) = %(page_0)s AND (id) > %(page_1)s"]

    def test_nulls_that_come_later_are_a_stretch_and_those_that_came_are_none(self) -> None:
        later = parse_order("a", "id")
        assert stretches(later, [False, False]) == ["((a), (id)) > (%(page_0)s, %(page_1)s)", "(a) IS NULL"]
        assert stretches(later, [True, False]) == ["(a) IS NULL AND (id) > %(page_1)s"]
        earlier = parse_order("-a, id", "id")
        assert stretches(earlier, [True, False]) == ["(a) IS NOT NULL", "(a) IS NULL AND (id) > %(page_1)s"]
        assert stretches(earlier[:1], [False]) == ["(a) < %(page_0)s"]

    def test_nothing_comes_after_the_last_null(self) -> None:
        assert stretches([SortColumn("a")], [True]) == []


@pytest.fixture(scope="module")
def big(cluster: Any, database: str) -> Iterator[Any]:
    """A connection with a table of many rows, a third of them equal in `kind`, ten in `at`."""
    with closing(psycopg2.connect(cluster.dsn(database, "app"))) as conn:
        conn.autocommit = True
        run(conn, "CREATE TEMP TABLE big (id int PRIMARY KEY, kind text, at timestamptz, maybe int, pad text)")
        run(
            conn,
            "INSERT INTO big SELECT n, CASE WHEN n %% 3 > 0 THEN 'k' || n %% 3 END,"
            " timestamptz '2024-01-01' + n / 10 * interval '1 minute', nullif(n %% 7, 0), repeat('x', 100)"
            " FROM generate_series(1, %s) n",
            ROWS,
        )
        plain = ("at DESC, id", "at, id", "kind, at DESC, id", "maybe, id")
        for columns in (*plain, "maybe NULLS FIRST, id", "lower(kind), id"):
            run(conn, f"CREATE INDEX ON big ({columns})")
        run(conn, "VACUUM ANALYZE big")
        yield conn


ORDERS = [
    "at", "-at, -id", "-at, id", "kind, -at, id", "-kind, at, -id", "maybe", "-maybe, -id", "maybe NULLS FIRST",
    "lower(kind)",
]  # fmt: skip


def buffers(plan: str) -> int:
    """Return the pages that a statement touched: the figures of its topmost node."""
    found = re.search(r"Buffers: (.*)", plan)
    assert found is not None
    return sum(map(int, re.findall(r"(?:hit|read)=(\d+)", found[1])))


def deep_cursor(pages: CursorPages, conn: Any, start: str | None = None) -> str:
    """Return the cursor of the middle row, without reading all pages before."""
    by = ", ".join(column.clause(column.expression) for column in pages.columns)
    texts = ", ".join(f"({column.expression})::text" for column in pages.columns)
    with conn.cursor() as cursor:
        cursor.execute(f"SELECT ARRAY[{texts}] FROM big ORDER BY {by} OFFSET {ROWS // 2} LIMIT 1")
        values = cursor.fetchone()[0]
    return pages._signer.write(Position(start or "after", tuple(values)), {})


@pytest.mark.parametrize("side", ["after", "before"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_page_in_the_middle_touches_no_more_than_the_first(big: Any, order: str, side: str) -> None:
    """Counted in pages of the buffer cache: the bar is that depth costs nothing, whatever the order."""
    pages = CursorPages("SELECT * FROM big", order=order, keys="k" * 16)
    first = buffers(pages.explain(big, None if side == "after" else "last"))
    deep = pages.explain(big, deep_cursor(pages, big, side))
    # Each stretch descends its index once (3 pages) and each may read a page's rows.
    assert buffers(deep) <= 2.5 * first + 20, deep
    assert "Seq Scan" not in deep
    removed = sum(map(int, re.findall(r"Rows Removed by Filter: (\d+)", deep)))
    assert removed < 100, deep


@pytest.mark.parametrize("order", ["-at", "-at, id", "at, -id"])
def test_a_filter_and_the_order_are_one_index(big: Any, order: str) -> None:
    pages = CursorPages("SELECT * FROM big WHERE kind = %(kind)s", order=order, keys="k" * 16, varying=["kind"])
    plan = pages.explain(big, deep_cursor(pages, big), kind="k1")
    assert buffers(plan) < 120, plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("order", "not_null", "condition"),
    [
        ("at, id", ["at"], r"Index Cond: \(ROW\(at, id\) > ROW\('.+, 2\d+\)"),
        ("-at, id", ["at"], r"Index Cond: \(at < '[^']+'"),
        ("-at, id", ["at"], r"Index Cond: \(\(at = '[^']+'.*\) AND \(id > \d+\)\)"),
        ("maybe", [], r"Index Cond: \(maybe IS NULL\)"),
    ],
)
def test_conditions_are_index_conditions(big: Any, order: str, not_null: list[str], condition: str) -> None:
    pages = CursorPages("SELECT * FROM big", order=order, not_null=not_null, keys="k" * 16)
    assert re.search(condition, pages.explain(big, deep_cursor(pages, big)))


def test_children_run_for_the_rows_of_the_page_alone(big: Any) -> None:
    item = one("SELECT page.id, {twins}", twins=many("SELECT b.id FROM big b WHERE b.id = page.id"))
    pages = CursorPages("SELECT * FROM big", order="-at, id", item=item, size=5, keys="k" * 16)
    plan = pages.explain(big, deep_cursor(pages, big))
    child = plan[plan.index("big_pkey") :]
    assert re.search(r"actual time=\S+ rows=1 loops=5\)", child), plan
