"""The table of slow statements: bounded, right in threads, and no flood of log lines."""

from __future__ import annotations

import os

from backend.events import SlowQuery
from backend.fingerprint import statement_of
from backend.slow_table import AGAIN_AFTER, MOST_KEPT, MOST_LINES, MOST_ROUTES, SlowTable
from tests.support.threads import together


def query(text: str = "SELECT a FROM t", seconds: float = 1.0, route: str = "", state: str = "") -> SlowQuery:
    return SlowQuery(statement_of(text), "app.py:1 in view", seconds, 1, route=route, sqlstate=state)


def test_a_minute_has_one_line_and_what_it_held_back() -> None:
    table = SlowTable()
    assert table.add(query(), 100.0) == (0, 0.0, 0)
    assert [table.add(query(seconds=2.0), 100.0 + n) for n in range(3)] == [None] * 3
    assert table.add(query(), 100.0 + AGAIN_AFTER) == (3, 6.0, 0)
    assert table.add(query(), 101.0 + AGAIN_AFTER) is None
    assert table.add(query(), 100.0 + 2 * AGAIN_AFTER) == (1, 1.0, 0)


def test_another_statement_has_a_line_of_its_own() -> None:
    table = SlowTable()
    assert table.add(query("SELECT a FROM t"), 1.0) is not None
    assert table.add(query("SELECT b FROM t"), 1.0) is not None


def test_a_timeout_has_a_line_though_the_statement_was_slow_before() -> None:
    table = SlowTable()
    assert table.add(query(), 1.0) == (0, 0.0, 0)
    assert table.add(query(state="57014"), 2.0) == (0, 0.0, 0)
    assert table.add(query(), 3.0) is None
    assert table.add(query(state="57014"), 3.0) is None


def test_a_million_statements_take_no_more_room_than_five_hundred() -> None:
    table = SlowTable()
    table.add(query("SELECT the_worst", seconds=1000.0), 0.0)
    for number in range(3 * MOST_KEPT):
        table.add(query(f"SELECT c{number}", route=f"/{number}"), 0.0)
    assert len(table.top(10_000)) <= MOST_KEPT
    assert table.top(1)[0]["statement"]["text"] == "select the_worst"


def test_routes_are_few_and_errors_are_counted() -> None:
    table = SlowTable()
    for number in range(2 * MOST_ROUTES):
        table.add(query(route=f"/{number}", state="57014" if number % 2 else ""), 0.0)
    (row,) = table.top(10)
    assert len(row["routes"]) == MOST_ROUTES
    assert (row["count"], row["failed"], row["timeouts"]) == (20, 10, 0)
    table.clear()
    assert table.top(10) == []


def test_a_storm_of_different_statements_has_sixty_lines_a_minute() -> None:
    table = SlowTable()
    logged = [table.add(query(f"SELECT c{number}"), 5.0) for number in range(MOST_LINES + 40)]
    assert [due is not None for due in logged] == [True] * MOST_LINES + [False] * 40
    assert table.add(query("SELECT d"), 5.0 + AGAIN_AFTER) == (0, 0.0, 40)
    assert table.add(query("SELECT e"), 5.0 + AGAIN_AFTER) == (0, 0.0, 0)


def test_threads_lose_no_count() -> None:
    table = SlowTable()
    together(8, lambda _: [table.add(query(f"SELECT c{n % 3}"), 0.0) for n in range(300)])
    assert sum(row["count"] for row in table.top(10)) == 2400


def test_a_forked_child_counts_its_own() -> None:
    table = SlowTable()
    table.add(query(), 0.0)
    table._lock.acquire()  # as another thread of the parent might
    table._pid = os.getpid() + 1  # what a child sees
    assert table.add(query(), 0.0) == (0, 0.0, 0)
    assert table.top(10)[0]["count"] == 1
