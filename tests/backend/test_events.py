"""Events reach who listens; a listener that fails harms nobody."""

from __future__ import annotations

import logging
from dataclasses import FrozenInstanceError, dataclass

import pytest

from backend import events
from backend.events import RepeatedLine, emit, has_listener, listen, unlisten
from backend.fingerprint import statement_of


@dataclass(frozen=True)
class Happened:
    """Something did."""

    number: int


class Other(Happened):
    """Something else did."""


def test_each_listener_hears_each_event_once_in_order() -> None:
    heard: list[tuple[str, int]] = []

    def first(event: Happened) -> None:
        heard.append(("first", event.number))

    def second(event: Happened) -> None:
        heard.append(("second", event.number))

    for listener in (first, first, second):
        listen(Happened, listener)
    emit(Happened(1))
    emit(Other(2))  # of another kind, though a child
    unlisten(Happened, first)
    emit(Happened(3))
    unlisten(Happened, second)
    emit(Happened(4))
    assert heard == [("first", 1), ("second", 1), ("second", 3)]
    assert not has_listener(Happened)


def test_who_never_listened_can_stop_listening() -> None:
    unlisten(Happened, print)
    assert not has_listener(Happened)


def test_a_listener_that_fails_is_logged_once_and_the_others_hear(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_failed", set())
    heard: list[int] = []

    def fail(_: Happened) -> None:
        raise RuntimeError("broken")

    def hear(event: Happened) -> None:
        heard.append(event.number)

    listen(Happened, fail)
    listen(Happened, hear)
    with caplog.at_level(logging.ERROR):
        emit(Happened(1))
        emit(Happened(2))
    unlisten(Happened, fail)
    unlisten(Happened, hear)
    assert heard == [1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "a listener of Happened failed; this is logged once"
    ]


def test_a_listener_may_stop_listening_while_it_is_told() -> None:
    heard: list[int] = []

    def once(event: Happened) -> None:
        unlisten(Happened, once)
        heard.append(event.number)

    listen(Happened, once)
    emit(Happened(1))
    emit(Happened(2))
    assert heard == [1]


def test_records_cannot_be_changed() -> None:
    line = RepeatedLine("a.py:1 in f", statement_of("SELECT 1"), 2, 0.1)
    with pytest.raises(FrozenInstanceError):
        line.count = 3  # type: ignore[misc]
