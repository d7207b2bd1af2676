"""`NumberedPages`: bounded sizes and depths, and totals of four kinds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import NodeError, NumberedPages, PageError, many, one
from tests.support.sql import run

from .conftest import Clock

SOURCE = "SELECT n AS id, n % 3 AS third FROM generate_series(1, %(count)s) n"


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def ids(page: Any) -> list[int]:
    return [row["id"] for row in page.items]


def test_all_pages_together_are_the_list_in_order(conn: Any) -> None:
    pages = NumberedPages(SOURCE, order="third, -id", size=4)
    found = [pages.fetch(conn, number, count=10) for number in (1, 2, 3)]
    assert [ids(page) for page in found] == [[9, 6, 3, 10], [7, 4, 1, 8], [5, 2]]
    assert [(page.has_previous, page.has_next) for page in found] == [(False, True), (True, True), (True, False)]
    assert pages.fetch(conn, 4, count=10).items == []


def test_json_says_what_a_pager_needs(conn: Any) -> None:
    pages = NumberedPages(SOURCE, order="id", size=2, count="exact")
    body = pages.json(conn, "2", "2", count=3)
    assert body.startswith(b'{"items":[{"id":3,"third":0}],"page":2,')
    assert json.loads(body) == {
        "items": [{"id": 3, "third": 0}], "page": 2, "size": 2, "has_next": False, "has_previous": True,
        "total": 3, "total_is": "exact",
    }  # fmt: skip


def test_no_page_is_deeper_than_allowed(conn: Any) -> None:
    pages = NumberedPages(SOURCE, order="id", size=20, largest=50, deepest=100)
    assert ids(pages.fetch(conn, 5, count=1000))[-1] == 100
    assert not pages.fetch(conn, 5, count=1000).has_next
    assert pages.fetch(conn, 4, count=1000).has_next
    for page, size in ((6, None), (10**9, None), ("1000000000", None), (3, 50), ("9" * 100, None)):
        with pytest.raises(PageError, match=r"a whole number from 1 to [25]: the list goes 100 rows deep"):
            pages.fetch(conn, page, size, count=1000)


@pytest.mark.parametrize("page", [0, -1, "0", "-1", "abc", "", "1e1", "1.5", "\u0661", True, 1.0, [1]])
def test_a_page_that_is_no_number_is_refused(conn: Any, page: Any) -> None:
    with pytest.raises(PageError) as caught:
        NumberedPages(SOURCE, order="id").fetch(conn, page, count=1)
    assert str(caught.value).startswith("page must be a whole number from 1 to 500")


class TestTotals:
    def test_nobody_counts_unless_told(self, conn: Any) -> None:
        page = NumberedPages(SOURCE, order="id").fetch(conn, count=30)
        assert (page.total, page.total_is) == (None, "unknown")

    def test_exact_counts_also_beyond_the_last_page(self, conn: Any) -> None:
        page = NumberedPages(SOURCE, order="id", count="exact").fetch(conn, 9, count=30)
        assert (page.items, page.total, page.total_is) == ([], 30, "exact")

    @pytest.mark.parametrize(("rows", "told"), [(9, (9, "exact")), (10, (10, "exact")), (11, (10, "at_least"))])
    def test_capped_stops_counting(self, conn: Any, rows: int, told: Any) -> None:
        pages = NumberedPages(SOURCE, order="id", count="capped", count_cap=10)
        page = pages.fetch(conn, count=rows)
        assert (page.total, page.total_is) == told

    def test_estimated_is_the_planner_s_guess(self, conn: Any) -> None:
        run(conn, "CREATE TEMP TABLE guessed AS SELECT generate_series(1, 5000) AS id")
        run(conn, "ANALYZE guessed")
        pages = NumberedPages("SELECT * FROM guessed WHERE id > %(above)s", order="id", count="estimated")
        page = pages.fetch(conn, above=2500)
        assert page.total_is == "estimate"
        assert 2000 < (page.total or 0) < 3000

    def test_a_total_is_kept_for_a_while_per_parameters(self, conn: Any, clock: Clock) -> None:
        run(conn, "CREATE TEMP TABLE counted AS SELECT 1 AS id")
        pages = NumberedPages(
            "SELECT * FROM counted WHERE id > %(above)s", order="id", count="exact", count_for=30, clock=clock
        )
        assert pages.fetch(conn, above=0).total == 1
        run(conn, "INSERT INTO counted VALUES (2)")
        assert pages.fetch(conn, above=0).total == 1
        assert pages.fetch(conn, above=1).total == 1
        assert len(pages.fetch(conn, above=0).items) == 2
        clock.now += 31
        assert pages.fetch(conn, above=0).total == 2

    def test_kept_totals_do_not_grow_without_end(self, conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("backend.numbered_pages.MOST_KEPT", 3)
        pages = NumberedPages(SOURCE, order="id", count="exact", count_for=30)
        for count in range(9):
            assert pages.fetch(conn, count=count).total == count
        assert len(pages._kept._totals) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": "all"}, "none of none, exact, capped, estimated"),
        ({"deepest": 99}, "deepest must not be below largest"),
        ({"count_cap": 0}, "count_cap"),
        ({"count_for": -1}, "count_for"),
        ({"size": 0}, "size=0"),
        ({"key": ""}, "key is empty"),
    ],
)
def test_a_list_that_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(NodeError) as caught:
        NumberedPages(SOURCE, **{"order": "id", **options})
    assert said in str(caught.value)
    with pytest.raises(NodeError, match="that name is taken"):
        NumberedPages("SELECT %(page)s AS id", order="id")


def test_an_item_is_made_for_the_rows_of_the_page_alone(conn: Any) -> None:
    item = one("SELECT page.id, {kids}", kids=many("SELECT page.third AS third"))
    pages = NumberedPages(SOURCE, order="-id", size=1, item=item)
    assert pages.fetch(conn, count=4).items == [{"id": 4, "kids": [{"third": 1}]}]
    assert pages.sql.startswith("WITH") and repr(pages).startswith("<NumberedPages SELECT n AS id")
