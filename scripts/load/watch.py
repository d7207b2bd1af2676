"""Look at the server while it is loaded: processor, memory, files, its pools, its connections at the database.

A thread of its own looks once a second, so that a server which answers late does not stop the clock. Whatever
cannot be seen is None: of another machine the processor, without the ops token the pools, without a DSN the
connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import closing
from types import TracebackType

import psutil
import psycopg2

from ..database import open_database
from ..errors import CommandError
from ..top.service import Service
from .server_process import ServerProcesses
from .site import address_of

EVERY = 1.0  # seconds
OLD = 3.0  # seconds after which a figure is no longer that of now
LOCAL = ("127.0.0.1", "::1", "localhost")
NAMES = (
    "machine_cpu", "server_cpu", "server_rss_mb", "server_files", "pool_in_use", "pool_size", "pool_waiting",
    "connections", "connections_active",
)  # fmt: skip
CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE state = 'active')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class Watch:
    """Looks at a server for the time of a `with` block.

    Args:
        site: as `parse_site` returns it.
        token: of its ops page; "" where there is none.
        dsn: of its database; "" looks at no connections.
    """

    def __init__(self, site: str, token: str = "", dsn: str = "") -> None:
        host, port = address_of(site)
        self._server = ServerProcesses(port) if host in LOCAL else None
        self._service = Service(site, token) if token else None
        self._dsn = dsn
        self._latest: dict[str, tuple[float, float | None]] = {}
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._processes, daemon=True)]
        if self._service:
            self._threads.append(threading.Thread(target=self._pools, daemon=True))
        if dsn:
            self._threads.append(threading.Thread(target=self._connections, daemon=True))

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def look(self, _: float) -> Mapping[str, float | None]:
        """Return the newest figures; None for what is unknown, or too old."""
        now = time.monotonic()
        seen = {name: self._latest.get(name, (0.0, None)) for name in NAMES}
        return {name: value if now - moment < OLD else None for name, (moment, value) in seen.items()}

    def _tell(self, **values: float | None) -> None:
        now = time.monotonic()
        self._latest.update({name: (now, value) for name, value in values.items()})

    def _processes(self) -> None:
        psutil.cpu_percent()
        before = time.monotonic()
        while self._server is not None and not self._stopped.wait(EVERY):
            found = self._server.sample()
            now = time.monotonic()
            used = found["cpu_seconds"]
            self._tell(
                machine_cpu=psutil.cpu_percent() / 100,
                server_cpu=None if used is None else used / (now - before),
                server_rss_mb=found["rss_mb"], server_files=found["files"],
            )  # fmt: skip
            before = now

    def _pools(self) -> None:
        assert self._service is not None
        while not self._stopped.wait(EVERY):
            try:
                service = self._service.ask()["service"]
            except CommandError:
                continue
            self._tell(
                pool_in_use=service.get("used"), pool_size=service.get("maxconn"),
                pool_waiting=service.get("waiting"),
            )  # fmt: skip

    def _connections(self) -> None:
        while not self._stopped.wait(EVERY):
            try:
                with closing(open_database(self._dsn, "harden load")) as conn, conn.cursor() as cursor:
                    conn.autocommit = True
                    while True:
                        cursor.execute(CONNECTIONS)
                        [(all_of_them, active)] = cursor.fetchall()
                        self._tell(connections=float(all_of_them), connections_active=float(active))
                        if self._stopped.wait(EVERY):
                            return
            except (psycopg2.Error, CommandError):
                continue
