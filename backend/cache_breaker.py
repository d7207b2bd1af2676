"""Leaves a store that fails alone for a while, and keeps what it must still be told.

After three failures in a row, or one lost invalidation, no request asks the store any more: each would wait for
its time limit. One thread looks each second whether the store is back, tells it what it missed, and then waits a
little more before it is read again: other processes have something to tell it as well.
A circuit breaker, as in Nygard, Release It!, chapter "Stability Patterns". Knows no store. If this is wrong, a
request waits for what is away, or reads what was invalidated meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from . import fork

log = logging.getLogger(__name__)
FAILURES = 3  # in a row, until the store is left alone
LOOK_EVERY = 1.0  # seconds
SETTLE = 2.0  # seconds after it is back in which others tell it what they owe: two of their looks
MOST_OWED = 200_000  # names; a process that owes more never reads again what it has not told


class Breaker:
    """Whether a store may be asked, and what it is owed.

    Args:
        ping: asks the store whether it is there; raises when not.
        send: tells it to forget names; raises when it does not.
    """

    def __init__(self, ping: Callable[[], None], send: Callable[[Sequence[str]], None]) -> None:
        self._ping, self._send = ping, send
        self.errors = 0
        self._start_afresh()
        fork.protect(self)

    def _start_afresh(self) -> None:
        self.is_open = False
        self._row = 0
        self._lock = threading.Lock()
        self._owed: dict[str, None] = {}
        self._has_thread = False
        self._closing = threading.Event()

    def _after_fork(self) -> None:
        """Begin anew in a child: what was owed is its parent's to send."""
        self._start_afresh()

    def answered(self) -> None:
        """Note that the store answered."""
        self._row = 0

    def refused(self, error: Exception) -> None:
        """Note that it answered with an error: it is there, and did not do what it was asked."""
        self.errors += 1
        log.debug("the cache's store refused: %s", error)

    def failed(self, error: Exception) -> None:
        """Note that it did not answer; after three times in a row it is left alone."""
        with self._lock:
            self.errors += 1
            self._row += 1
            if self._row >= FAILURES:
                self._open(f"{type(error).__name__} {self._row} times in a row")

    def owe(self, names: Iterable[str]) -> None:
        """Keep names that the store must forget before it is read again."""
        with self._lock:
            self._owed.update(dict.fromkeys(names))
            self._open("an invalidation was not taken")

    def _open(self, reason: str) -> None:
        if not self.is_open:
            self.is_open = True
            log.warning("the cache is not used until its store is back: %s", reason)
        if not self._has_thread and not self._closing.is_set():
            self._has_thread = True
            threading.Thread(target=self._look, name="cache-breaker", daemon=True).start()

    def _look(self) -> None:
        """Wait for the store, tell it what it missed, wait for the others, and close."""
        back: float | None = None
        while not self._closing.wait(LOOK_EVERY):
            try:
                self._ping()
                self._pay()
            except Exception as error:
                log.debug("the cache's store is not back: %s", error)
                back = None
                continue
            back = time.monotonic() if back is None else back
            if time.monotonic() - back >= SETTLE and self._closed_again():
                return

    def _pay(self) -> None:
        with self._lock:
            owed, self._owed = self._owed, {}  # what is owed from now on is owed again, also of the same name
        try:
            if len(owed) > MOST_OWED:
                raise OverflowError(f"{len(owed)} invalidations are owed; empty the store and restart the workers")
            if owed:
                self._send(list(owed))
        except BaseException:
            with self._lock:
                self._owed.update(owed)
            raise

    def _closed_again(self) -> bool:
        with self._lock:
            if self._owed:
                return False
            self.is_open = self._has_thread = False
            self._row = 0
        log.warning("the cache is used again")
        return True

    def close(self) -> None:
        """End the thread."""
        self._closing.set()

    def stats(self) -> dict[str, float]:
        """Return errors so far, whether the store is left alone, and how many names it is owed."""
        return {"errors": self.errors, "open": int(self.is_open), "owed": len(self._owed)}
