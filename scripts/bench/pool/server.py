"""What PostgreSQL says about one subject: its backends at a moment, those it opened, and an end to them all.

Backends are told apart by application_name, so that one subject's are never counted as another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ...stack.postgres import Cluster

ROLE = DATABASE = "bench"
# 256 threads with a connection each, beside the open pools of all subjects.
SETTINGS: Mapping[str, str] = {"max_connections": "500", "log_connections": "on"}
TERMINATE = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"


class Server:
    """The throw-away PostgreSQL of a run.

    Args:
        cluster: started with SETTINGS.
    """

    def __init__(self, cluster: Cluster) -> None:
        cluster.create_role(ROLE)
        cluster.create_database(DATABASE, ROLE)
        self.dsn = cluster.dsn(DATABASE, ROLE)
        self._cluster = cluster
        self._conn = cluster.connect(DATABASE)

    def close(self) -> None:
        """Give up the observer's own connection."""
        self._conn.close()

    def backends(self, name: str) -> int:
        """Return how many connections a name has at this moment."""
        return self._count("application_name = %s", name)

    def opened(self, name: str) -> int:
        """Return how many connections a name ever opened, as the server's log says."""
        child = self._cluster.child
        return child.log.read_bytes().count(f" application_name={name}\n".encode()) if child else 0

    def terminate(self, name: str) -> None:
        """End every backend of a name, and wait until those are gone; a pool may have opened others by then."""
        with self._conn.cursor() as cursor:
            cursor.execute(TERMINATE, (name,))
            pids = [pid for pid, _ in cursor.fetchall()]
            self._wait_until(lambda: not self._count("pid = ANY(%s)", pids))
        time.sleep(0.05)  # for the news to reach the client's sockets

    def wait_until_gone(self, name: str) -> None:
        """Wait until a name has no backend left; what one subject closes must not weigh on the next."""
        self._wait_until(lambda: not self.backends(name))

    def _wait_until(self, done: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _count(self, condition: str, value: object) -> int:
        with self._conn.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {condition}", (value,))
            return int(cursor.fetchone()[0])


class Peak:
    """The most backends seen of one name."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self.most = 0

    def look(self) -> None:
        """Count once more."""
        self.most = max(self.most, self._server.backends(self._name))
