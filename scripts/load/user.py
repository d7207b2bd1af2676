"""A virtual user: one request in flight, the next one as soon as the answer has come.

Runs in the generator's process. What counts as an answer, an error or a retry is decided here alone.
"""

from __future__ import annotations

import asyncio
import errno
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .connection import Connection

# A user whose connection failed waits this long (seconds). A dead server would otherwise be asked as often as
# the CPU allows, and the count of errors would measure the generator.
PAUSE_AFTER_FAILURE = 0.05

# A Unix socket with a full backlog refuses at once (EAGAIN) where TCP would wait; so we wait here (seconds).
PAUSE_BACKLOG_FULL = 0.01

KINDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect timeout",
    errno.EADDRNOTAVAIL: "no local port",
    errno.EMFILE: "too many open files",
    errno.ENOENT: "no socket",
}

clock = time.perf_counter


@dataclass
class Tally:
    """What a phase counts. Times are readings of `clock`."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    last_answer: float = 0.0
    connections: int = 0
    reopened: int = 0
    retried: int = 0
    received_bytes: int = 0


@dataclass
class Phase:
    """A stretch of load.

    Attributes:
        deadline: No request starts at or after this moment.
        quota: Requests per user; None leaves only the deadline.
        finished: Called by each user that starts no more requests.
    """

    deadline: float
    quota: int | None
    finished: Callable[[], None]
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True)
class Endpoint:
    """How to connect, and the prepared requests with the statuses that each expects."""

    connect: Callable[[asyncio.AbstractEventLoop, Connection], Any]
    requests: Sequence[tuple[bytes, frozenset[int]]]
    view: memoryview


class User:
    """Sends the requests of an endpoint in turn, starting at its own place.

    Attributes:
        is_busy: Whether this user has not yet reported the end of its phase.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint, offset: int) -> None:
        self._loop = loop
        self._endpoint = endpoint
        self._requests = endpoint.requests
        self._next = offset % len(endpoint.requests)
        self._payload, self._expect = self._requests[self._next]
        self._connection: Connection | None = None
        # The connection on its way and its task. A late report of any other one is not for us.
        self._candidate: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._started = 0.0
        self._left = -1
        self._is_asking = False
        self.is_busy = False

    def begin(self, phase: Phase) -> None:
        """Start asking; `phase.finished` is called when this user is done."""
        self._phase = phase
        self._tally = phase.tally
        # Counts down to 0; from -1 it never gets there.
        self._left = -1 if phase.quota is None else phase.quota
        self._proceed(clock())

    def give_up(self) -> None:
        """Leave the phase; a request in flight is a timeout and its connection is dropped."""
        if self._is_asking:
            self.leave()
            self._tally.errors["timeout"] += 1
        elif self._pause is not None:
            self._pause.cancel()
        self._is_asking = self.is_busy = False

    def leave(self) -> None:
        """Close what is open, or about to be."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._candidate = None
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()

    def _proceed(self, now: float) -> None:
        if now >= self._phase.deadline or self._left == 0:
            self._is_asking = self.is_busy = False
            self._phase.finished()
            return
        self._left -= 1
        self._is_asking = self.is_busy = True
        self._payload, self._expect = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        self._started = now
        self._send()

    def _send(self) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.send(self._payload)
            return
        if connection is not None:
            # It is closing and the report of its end is still to come.
            self._tally.reopened += 1
            self._connection = None
        self._candidate = Connection(self, self._endpoint.view)
        self._opening = self._loop.create_task(self._open(self._candidate))

    async def _open(self, candidate: Connection) -> None:
        while True:
            try:
                await self._endpoint.connect(self._loop, candidate)
                return
            except BlockingIOError:
                await asyncio.sleep(PAUSE_BACKLOG_FULL)
            except OSError as error:
                self._fail(_kind(error))
                return

    def _fail(self, kind: str) -> None:
        self._tally.errors[kind] += 1
        self._is_asking = False
        self._pause = self._loop.call_later(PAUSE_AFTER_FAILURE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._proceed(clock())

    # What a connection reports.

    def connected(self, connection: Connection) -> None:
        """Send the request that was waiting for the connection."""
        if connection is not self._candidate:
            connection.close()
            return
        self._connection, self._candidate, self._opening = connection, None, None
        self._tally.connections += 1
        connection.send(self._payload)

    def answered(self, connection: Connection, status: int, keep: bool) -> None:
        """Count a whole response and go on."""
        if connection is not self._connection or not self._is_asking:
            connection.close()
            return
        if not keep:
            self._connection = None
            connection.close()
        self._count(status, connection)

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """Decide what the end of a connection means for the request in flight."""
        if connection is not self._connection:
            return
        self._connection = None
        if not self._is_asking:
            self._tally.reopened += 1
        elif not connection.has_bytes and connection.served:
            # The server closed a kept connection while the request was on its way. Fresh ones are not
            # retried, so that a request is sent twice at most.
            self._tally.retried += 1
            self._send()
        elif exc is None and connection.ends_with_the_connection():
            self._count(connection.status, connection)
        elif connection.has_bytes:
            self._fail("short body")
        else:
            self._fail("closed" if exc is None else _kind(exc))

    def confused(self, connection: Connection) -> None:
        """Count bytes that are not HTTP, or not the answer to anything."""
        if connection is not self._connection:
            return
        self._connection = None
        connection.close()
        if self._is_asking:
            self._fail("protocol")

    def _count(self, status: int, connection: Connection) -> None:
        now = clock()
        tally = self._tally
        tally.received_bytes += connection.received
        connection.received = 0
        if status in self._expect:
            tally.latencies.append(now - self._started)
            tally.last_answer = now
        else:
            tally.errors[f"http {status}"] += 1
        self._proceed(now)


def _kind(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in KINDS:
        return KINDS[number]
    return (errno.errorcode.get(number, "") if number else "").lower() or type(error).__name__
