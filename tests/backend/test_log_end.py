"""Requests told of together and one by one are the same to who listens, and one that fails harms no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend import log_end, monitor, own_failures, watch
from backend.events import Repeats, RequestEnded, RequestsEnded, RequestSums, listen, unlisten
from backend.lines import Call
from backend.query_log import QueryLog
from backend.settings import load


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(own_failures, "_said", set())
    yield
    watch.stop()


@pytest.fixture
def heard() -> Iterator[Callable[[type[Any]], list[Any]]]:
    """A function that listens to events of a kind from now on, and returns the list that they go to."""
    kept: list[tuple[type[Any], Any]] = []

    def hear(kind: type[Any]) -> list[Any]:
        found: list[Any] = []
        kept.append((kind, found.append))
        listen(*kept[-1])
        return found

    yield hear
    for kind, listener in kept:
        unlisten(kind, listener)


def request(route: str = "/", *queries: Any, times: int = 1, rows: int = 1, failed: int = 0) -> QueryLog:
    """Return a request that has asked some queries in a loop."""
    log, frame = QueryLog("request", "GET", route, "id"), sys._getframe(1)
    for number in range(times):
        for query in queries:
            log.note(query, 0.25, rows, frame, frame.f_lasti, (number,), failed)
    return log


def over(*logs: QueryLog) -> list[tuple[QueryLog, RequestSums]]:
    return [
        (log, RequestSums("request", "GET", log.route, 200, 2.0, *log.sums(), is_counted=True)) for log in logs
    ]


def kinds_of_requests() -> list[QueryLog]:
    insert = Call(("executemany", "INSERT INTO t VALUES (%s)"))
    return [
        request("/none"), request("/one", "SELECT 1"), request("/loop", "SELECT a FROM t WHERE id = %s", times=9),
        request("/below", "SELECT a FROM t WHERE id = %s", times=5), request("/many", insert, rows=500),
        request("/texts", *[f"SELECT a FROM t WHERE id = {number}" for number in range(8)]),
        request("/failed", "SELECT b FROM t WHERE id = %s", times=7, failed=1),
        request("/long", "SELECT a FROM t WHERE id = %s", times=700),
        request("/few", insert, rows=5), request("/pages", "SELECT 1", "SELECT 2", "SELECT a FROM t", times=3),
    ]  # fmt: skip


def test_repeats_are_found_in_many_at_once_exactly_as_one_by_one(heard: Any) -> None:
    watch.start(load({"HARDEN_METRICS": False}, {}, {}))
    found = heard(Repeats)
    alone, together = [kinds_of_requests() for _ in range(2)]
    for log in alone:
        log_end.tell_one(log, 200, 2.0)
    one_by_one = list(found)
    found.clear()
    log_end.tell(over(*together))
    assert [each.route for each in one_by_one] == ["/loop", "/many", "/texts", "/failed", "/long", "/pages"]
    assert found == one_by_one
    assert [each.count for each in found] == [9, 500, 8, 7, 700, 6]


def test_the_sums_are_the_same_together_and_one_by_one(heard: Any) -> None:
    def sums(told: list[RequestsEnded]) -> dict[Any, list[Any]]:
        added: dict[Any, list[Any]] = {}
        for line in (line for event in told for line in event.lines):
            row = added.setdefault((line.statement.id, line.site), [0, 0.0, 0.0, 0, 0, 0, 0])
            for at, amount in enumerate([line.count, line.seconds, line.rows, line.errors, line.requests]):
                row[at] += amount
            row[-1] = max(row[-1], line.most)
        return added

    told = heard(RequestsEnded)
    for log in kinds_of_requests():
        log_end.tell_one(log, 200, 2.0)
    one_by_one = list(told)
    told.clear()
    log_end.tell(over(*kinds_of_requests()))
    assert len(told) == 1
    assert sums(told) == sums(one_by_one)
    assert [each._replace(is_counted=False) for each in told[0].requests] == [
        each for event in one_by_one for each in event.requests
    ]


def test_who_listens_to_each_hears_of_each(heard: Any) -> None:
    told = heard(RequestEnded)
    log_end.tell(over(*kinds_of_requests()))
    asked = [(log.route, log.sums()[0]) for log in kinds_of_requests()]
    assert [(each.route, each.queries) for each in told] == asked
    assert all(each.is_counted and each.seconds == 2.0 for each in told)


def test_what_nobody_needs_is_not_worked_out() -> None:
    judged: list[RequestEnded] = []
    log_end.judge(5, judged.append)
    quiet, loud = request("/quiet", "SELECT 1", times=5), request("/loud", "SELECT 1", times=9)
    quiet.worked = loud.worked = None
    log_end.tell(over(quiet, loud))
    assert [each.route for each in judged] == ["/loud"]
    assert quiet.worked is None
    log_end.judge(0, None)
    other = request("/loud", "SELECT 1", times=9)
    other.worked = None
    log_end.tell(over(other))
    assert other.worked is None


def test_a_log_that_fails_leaves_the_figures_of_the_others_right(heard: Any, caplog: Any) -> None:
    class Broken(QueryLog):
        def __iter__(self) -> Any:
            raise RuntimeError("broken")

    told = heard(RequestsEnded)
    broken = Broken("request", "GET", "/broken", "id")
    broken.append(("SELECT 1", 0.25, 1, sys._getframe().f_code, 0))
    before, after = (request(route, "SELECT 1", times=times) for route, times in (("/a", 3), ("/b", 4)))
    its_sums = RequestSums("request", "GET", "/broken", 500, 1.0, 1, 0.25, is_counted=True)
    log_end.tell([*over(before), (broken, its_sums), *over(after)])
    (event,) = told
    assert [each.route for each in event.requests] == ["/a", "/broken", "/b"]
    (line,) = event.lines
    assert (line.count, line.requests, line.most, line.route) == (7, 2, 4, "/b")
    assert [record.getMessage() for record in caplog.records] == ["the monitor failed; this is logged once"]


def test_a_judge_that_fails_keeps_nobody_from_hearing(heard: Any, caplog: Any) -> None:
    def broken(_: RequestEnded) -> None:
        raise RuntimeError("broken")

    told, each = heard(RequestsEnded), heard(RequestEnded)
    log_end.judge(0, broken)
    log_end.tell(over(request("/a", "SELECT 1"), request("/b", "SELECT 1")))
    assert [event.route for event in each] == ["/a", "/b"]
    assert len(told[0].requests) == 2
    assert len(caplog.records) == 1


def test_a_block_s_queries_count_unless_a_request_or_block_around_has_them_too(heard: Any) -> None:
    told, frame = heard(RequestsEnded), sys._getframe()
    with monitor.watching("outer") as outer:
        with monitor.watching("inner") as inner:
            inner.note("SELECT 1", 0.25, 1, frame, frame.f_lasti, None, 0)
        assert told == []
        assert outer.query_count == 1
    (event,) = told
    assert [(each.kind, each.route, each.queries) for each in event.requests] == [("block", "outer", 1)]
    assert [line.count for line in event.lines] == [1]


def test_what_a_thread_asks_after_the_end_is_not_counted_and_takes_no_room(heard: Any) -> None:
    told = heard(RequestsEnded)
    log = request("/a", "SELECT 1")
    log_end.tell(over(log))
    frame = sys._getframe()
    log.note("SELECT 1", 0.25, 1, frame, frame.f_lasti, None, 0)
    for _ in range(100):
        log.append(("SELECT 1", 0.25, 1, frame.f_code, 0))
        if len(log) >= log.next_look:
            log.look(None, frame)
    assert len(log) < 10
    assert [line.count for line in told[0].lines] == [1]
