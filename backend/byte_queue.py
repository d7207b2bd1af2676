"""A queue of a few chunks between the thread that COPY fills and the one that sends: its bound is back-pressure.

When it is full, the filling thread waits, then PostgreSQL does: memory stays flat whatever the client does.
A client that takes nothing for too long is given up. Must not import anything of ours but the errors.
If this is wrong, a slow client fills the memory, or keeps a connection for ever.
"""

from __future__ import annotations

import threading
from collections import deque

from .errors import StreamError


class Abandoned(Exception):
    """Who reads has gone: nothing more is wanted."""


class Stalled(StreamError):
    """Nothing was taken for too long."""


class ByteQueue:
    """At most so many chunks at a time, of whatever size they are.

    Args:
        most: chunks that may wait.
        stall_timeout: seconds in which a full queue must lose a chunk; 0 is no limit.
    """

    def __init__(self, most: int, stall_timeout: float) -> None:
        self._chunks: deque[bytes] = deque()
        self._most = most
        self._stall_timeout = stall_timeout or None
        # Guards the fields here. Reentrant, as its default is: a collector may close a forgotten stream in the
        # very thread that is inside.
        self._changed = threading.Condition()
        self._has_ended = self._is_abandoned = False
        self._error: BaseException | None = None

    def put(self, chunk: bytes) -> None:
        """Add a chunk; wait while the queue is full.

        Raises:
            Abandoned: nobody reads any more.
            Stalled: nobody took a chunk for `stall_timeout` seconds.
        """
        with self._changed:
            is_free = self._changed.wait_for(
                lambda: self._is_abandoned or len(self._chunks) < self._most, self._stall_timeout
            )
            if self._is_abandoned:
                raise Abandoned
            if not is_free:
                raise Stalled(f"the client took nothing for {self._stall_timeout:g} s")
            self._chunks.append(chunk)
            self._changed.notify_all()

    def get(self, timeout: float | None) -> bytes | None:
        """Return the next chunk; b"" when none came in time; None at the end.

        Raises:
            BaseException: what the other side ended with, as soon as that is known.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._has_ended, timeout)
            if self._error is not None:
                raise self._error
            if self._chunks:
                chunk = self._chunks.popleft()
                self._changed.notify_all()
                return chunk
            return None if self._has_ended else b""

    def finish(self, error: BaseException | None) -> None:
        """Say that nothing more comes; with an error, what still waits is not worth sending."""
        with self._changed:
            self._has_ended, self._error = True, error
            if error is not None:
                self._chunks.clear()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nothing more is read."""
        with self._changed:
            self._is_abandoned = True
            self._chunks.clear()
            self._changed.notify_all()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody reads any more."""
        return self._is_abandoned
