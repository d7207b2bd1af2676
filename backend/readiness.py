"""Asks whether the process can serve, for whoever asks, however often, and whatever the network does.

One check at a time, in a thread of its own: who asks waits at most until the deadline, and a database that
swallows everything costs one thread, not one per question. An answer is good for a second. While a check runs,
others get the last answer, as long as that is fresh. A check that fails is made once more before it counts, unless
the last one had failed: a single lost packet takes nobody out, and the first success puts him back.
Knows neither databases nor Flask. If this is wrong, a balancer's questions stop the process they ask about.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

log = logging.getLogger(__name__)
DEADLINE = 2.0  # seconds from a check's begin to its answer, the second try included
KEEP_ANSWER = 1.0  # seconds; many balancers ask, one of them pays
AGAIN_AFTER = 0.1  # seconds between a failure and the second try
NO_ANSWER = "no answer"
GOOD = frozenset({"ok", "busy"})
Look = Callable[[], list[Callable[[], str]]]


class Answer(NamedTuple):
    """What a check has found.

    Attributes:
        when: its end, by time.monotonic.
        is_ready: whether all is well.
        states: of each thing that was asked about.
        seconds: how long it took.
    """

    when: float
    is_ready: bool
    states: tuple[str, ...]
    seconds: float


class _Check:
    """One check under way."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.done = threading.Event()
        self.states: list[str] = []

    def answer(self) -> Answer:
        now = time.monotonic()
        states = tuple(self.states)
        return Answer(now, all(state in GOOD for state in states), states, now - self.began)


class Readiness:
    """Whether one process is ready.

    Args:
        look: returns what is to be asked: functions that return a state, "ok" and "busy" being the good ones.

    Attributes:
        pid: the process; a forked child needs one of its own.
        is_draining: whether it was told to be unready.
    """

    def __init__(self, look: Look) -> None:
        self.pid = os.getpid()
        self.is_draining = False
        self._look = look
        self._lock = threading.Lock()  # guards the two below; nothing is asked and nobody waits while it is held
        self._last: Answer | None = None
        self._running: _Check | None = None

    def ask(self) -> Answer:
        """Return an answer, within the deadline."""
        with self._lock:
            last, check, now = self._last, self._running, time.monotonic()
            if last is not None:
                is_fresh = now - last.when < KEEP_ANSWER
                if is_fresh or (check is not None and now - last.when < KEEP_ANSWER + DEADLINE):
                    return last
            if check is None:
                check = self._begin(was_ready=last is None or last.is_ready)
        if not check.done.wait(max(0.0, check.began + DEADLINE - time.monotonic())):
            return self._overdue(check)
        return self._last or check.answer()

    def _begin(self, *, was_ready: bool) -> _Check:
        check = _Check()
        arguments = check, 2 if was_ready else 1
        thread = threading.Thread(target=self._run, args=arguments, name="harden-readiness", daemon=True)
        try:
            thread.start()
            self._running = check
        except RuntimeError:  # the system has no thread left for us
            check.states = [NO_ANSWER]
            self._last = check.answer()
            check.done.set()
        return check

    def _run(self, check: _Check, tries: int) -> None:
        try:
            for number in range(tries):
                if number:
                    time.sleep(AGAIN_AFTER)
                self._try(check)
                if all(state in GOOD for state in check.states):
                    break
        except Exception:
            log.exception("the check of readiness failed")
            check.states = [NO_ANSWER]
        finally:
            with self._lock:
                self._last = check.answer()
                if self._running is check:
                    self._running = None
            check.done.set()

    def _try(self, check: _Check) -> None:
        """Ask about each; what was well at the first try is not asked again, what hangs reads "no answer"."""
        asked = self._look()
        if len(asked) != len(check.states):
            check.states = [NO_ANSWER] * len(asked)
        for number, ask in enumerate(asked):
            if check.states[number] not in GOOD:
                check.states[number] = NO_ANSWER
                check.states[number] = ask()

    def _overdue(self, check: _Check) -> Answer:
        """Say no for a check that goes on; it may still end well, and then the next answer is yes."""
        with self._lock:
            if check.done.is_set() or self._running is not check:
                return self._last or check.answer()
            late = check.answer()
            self._last = Answer(late.when, False, late.states or (NO_ANSWER,), late.seconds)
            return self._last
