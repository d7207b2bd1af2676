"""What is said about a plan, and when nothing is."""

from __future__ import annotations

from typing import Any

import pytest

from backend.catalog import Catalog, Index, Table
from backend.plan_reading import BIG, reading

SCAN: dict[str, Any] = {
    "Node Type": "Seq Scan", "Schema": "public", "Relation Name": "visits", "Alias": "v",
    "Filter": "(v.customer_id = 5)",
}  # fmt: skip
SENTENCE = "reads all of visits (8 MB) to find rows by customer_id, and no index begins with that"


def catalog(*indexes: tuple[str | None, ...], pages: int = 1024) -> Catalog:
    made = tuple(Index(f"i{n}", columns, False, False, "btree", None) for n, columns in enumerate(indexes))
    return Catalog((Table(1, "public", "visits", "r", pages, True, "visits", {}, made),), ())


def test_a_big_table_read_in_full_without_an_index_is_named() -> None:
    assert reading(SCAN, catalog(("id",))) == SENTENCE
    assert reading({"Node Type": "Limit", "Plans": [SCAN, SCAN]}, catalog()) == SENTENCE
    assert reading({**SCAN, "Parallel Aware": True}, catalog()) == SENTENCE


@pytest.mark.parametrize("given", [
    {"Filter": "(v.customer_id > 5)"}, {"Filter": "((v.customer_id = 5) OR (v.id = 4))"},
    {"Node Type": "Index Scan"}, {"Filter": "(lower(v.name) = 'x'::text)"},
    {"Schema": "other"}, {"Filter": "(v.name ~~ 'v.id = 5'::text)"},
])  # fmt: skip
def test_nothing_is_said_about_what_is_not_certain(given: dict[str, Any]) -> None:
    assert reading({**SCAN, **given}, catalog()) == ""


def test_nothing_is_said_where_an_index_begins_with_the_column_or_the_table_is_small() -> None:
    assert reading(SCAN, catalog(("customer_id", "at"))) == ""
    assert reading(SCAN, catalog(pages=BIG - 1)) == ""
    assert reading({key: value for key, value in SCAN.items() if key != "Filter"}, catalog()) == ""


def test_of_two_columns_one_with_an_index_is_enough() -> None:
    both = {**SCAN, "Filter": "((v.customer_id = 5) AND ((v.kind)::text = 'x'::text))"}
    assert reading(both, catalog(("kind",))) == ""
    assert "by customer_id or kind," in reading(both, catalog())
