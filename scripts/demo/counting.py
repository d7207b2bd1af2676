"""What the server says happened during a run: statements, connections opened, connections at a time.

Counted by PostgreSQL and not by our own code: statements by pg_stat_statements, connections opened by the
server's log, the peak by looking at pg_stat_activity ten times a second from a connection made beforehand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from ..stack.postgres import Cluster

STATEMENTS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s) AND userid = to_regrole(%s)
    AND query <> 'SELECT pg_advisory_unlock_all()'"""  # a pool's, that clears a session: no query of the app
CONNECTIONS = """
    SELECT count(*), count(*) FILTER (WHERE state = 'active')
    FROM pg_stat_activity WHERE datname = %s AND usename = %s"""
SAMPLE_EVERY = 0.1


@dataclass
class Counts:
    """What one run did to the server; complete when the block of `counted` has ended.

    Attributes:
        statements: executed, without BEGIN, COMMIT and the like, and without what clears a session.
        connections_opened: that were let in.
        connections_peak: most at a time, of those seen.
    """

    statements: int = 0
    connections_opened: int = 0
    connections_peak: int = 0


class Observer:
    """Counts for one role on one database.

    Args:
        cluster: started with `log_connections` on.
        dbname, role: the database and the app's role in it.
    """

    def __init__(self, cluster: Cluster, dbname: str, role: str) -> None:
        self._cluster = cluster
        self._who = (dbname, role)
        self._line = f"connection authorized: user={role} database={dbname}".encode()

    @contextmanager
    def counted(self) -> Iterator[Counts]:
        """Count what happens during a block."""
        counts = Counts()
        with closing(self._cluster.connect(self._who[0])) as conn, conn.cursor() as cursor:
            cursor.execute(CONNECTIONS, self._who)
            counts.connections_peak = int(cursor.fetchone()[0])
            opened, statements = self._opened(), self._statements(cursor)
            stop = threading.Event()
            sampler = threading.Thread(target=self._sample, args=(counts, stop), daemon=True)
            sampler.start()
            try:
                yield counts
            finally:
                stop.set()
                sampler.join(5)
            self.wait_until_quiet()
            counts.statements = self._statements(cursor) - statements
            counts.connections_opened = self._opened() - opened

    def wait_until_quiet(self, seconds: float = 20.0) -> None:
        """Wait until the app runs no statement, so that one run's rest does not weigh on the next."""
        deadline = time.monotonic() + seconds
        with closing(self._cluster.connect(self._who[0])) as conn, conn.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(CONNECTIONS, self._who)
                if not cursor.fetchone()[1]:
                    return
                time.sleep(0.1)

    def _statements(self, cursor) -> int:  # type: ignore[no-untyped-def]
        cursor.execute(STATEMENTS, self._who)
        return int(cursor.fetchone()[0])

    def _opened(self) -> int:
        log = self._cluster.child.log if self._cluster.child else None
        return log.read_bytes().count(self._line) if log else 0

    def _sample(self, counts: Counts, stop: threading.Event) -> None:
        # A connection of its own, made while there is room; a superuser's, for whom PostgreSQL keeps some.
        with closing(self._cluster.connect(self._who[0])) as conn, conn.cursor() as cursor:
            while not stop.wait(SAMPLE_EVERY):
                cursor.execute(CONNECTIONS, self._who)
                counts.connections_peak = max(counts.connections_peak, int(cursor.fetchone()[0]))
