"""What is over is counted at once and told of soon: nothing is lost, told twice or kept for long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backend import monitor, own_failures, request_end
from backend.events import RequestEnded, listen, unlisten
from backend.monitor import QueryLog, watching
from tests.support.children import FORKS, in_child


@pytest.fixture
def told() -> Iterator[list[RequestEnded]]:
    """What listeners are told."""
    events: list[RequestEnded] = []
    listen(RequestEnded, events.append)
    yield events
    unlisten(RequestEnded, events.append)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What is counted at once; requests are told of eight at a time, whatever the time."""
    seen: list[Any] = []
    monkeypatch.setattr(request_end, "BATCH", 8)
    monkeypatch.setattr(request_end, "PATIENCE", 1e9)
    monkeypatch.setattr(request_end, "_last", 1e18)
    request_end.batch(lambda *count: seen.append((*count[:3], *count[4:])))
    yield seen
    request_end.batch(None)


def request(route: str = "/", queries: int = 2) -> None:
    """Make a request with some queries."""
    log = monitor.begin(QueryLog("request", "GET", route))
    frame = sys._getframe()
    for _ in range(queries):
        log.note("SELECT 1", 0.25, 1, frame, frame.f_lasti, None, 0)
    request_end.end(log, 200)


def test_a_request_is_counted_at_once_and_told_of_with_others(told: list[Any], counted: list[Any]) -> None:
    for number in range(7):
        request(f"/{number}")
    assert counted == [(f"/{number}", "GET", 200, 2, 0.5) for number in range(7)]
    assert told == []
    request("/7")
    assert [(event.route, event.queries, event.is_counted) for event in told] == [
        (f"/{number}", 2, True) for number in range(8)
    ]
    assert monitor.current() is None


def test_a_quiet_worker_tells_at_once(told: list[Any], counted: list[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(request_end, "_last", float("-inf"))
    request()
    assert len(told) == 1


def test_a_flush_tells_of_all_that_wait(told: list[Any], counted: list[Any]) -> None:
    request()
    request()
    request_end.flush()
    request_end.flush()
    assert len(told) == 2


def test_the_time_is_that_of_the_request_and_not_of_its_wait(told: list[Any], counted: list[Any]) -> None:
    log = monitor.begin(QueryLog())
    log.started -= 5.0
    request_end.end(log, 200)
    log.started -= 100.0
    request_end.flush()
    assert 5.0 <= told[0].seconds < 60.0


def test_a_request_inside_a_block_is_told_of_at_once(told: list[Any], counted: list[Any]) -> None:
    with watching() as outer:
        request()
        assert [event.is_counted for event in told] == [False]
        assert outer.query_count == 2


def test_without_metrics_each_request_is_told_of_at_once(told: list[Any]) -> None:
    request_end.batch(None)
    request()
    assert [event.is_counted for event in told] == [False]


def test_a_count_that_fails_leaves_the_request_to_be_counted_later(
    told: list[Any], counted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(own_failures, "_said", set())
    monkeypatch.setattr(request_end, "_count", broken)
    request()
    request_end.flush()
    assert [event.is_counted for event in told] == [False]


def test_switching_it_off_tells_of_what_waits(told: list[Any], counted: list[Any]) -> None:
    request()
    request_end.batch(None)
    assert len(told) == 1


def test_eight_threads_lose_and_double_nothing(told: list[Any], counted: list[Any]) -> None:
    threads = [threading.Thread(target=lambda: [request() for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    request_end.flush()
    assert len(told) == len(counted) == 1600
    assert sum(event.queries for event in told) == 3200


@FORKS
def test_a_forked_child_tells_of_no_request_of_its_parent_s(told: list[Any], counted: list[Any]) -> None:
    request()
    request_end.in_flight[1] = 0.0

    def child() -> tuple[int, int]:
        request_end.after_fork()
        request_end.flush()
        return len(told), len(request_end.in_flight)

    try:
        assert in_child(child) == (0, 0)
    finally:
        del request_end.in_flight[1]
    request_end.flush()
    assert len(told) == 1


def test_a_request_s_route_is_counted_and_its_environ_let_go_of(told: list[Any], counted: list[Any]) -> None:
    class Matched:
        class url_rule:
            rule = "/users/<id>"

    log = monitor.begin(QueryLog("request", "GET", environ={"werkzeug.request": Matched}))
    request_end.end(log, 200)
    assert (counted[0][0], log.environ) == ("/users/<id>", None)
    request_end.flush()
    assert [event.route for event in told] == ["/users/<id>"]
