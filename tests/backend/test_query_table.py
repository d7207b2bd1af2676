"""The table keeps the most expensive queries, whatever comes, and its sums stay true."""

from __future__ import annotations

import json

import pytest

from backend import query_table
from backend.events import QueryGroup, RequestEnded, RequestsEnded
from backend.fingerprint import statement_of
from backend.query_table import QueryTable
from tests.support.ended import requests_ended
from tests.support.threads import Running


def _ended(*groups: QueryGroup, route: str = "/profile") -> RequestsEnded:
    return requests_ended(RequestEnded("request", "GET", route, 200, 1.0, "", groups, len(groups), 0.1))


def _group(number: int, count: int = 1, seconds: float = 0.001, errors: int = 0) -> QueryGroup:
    return QueryGroup(
        statement_of(f"SELECT column_{number} FROM items"),
        "a.py:1 in f",
        count,
        seconds,
        seconds,
        (),
        count,
        errors,
    )


def test_runs_of_one_statement_and_line_are_summed_up() -> None:
    table = QueryTable()
    table.add(_ended(_group(1, 3, 0.3)))
    table.add(_ended(_group(1, 60, 0.2), route="/worst"))
    table.add(_ended(_group(1, 1, 0.5, errors=1)))
    (row,) = table.top()
    assert (row["count"], row["rows"], row["errors"], row["requests"]) == (64, 64, 1, 3)
    assert row["seconds"] == pytest.approx(1.0)
    assert (row["slowest"], row["most_per_request"], row["route"]) == (0.5, 60, "/worst")
    assert json.loads(json.dumps(row))["statement"]["text"] == "select column_1 from items"


@pytest.mark.parametrize(
    ("by", "first"), [("seconds", 2), ("slowest", 2), ("count", 1), ("most_per_request", 1), ("errors", 3)]
)
def test_the_top_is_by_what_was_asked_for(by: str, first: int) -> None:
    table = QueryTable()
    table.add(_ended(_group(1, 60, 0.1), _group(2, 1, 0.9), _group(3, 2, 0.2, errors=2)))
    assert table.top(1, by)[0]["statement"]["text"] == f"select column_{first} from items"


def test_a_hundred_thousand_statements_take_the_room_of_a_thousand_and_none_is_lost_from_the_sum() -> None:
    table = QueryTable()
    table.add(_ended(_group(-1, 1, 99.0)))
    for start in range(0, 5000, 100):
        table.add(_ended(*(_group(number) for number in range(start, start + 100))))
    assert len(table.rows) <= query_table.MOST_KEPT
    assert table.forgotten + sum(row.count for row in table.rows.values()) == 5001
    kept = sum(row.seconds for row in table.rows.values())
    assert table.forgotten_seconds + kept == pytest.approx(99.0 + 5.0)
    assert table.top(1)[0]["seconds"] == 99.0


def test_threads_lose_no_count() -> None:
    table = QueryTable()
    ended = _ended(_group(1), _group(2))
    running = [Running(lambda: [table.add(ended) for _ in range(500)]) for _ in range(4)]
    for each in running:
        each.join()
    assert [row["count"] for row in table.top()] == [2000, 2000]


def test_a_cleared_table_is_empty() -> None:
    table = QueryTable()
    table.add(_ended(_group(1)))
    table.clear()
    assert (table.top(), table.forgotten) == ([], 0)
