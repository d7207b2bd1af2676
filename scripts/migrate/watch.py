"""How far a statement is, and whom it waits for: asked by a second session while the first one works."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection

from ..progress import Progress
from .catalog import rows

PATIENCE = 1.0  # seconds; shorter waits are the rule on a busy table, and not worth a line
_PROGRESS = """
    SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total
    FROM pg_catalog.pg_stat_progress_create_index WHERE pid = %s
"""
# A prepared transaction has no session: its pid is 0.
_BLOCKERS = """
    SELECT b.pid, a.usename AS role, a.application_name AS app, a.state,
           EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start)::float AS age
    FROM (SELECT DISTINCT unnest(pg_catalog.pg_blocking_pids(%s)) AS pid) b
    LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
    ORDER BY age DESC NULLS LAST, b.pid
"""


@dataclass(frozen=True)
class Blocker:
    """A session that another one waits for.

    Attributes:
        pid: 0 for a prepared transaction.
        age: Of its transaction, in seconds; None when that is not to be seen.
    """

    pid: int
    role: str
    app: str
    state: str
    age: float | None

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction (see pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED it)"
        parts = [f"role {self.role}" if self.role else "", self.app, self.state,
                 f"its transaction is {self.age:.0f} s old" if self.age is not None else ""]  # fmt: skip
        return f"pid {self.pid} ({', '.join(filter(None, parts))})"


class Watch:
    """Looks at other sessions, and says what it sees.

    Args:
        conn: a session of its own, in autocommit.
        progress: for people.
    """

    def __init__(self, conn: connection, progress: Progress) -> None:
        self._conn = conn
        self.progress = progress
        self._since: dict[int, float] = {}
        self._said: set[int] = set()
        self._phase = ""
        self.last: Blocker | None = None

    def forget(self) -> None:
        """Begin anew, for another statement."""
        self._since, self._said, self._phase, self.last = {}, set(), "", None

    def look(self, pid: int, title: str) -> None:
        """Show how far a session is; once this session is gone, show nothing."""
        if self._conn.closed:
            return
        try:
            self._show(pid, title)
        except psycopg2.Error:
            self._conn.close()

    def _show(self, pid: int, title: str) -> None:
        blockers = [Blocker(row.pid, row.role or "", row.app or "", row.state or "", row.age)
                    for row in rows(self._conn, _BLOCKERS, (pid,))]  # fmt: skip
        self.last = blockers[0] if blockers else self.last
        now = time.monotonic()
        self._since = {each.pid: self._since.get(each.pid, now) for each in blockers}
        for each in blockers:
            if each.pid not in self._said and now - self._since[each.pid] >= PATIENCE:
                self._said.add(each.pid)
                end = f"; end it there, or: SELECT pg_terminate_backend({each.pid})" if each.pid else ""
                self.progress(f"{title} waits for {each}{end}")
        for row in rows(self._conn, _PROGRESS, (pid,)):
            blocks = row.blocks_total > 0 and not row.tuples_total
            done, total = (row.blocks_done, row.blocks_total) if blocks else (row.tuples_done, row.tuples_total)
            unit = "blocks" if blocks else "rows"
            amount = f", {done:,} of {total:,} {unit}" if total else ""
            if not done and row.phase == self._phase:
                continue  # elsewhere than on a terminal, each call for a start is a line
            self._phase = row.phase
            self.progress.bar(done, total or 1, f"{title}: {row.phase}{amount}")
