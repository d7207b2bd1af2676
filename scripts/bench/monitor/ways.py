"""The cursors that are compared. Each way says which connection it takes, and what is switched on around it."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg2.extras import MinTimeLoggingConnection

from backend import watch
from backend.settings import Settings, load

from .lines import ask, ask_in_a_loop

Ask = Callable[[Any, str, int], None]


def settings_of(dsn: str, **more: Any) -> Settings:
    """Return the kit's settings, with nothing of the environment's own."""
    return load(keywords={"DATABASE_URL": dsn, **more}, environ={})


class Proxy:
    """A cursor in an object of its own, as tracers have it: each attribute is looked up twice."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.noted: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, query: str, values: Any = None) -> Any:
        """Execute and note the time."""
        start = time.perf_counter()
        try:
            return self._cursor.execute(query, values)
        finally:
            self.noted.append((query, time.perf_counter() - start, sys._getframe(1).f_lineno))


_LITERALS = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|%s|\s+")


class Naive(Proxy):
    """What one writes first: the text is normalised and the stack walked, each time."""

    def execute(self, query: str, values: Any = None) -> Any:
        """Execute and note the time, the statement and the lines."""
        start = time.perf_counter()
        try:
            return self._cursor.execute(query, values)
        finally:
            taken = time.perf_counter() - start
            text = _LITERALS.sub(lambda found: " " if found[0].isspace() else "?", query)
            frame, sites = sys._getframe(1), list[Any]()
            while frame is not None and len(sites) < 8:
                sites.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
                frame = frame.f_back  # type: ignore[assignment]
            self.noted.append((text, taken, sites))


class Logging(MinTimeLoggingConnection):
    """psycopg2's own, with a limit that nothing reaches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initialize(logging.getLogger("harden.bench"), mintime=3_600_000)


@dataclass(frozen=True)
class Way:
    """One line of the table.

    Attributes:
        key, label: its names.
        place: the connection: "plain", "logging" of psycopg2's own, or "lease".
        wrap: what is put around a cursor.
        switch: "off", "on", or "comments": what the kit watches.
        in_request: whether each batch is a request of its own, with its end.
        ask: the lines that ask.
    """

    key: str
    label: str
    place: str = "lease"
    wrap: Callable[[Any], Any] | None = None
    switch: str = "off"
    in_request: bool = False
    ask: Ask = ask


WAYS = (
    Way("plain", "psycopg2's cursor", "plain"),
    Way("lease", "a lease, not watched"),
    Way("outside", "watched, outside a request", switch="on"),
    Way("request", "watched, in a request", switch="on", in_request=True),
    Way("loop", "the same, all from one line", switch="on", in_request=True, ask=ask_in_a_loop),
    Way("comments", "with comments in the SQL", switch="comments", in_request=True),
    Way("logging", "psycopg2's MinTimeLoggingConnection", "logging"),
    Way("proxy", "a proxy around the cursor", "plain", Proxy),
    Way("naive", "normalised and walked each time", "plain", Naive),
)
BY_KEY = {way.key: way for way in WAYS}


class Switch:
    """Watching, on and off.

    Args:
        dsn: for the settings.
    """

    def __init__(self, dsn: str) -> None:
        self._settings = {
            "on": settings_of(dsn), "comments": settings_of(dsn, DB_SQL_COMMENTS=True),
        }  # fmt: skip
        self._now = "off"

    def turn(self, to: str) -> None:
        """Switch it."""
        if to == self._now:
            return
        if self._now != "off":
            watch.stop()
        if to != "off":
            watch.start(self._settings[to])
        self._now = to
