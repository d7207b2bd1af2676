"""Watching is switched on and off, tells of each loop once a minute, and strict mode raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from backend import RepeatsError, connection, events, log_end, monitor, settings, watch
from backend.events import QueryGroup, Repeats, RequestEnded
from backend.fingerprint import statement_of
from backend.query_table import query_table
from tests.support.ended import tell


@pytest.fixture(autouse=True)
def _nothing_stays_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "_logged", {})
    yield
    watch.stop()
    watch.start(settings.load({"DB_REPEATS": "log"}))
    watch.stop()
    query_table.clear()


def _ended(count: int, line: int = 7, method: str = "execute", rows: int = 1) -> RequestEnded:
    sql = "INSERT INTO items VALUES (%s)" if method == "executemany" else "SELECT name FROM items WHERE id = %s"
    group = QueryGroup(
        statement_of(sql), f"views.py:{line} in profile", count, 0.06, 0.01, (), rows, method=method
    )
    return RequestEnded("request", "GET", "/profile", 200, 0.1, "abc", (group,), count, 0.06)


def _reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "backend.watch"]


def test_a_loop_is_logged_once_with_its_line_and_request(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load())
    for _ in range(3):
        tell(_ended(60))
    (line,) = _reported(caplog)
    assert line.startswith(
        "60 repeated queries in /profile, 60 ms (60% of it): views.py:7 in profile: 60 x select name"
    )
    assert (caplog.records[-1].levelno, vars(caplog.records[-1])["request_id"]) == (logging.WARNING, "abc")


def test_another_line_is_another_loop(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load())
    tell(_ended(60))
    tell(_ended(60, line=8))
    assert len(_reported(caplog)) == 2


def test_what_was_held_back_is_summed_up_a_minute_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.start(settings.load())
    for _ in range(4):
        tell(_ended(60))
    monkeypatch.setattr(watch, "AGAIN_AFTER", -1.0)
    tell(_ended(60))
    assert "(3 more requests like it since the last line)" in _reported(caplog)[-1]


def test_up_to_the_limit_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load({"DB_REPEAT_LIMIT": 10}))
    tell(_ended(10))
    assert not _reported(caplog)
    tell(_ended(11))
    assert len(_reported(caplog)) == 1


def test_a_limit_of_zero_is_off(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load({"DB_REPEAT_LIMIT": 0, "DB_REPEATS": "raise"}))
    tell(_ended(60))
    watch.raise_repeats(_ended(60))
    assert not _reported(caplog)


def test_a_limit_of_zero_after_another_is_off_as_well(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load())
    watch.start(settings.load({"DB_REPEAT_LIMIT": 0}))
    assert log_end._judge is None
    tell(_ended(60))
    assert not _reported(caplog)


def test_one_executemany_of_many_rows_is_told_although_it_is_one_call(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load())
    tell(_ended(1, method="executemany", rows=500))
    assert "500 x insert into items" in _reported(caplog)[0]


def test_strict_mode_raises_and_else_nothing_is_raised() -> None:
    watch.start(settings.load())
    watch.raise_repeats(_ended(60))
    watch.start(settings.load({"DB_REPEATS": "raise"}))
    watch.raise_repeats(None)
    watch.raise_repeats(_ended(5))
    with pytest.raises(RepeatsError, match="60 repeated queries") as caught:
        watch.raise_repeats(_ended(60))
    assert [found.count for found in caught.value.found] == [60]


def test_switching_on_twice_and_off_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    watch.start(settings.load())
    watch.start(settings.load())
    assert connection.monitored is monitor.cursor_of
    tell(_ended(60))
    assert len(_reported(caplog)) == 1
    watch.stop()
    watch.stop()
    assert connection.monitored is None
    assert not events.has_listener(Repeats)
    tell(_ended(60))
    assert len(_reported(caplog)) == 1


def test_loops_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_LOGGED", 10)
    watch.start(settings.load())
    for line in range(50):
        tell(_ended(60, line=line))
    assert len(watch._logged) <= 10
