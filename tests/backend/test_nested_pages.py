"""A page per parent: the first children of each, and a cursor with which the list itself reads on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from backend import CursorError, CursorPages, NodeError, NumberedPages, PageError, cursors, many, one, paged
from backend.nested_pages import new_nonce, with_cursors

MULTIPLES = CursorPages(
    "SELECT n * %(of)s AS id, 'of ' || %(of)s::text AS text FROM generate_series(1, %(count)s) n",
    order="-id",
    size=2,
)
TREE = one(
    "SELECT 7 AS seven, {parents}",
    parents=many(
        "SELECT p.n, {multiples} FROM generate_series(1, 3) p (n)", multiples=MULTIPLES.per_parent(of="p.n")
    ),
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "_from_app", lambda: ("a key of sixteen", ()))


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        yield connection


def test_each_parent_has_its_first_page_and_the_list_reads_on(conn: Any) -> None:
    found = paged(TREE).fetch(conn, count=5)
    assert found["seven"] == 7
    for parent in found["parents"]:
        of, page = parent["n"], parent["multiples"]
        assert [row["id"] for row in page["items"]] == [5 * of, 4 * of]
        following = MULTIPLES.fetch(conn, page["next"], of=of, count=5)
        assert [row["id"] for row in following.items] == [3 * of, 2 * of]
        back = MULTIPLES.fetch(conn, following.previous, of=of, count=5)
        assert (back.items, back.next) == (page["items"], page["next"])


def test_a_cursor_of_one_parent_is_none_of_another(conn: Any) -> None:
    found = paged(TREE).fetch(conn, count=5)
    cursor = found["parents"][0]["multiples"]["next"]
    for other in ({"of": 2, "count": 5}, {"of": 1, "count": 6}):
        with pytest.raises(CursorError):
            MULTIPLES.fetch(conn, cursor, **other)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_page_that_is_all_has_no_next(conn: Any, count: int) -> None:
    pages = [parent["multiples"] for parent in paged(TREE).fetch(conn, count=count)["parents"]]
    assert [(len(page["items"]), page["next"]) for page in pages] == [(count, None)] * 3


def test_a_page_of_parents_may_hold_a_page_of_children(conn: Any) -> None:
    item = one("SELECT page.id, {multiples}", multiples=MULTIPLES.per_parent(1, of="page.id"))
    parents = CursorPages("SELECT n AS id FROM generate_series(1, 3) n", order="id", size=2, item=item)
    first = parents.fetch(conn, count=2)
    assert [parent["id"] for parent in first.items] == [1, 2]
    cursor = first.items[1]["multiples"]["next"]
    assert MULTIPLES.fetch(conn, cursor, of=2, count=2).items == [{"id": 2, "text": "of 2"}]
    second = parents.fetch(conn, first.next, count=2)
    assert [parent["id"] for parent in second.items] == [3]
    numbered = NumberedPages("SELECT n AS id FROM generate_series(1, 3) n", order="id", item=item)
    cursor = numbered.fetch(conn, count=2).items[1]["multiples"]["next"]
    assert MULTIPLES.fetch(conn, cursor, of=2, count=2).items == [{"id": 2, "text": "of 2"}]


def test_sort_values_of_any_text_reach_the_cursor(conn: Any) -> None:
    """What is signed stands in a JSON text within a JSON text: quotes and backslashes must survive both."""
    hostile = "\"\\\n\t{}'%s,é\U0001f600\x7f</script>"
    texts = CursorPages("SELECT id, %(word)s || id AS word FROM generate_series(1, 3) id", order="word", size=1)
    tree = paged(one("SELECT {texts} FROM (VALUES (%(asked)s)) p (word)", texts=texts.per_parent(word="p.word")))
    page = tree.fetch(conn, asked=hostile)["texts"]
    assert page["items"] == [{"id": 1, "word": f"{hostile}1"}]
    assert texts.fetch(conn, page["next"], word=hostile).items == [{"id": 2, "word": f"{hostile}2"}]


def test_data_that_looks_like_a_mark_is_left_alone(conn: Any) -> None:
    forged = f'page:{"0" * 32}:["x", "[]", {{}}, ["1"]]'
    tree = paged(one("SELECT %(text)s AS text, {parents}", parents=TREE))
    assert tree.fetch(conn, text=forged, count=5)["text"] == forged
    body = b'{"a":"page:%s:x"}' % (b"0" * 32)
    assert with_cursors(body, new_nonce(), {}) == body


def test_a_list_with_an_item_can_be_a_page_per_parent(conn: Any) -> None:
    numbers = CursorPages(
        "SELECT n AS id FROM generate_series(1, %(top)s) n", order="-id", size=2,
        item=one("SELECT page.id, {squares}", squares=many("SELECT page.id * page.id AS square")),
    )  # fmt: skip
    tree = paged(many("SELECT p.n, {top} FROM generate_series(3, 3) p (n)", top=numbers.per_parent(top="p.n")))
    (parent,) = tree.fetch(conn)
    assert parent["top"]["items"] == [{"id": n, "squares": [{"square": n * n}]} for n in (3, 2)]
    assert "actual time" in tree.explain(conn)
    assert tree.sql == tree.node.sql


def test_no_row_is_none(conn: Any) -> None:
    assert paged(one("SELECT {tree} WHERE false", tree=TREE)).json(conn, count=1) is None


def test_forgetting_paged_is_an_error_and_no_unsigned_cursor(conn: Any) -> None:
    with pytest.raises(NodeError, match="page_nonce"):
        TREE.fetch(conn, count=5)
    with pytest.raises(NodeError, match="has no page in it"):
        paged(one("SELECT 1 AS x"))
    with pytest.raises(NodeError, match="missing count"):
        paged(TREE).fetch(conn)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"off": "p.n"}, "no parameter 'off'; it has count, of"),
        ({"of": "n"}, "must name the parent's alias"),
        ({"of": "n.id"}, "uses 'n' itself"),
        ({"of": "N.id"}, "uses 'n' itself"),
        ({"of": "f(p.a, n.b)"}, "uses 'n' itself"),
    ],
)
def test_sql_that_would_not_mean_the_parent_s_row_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(NodeError) as caught:
        MULTIPLES.per_parent(**given)
    assert said in str(caught.value)


def test_size_and_keys_of_a_page_per_parent_are_checked() -> None:
    with pytest.raises(PageError, match="from 1 to 100"):
        MULTIPLES.per_parent(101, of="p.n")
    own = CursorPages("SELECT %(of)s AS id", order="id", keys="its very own key")
    with pytest.raises(NodeError, match="keys of its own"):
        own.per_parent(of="p.n")
