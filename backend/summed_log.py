"""Logging for what may happen a thousand times a second: the first at once, the rest summed up."""

from __future__ import annotations

import logging
import threading
import time


class SummedLog:
    """Logs one kind of event.

    Args:
        log: where to.
        every: seconds between two lines.
    """

    def __init__(self, log: logging.Logger, every: float = 10.0) -> None:
        self._log = log
        self._every = every
        self._lock = threading.Lock()
        self._next = 0.0
        self._held_back = 0

    def warning(self, message: str) -> None:
        """Log the message, or count it when the last line is too fresh."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                self._held_back += 1
                return
            self._next = now + self._every
            held_back, self._held_back = self._held_back, 0
        more = f" ({held_back} more like it since the last line)" if held_back else ""
        self._log.warning("%s%s", message, more)
