"""The plans of slow SELECTs, asked for by EXPLAIN in the background: nothing is executed, nobody waits for it.

Only what reads for sure is asked about, for planning calls functions too, and that in a read-only transaction
with a second of statement_timeout and a tenth of lock_timeout. One statement a second, each at most every ten
minutes, on a connection that lies idle in the pool of the slow query; none is opened, and the last free one is
left to the app.
The bound statement is kept until then, at most sixteen of them; the plan is kept without its values.
Knows pools, no Flask. If this is wrong, the database is asked for plans when it has no time for them.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from . import slow
from .explain_once import ask_plan, can_read, idle_connection, pool_of
from .fingerprint import Statement
from .plan_text import Plan, plan_text, with_values, without_values
from .read_only import effect
from .settings import Settings
from .shown_values import handles_secrets

log = logging.getLogger(__name__)
MOST_QUEUED, MOST_KEPT, MOST_ASKED = 16, 200, 1000
LONGEST = 65_536  # bytes of a statement
AGAIN_AFTER, RETRY_AFTER = 600.0, 60.0  # seconds until a statement is asked about again: after its plan, without
PAUSE, IDLE = 1.0, 10.0  # seconds between two statements, and until the thread ends


class Question(NamedTuple):
    """A statement with its values, and the pool of whoever ran it."""

    statement: Statement
    bound: bytes
    pool: weakref.ref[Any]


class Explainer:
    """The plans of one process, and the thread that asks for them.

    Attributes:
        counts: what became of the questions: explained, busy (no idle connection), failed, writes (it may do more
            than read), long, full (the queue was), unknown (no pool of the kit's, another encoding).
        shows_values: whether plans keep their literals.
    """

    def __init__(self) -> None:
        self.shows_values = False
        self._start_afresh()
        self._pid = -1  # the first question makes the lock anew: gevent may replace locks after this import

    def _start_afresh(self) -> None:
        self._pid = os.getpid()
        # Guards the queue, the thread, `_due` and `_plans`; nothing slow happens while it is held.
        self._changed = threading.Condition()
        self._queue: deque[Question] = deque()
        self._thread: threading.Thread | None = None
        self._due: dict[str, float] = {}
        self._plans: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()

    def consider(self, asked: Any, statement: Statement) -> Callable[[], str | None] | None:
        """Take down a cursor's last statement, when its plan is due; never waits for anything.

        Returns:
            what returns its plan once it is there; None for what is no SELECT.
        """
        if statement.kind not in ("SELECT", "WITH"):
            return None
        self._own()
        with self._changed:
            is_due = self._due.get(statement.id, 0.0) <= time.monotonic()
        if is_due:
            self._take(asked, statement)
        return functools.partial(self.text_of, statement.id)

    def _own(self) -> None:
        if self._pid != os.getpid():  # a fork: its parent's thread and questions are not this process's
            self._start_afresh()

    def _take(self, asked: Any, statement: Statement) -> None:
        bound, conn = asked.query, asked.connection
        pool = pool_of(conn)
        if pool is None or not isinstance(bound, bytes) or not can_read(conn):
            self.counts["unknown"] += 1
        elif len(bound) > LONGEST:
            self.counts["long"] += 1
        else:
            self._enqueue(Question(statement, bound, weakref.ref(pool)))

    def _enqueue(self, question: Question) -> None:
        with self._changed:
            if len(self._queue) >= MOST_QUEUED:
                self.counts["full"] += 1
                return
            self._set_due(question.statement, AGAIN_AFTER)
            self._queue.append(question)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="explain", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def _set_due(self, statement: Statement, after: float) -> None:
        self._due.pop(statement.id, None)
        if len(self._due) >= MOST_ASKED:
            del self._due[next(iter(self._due))]
        self._due[statement.id] = time.monotonic() + after

    def _run(self) -> None:
        while True:
            question = self._next()
            if question is None:
                return
            self._answer(question)
            del question  # its values go with it
            time.sleep(PAUSE)

    def _next(self) -> Question | None:
        """Wait for a question; None ends the thread: a while without one, or a fork that took it along."""
        changed = self._changed
        with changed:
            if not self._queue:
                changed.wait(IDLE)
            if changed is not self._changed or self._pid != os.getpid():
                return None
            if self._queue:
                return self._queue.popleft()
            self._thread = None
            return None

    def _answer(self, question: Question) -> None:
        statement = question.statement
        try:
            what = self._ask(question)
        except Exception as error:  # whatever it is, a plan is not worth a line in the app's log
            log.debug("no plan for %s: %s", statement.id, error)
            what = "failed"
        self.counts[what] += 1
        if what in ("failed", "busy"):
            with self._changed:
                self._set_due(statement, RETRY_AFTER)

    def _ask(self, question: Question) -> str:
        """Ask for a plan; returns what became of it."""
        text = question.bound.decode("utf-8", "replace")
        if effect(text) not in ("read", "moment"):
            return "writes"
        pool = question.pool()
        if pool is None or (conn := idle_connection(pool)) is None:
            return "busy"
        try:
            plan, sentence = ask_plan(conn, question.bound)
        finally:
            pool.putconn(conn)
        self._keep(question.statement, plan, sentence, is_secret=handles_secrets(question.bound))
        return "explained"

    def _keep(self, statement: Statement, plan: Plan, sentence: str, *, is_secret: bool) -> None:
        shown = with_values if self.shows_values and not is_secret else without_values
        text = plan_text(plan, shown) + (f"\n{sentence}" if sentence else "")
        with self._changed:
            self._plans.pop(statement.id, None)
            if len(self._plans) >= MOST_KEPT:
                del self._plans[next(iter(self._plans))]
            self._plans[statement.id] = {"text": text, "when": time.time()}
        event = {"kind": "plan", "statement": statement.text, "statement_id": statement.id, "plan": text}
        flat = "; ".join(line.strip() for line in text.splitlines())
        log.warning("plan of the slow query %s: %s", _short(statement.text), flat, extra={"event": event})

    def text_of(self, statement_id: str) -> str | None:
        """Return the plan of a statement; None when there is none yet."""
        found = self._plans.get(statement_id)
        return found["text"] if found is not None else None

    def plans(self) -> dict[str, dict[str, Any]]:
        """Return all plans by the statement's id: `text`, and `when` in seconds since 1970."""
        self._own()
        with self._changed:
            return {key: dict(plan) for key, plan in self._plans.items()}

    def clear(self) -> None:
        """Forget plans, questions and what was asked already."""
        self._own()
        with self._changed:
            for each in (self._queue, self._due, self._plans, self.counts):
                each.clear()


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."


explainer = Explainer()


def start(settings: Settings) -> None:
    """Ask for the plans of slow queries from now on, when the settings want it."""
    explainer.shows_values = settings["DB_QUERY_VALUES"]
    slow.explainer = explainer.consider if settings["DB_EXPLAIN_SLOW"] else None


def stop() -> None:
    """Ask for none."""
    slow.explainer = None


def plans() -> dict[str, dict[str, Any]]:
    """Return the plans of this worker's slow statements by the statement's id: at most 200.

    Each has `text`, its lines without values, and `when`, in seconds since 1970.
    """
    return explainer.plans()
