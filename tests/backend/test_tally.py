"""The sums of many requests are what each request's own groups add up to, however its queries were noted."""

from __future__ import annotations

import sys
from collections import defaultdict
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from backend.lines import Call
from backend.query_log import QueryLog
from backend.tally import LineSums, Tally


def asking() -> FrameType:
    """A line of text with several calls, and one with another."""
    _ = sys.exc_info(), sys.exc_info()
    return sys._getframe()


FRAME = asking()
CODE = FRAME.f_code
_starts: dict[int, list[int]] = {}
for _start, _, _line in CODE.co_lines():
    _starts.setdefault((_line or 0) - CODE.co_firstlineno, []).append(_start)
FIRST, SECOND, OTHER = _starts[2][0], _starts[2][-1], _starts[3][0]
QUERIES = [
    "SELECT a FROM t", "SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 2", b"SELECT a FROM t",
    "UPDATE t SET a = 1", sql.SQL("SELECT {}").format(sql.Literal(1)), sql.SQL("SELECT {}").format(sql.Literal(2)),
    Call(("callproc", "CALL f()")), "SELECT " + "1, " * 5000,
]  # fmt: skip
# Which query, from which line or call that sends pages, how many rows, and whether it failed.
asked = st.tuples(
    st.sampled_from(range(len(QUERIES))),
    st.sampled_from([FIRST, OTHER, -1 - OTHER]),
    st.integers(0, 50),
    st.booleans(),
)
logs = st.lists(st.tuples(st.booleans(), st.lists(asked, max_size=12)), max_size=12)


def note(log: QueryLog, query: Any, times: int = 1, instruction: int = FIRST, rows: int = 1) -> None:
    for _ in range(times):
        log.append((query, 0.25, rows, CODE, instruction))


def log_of(route: str, queries: list[tuple[int, int, int, bool]], may_fail: bool) -> QueryLog:
    """Return a log, filled by the path that the monitor takes; one where something failed is counted already."""
    log = QueryLog("request", "GET", route)
    for number, instruction, rows, failed in queries:
        if failed and may_fail:
            log.note(QUERIES[number], 0.25, rows, FRAME, instruction, None, 1)
        else:
            log.append((QUERIES[number], 0.25, rows, CODE, instruction))
    return log


def added(*all_logs: QueryLog) -> list[LineSums]:
    tally = Tally()
    for log in all_logs:
        if log.is_counted:
            tally.add_groups(log.groups(), log.route)
        else:
            tally.add(log)
    return tally.lines()


@settings(max_examples=300, deadline=None)
@given(logs)
def test_the_sums_are_those_of_each_request_s_groups(given_logs: list[Any]) -> None:
    """By brute force: each log alone is worked out as it is for those who listen to each."""
    expected: dict[Any, dict[str, Any]] = defaultdict(
        lambda: {"count": 0, "seconds": 0.0, "rows": 0, "errors": 0, "requests": 0, "most": 0}
    )
    for number, (may_fail, queries) in enumerate(given_logs):
        for group in log_of(f"/{number}", queries, may_fail).end():
            sums = expected[group.statement.id, group.site, group.method, group.is_batch]
            for name, amount in [
                ("count", group.count), ("seconds", group.seconds), ("rows", group.rows),
                ("errors", group.errors), ("requests", 1),
            ]:  # fmt: skip
                sums[name] += amount
            sums["most"] = max(sums["most"], group.count)
    lines = added(*(log_of(f"/{number}", each[1], each[0]) for number, each in enumerate(given_logs)))
    found: dict[Any, dict[str, Any]] = {}
    for line in lines:
        key = line.statement.id, line.site, line.line.method, line.line.instruction < 0
        assert key not in found
        found[key] = {name: getattr(line, name) for name in next(iter(expected.values()))}
        assert line.slowest == 0.25
        assert len(line.durations) == line.count
    assert found == dict(expected)


def test_the_most_runs_of_one_request_are_told_with_its_route() -> None:
    logs = []
    for route, times in (("/a", 2), ("/worst", 9), ("/b", 9), ("/c", 1)):
        logs.append(QueryLog("request", "GET", route))
        note(logs[-1], "SELECT 1", times)
    (line,) = added(*logs)
    assert (line.requests, line.count, line.most, line.route) == (4, 21, 9, "/worst")


@pytest.mark.parametrize("counted", [0, 1, 2, 3])
def test_the_worst_is_found_also_among_those_that_were_counted_already(counted: int) -> None:
    logs = []
    for number, times in enumerate((3, 8, 4, 7)):
        logs.append(QueryLog("request", "GET", f"/{number}"))
        note(logs[-1], "SELECT 1", times)
    logs[counted].groups()
    assert logs[counted].is_counted
    (line,) = added(*logs)
    assert (line.requests, line.count, line.most, line.route) == (4, 22, 8, "/1")


def test_texts_that_differ_in_their_values_alone_are_one_line_of_one_request() -> None:
    log = QueryLog("request", "GET", "/loop")
    for number in range(30):
        note(log, f"SELECT name FROM t WHERE id = {number}")
    tally = Tally()
    assert tally.add(log) == 30
    (line,) = tally.lines()
    assert (line.count, line.requests, line.most, line.route) == (30, 1, 30, "/loop")
    log.groups()
    (line,) = added(log)
    assert (line.count, line.requests, line.most, line.route) == (30, 1, 30, "/loop")


def test_two_calls_on_one_line_of_text_are_one_line_that_repeats() -> None:
    log = QueryLog()
    for instruction in (FIRST, SECOND):
        note(log, "SELECT 1", 3, instruction)
    assert FIRST != SECOND
    assert Tally().add(log) == 6


def test_different_lines_are_not_added_up() -> None:
    log = QueryLog()
    note(log, "SELECT 1", 3)
    note(log, "SELECT a FROM t", 4)
    note(log, "SELECT 1", 4, OTHER)
    assert Tally().add(log) == 4


def test_one_executemany_may_be_many_runs() -> None:
    """It is a round trip for each row, and how many there were is known by its rows alone."""
    alone, with_others = QueryLog(), QueryLog()
    note(alone, Call(("executemany", "INSERT INTO t VALUES (%s)")), rows=500)
    note(with_others, "SELECT 1")
    note(with_others, Call(("executemany", "INSERT INTO t VALUES (%s)")), rows=500)
    for log in (alone, with_others):
        assert Tally().add(log) > 1000


def test_nothing_adds_up_to_nothing() -> None:
    tally = Tally()
    assert tally.add(QueryLog()) == 0
    tally.add_groups([], "/")
    assert tally.lines() == []


def test_what_the_driver_does_not_say_counts_as_no_rows() -> None:
    log = QueryLog()
    note(log, "SET x = 1", 3, rows=-1)
    (line,) = added(log)
    assert (line.rows, line.count) == (0, 3)
