"""`Stack`: servers that live as long as a `with` block, stopped in reverse order whatever ends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import CommandError
from .binaries import Binaries, find, install_redis, redis_program
from .bouncer import Bouncer
from .postgres import Cluster
from .redis import Redis
from .runfolder import RunFolder, state_folder
from .web import Web, start_flask, start_gunicorn


class Stack:
    """The servers of one run.

    Args:
        progress: told what happens, a line at a time.
    """

    def __init__(self, progress: Callable[[str], None] = lambda _: None) -> None:
        self._progress = progress
        self._stops = ExitStack()
        self._run: RunFolder | None = None
        self._binaries: Binaries | None = None
        self._libpq: dict[str, str] = {}

    def __enter__(self) -> Stack:
        self._run = RunFolder(state_folder(os.environ.get("HARDEN_STATE")))
        # PGHOSTADDR, PGSSLMODE, PGOPTIONS ... would lead our own connections elsewhere, or fail them.
        self._libpq = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.environ.update(self._libpq)
        try:
            if isinstance(error, Exception):
                self._keep_logs(error)
        finally:
            try:
                self._stops.close()
            finally:
                self.run.remove()

    def _keep_logs(self, error: Exception) -> None:
        try:
            kept = self.run.keep_logs()
        except OSError as problem:
            self._progress(f"the servers' logs are lost: {problem}")
            return
        if kept is None:
            return
        if isinstance(error, CommandError):
            error.log = kept / error.log.name if error.log is not None else kept
        else:
            self._progress(f"the servers' logs are in {kept}")

    @property
    def run(self) -> RunFolder:
        """The folder of this run."""
        if self._run is None:
            raise RuntimeError("a Stack is used in a `with` block")
        return self._run

    @property
    def binaries(self) -> Binaries:
        """PostgreSQL and PgBouncer, installed at the first call if need be."""
        if self._binaries is None:
            self._binaries = find(self.run.base, self._progress)
        return self._binaries

    def callback(self, stop: Callable[[], None]) -> None:
        """Have something else stopped with the servers, in its turn."""
        self._stops.callback(stop)

    def postgres(self, settings: Mapping[str, str] | None = None) -> Cluster:
        """Start a PostgreSQL cluster."""
        self._progress(f"starting PostgreSQL {self.binaries.postgres_version}")
        cluster = Cluster(self.run, self.binaries, settings or {})
        self._stops.callback(cluster.stop)
        return cluster

    def pgbouncer(
        self, cluster: Cluster, databases: Sequence[str], users: Sequence[str], **options: Any
    ) -> Bouncer | None:
        """Start PgBouncer before databases of the cluster; None where it is not installed."""
        program = self.binaries.pgbouncer
        if program is None:
            return None
        self._progress(f"starting PgBouncer {self.binaries.pgbouncer_version}")
        bouncer = Bouncer(self.run, program, cluster, databases, users, **options)
        self._stops.callback(bouncer.stop)
        return bouncer

    def redis(self, **options: Any) -> Redis | None:
        """Start Redis, installed first if need be; None where it is not. Options are `Redis`'s."""
        install_redis(self.run.base, self._progress)
        program = redis_program()
        if program is None:
            return None
        self._progress("starting Redis")
        server = Redis(self.run, program, **options)
        self._stops.callback(server.stop)
        return server

    def gunicorn(self, environ: Mapping[str, str], **options: Any) -> Web:
        """Start Gunicorn; see `start_gunicorn`. The caller waits until it is ready."""
        web = start_gunicorn(self.run, environ, **options)
        self._stops.callback(web.stop)
        return web

    def flask(self, app: Path, environ: Mapping[str, str], name: str, ready_path: str) -> Web:
        """Start Flask's development server; see `start_flask`."""
        web = start_flask(self.run, app, environ, name, ready_path)
        self._stops.callback(web.stop)
        return web
