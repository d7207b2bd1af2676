"""Counts the connections that psycopg2 opens, makes single ones wait or fail: the one fake of the pool's tests."""

from __future__ import annotations

import threading
from typing import Any

import psycopg2

from .threads import DEADLINE

DRIVER: Any = psycopg2


class Connects:
    """Stands in for `psycopg2._connect`, and passes on to it.

    Attributes:
        count: calls so far.
        failures: what the next calls raise, first come, first served; None connects.
        held: while set to an event, calls wait for it before they connect.
        entered: set when a call has come in.
    """

    def __init__(self) -> None:
        self.original = DRIVER._connect
        self.count = 0
        self.failures: list[BaseException | None] = []
        self.held: threading.Event | None = None
        self.entered = threading.Event()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        self.entered.set()
        failure = self.failures.pop(0) if self.failures else None
        if self.held is not None and not self.held.wait(DEADLINE):
            raise AssertionError("nobody let the connect go on")
        if failure is not None:
            raise failure
        return self.original(*args, **kwargs)
