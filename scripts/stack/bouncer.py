"""A PgBouncer from our own templates, in front of a throw-away cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg2

from deploy.inputs import Database, PgBouncer, User
from deploy.render import render_pgbouncer, write_files

from ..errors import CommandError
from .child import Child, PortTaken, clean_environment, unprivileged_user, user_ids
from .ports import free_port
from .postgres import Cluster
from .runfolder import RunFolder


class Bouncer:
    """A running PgBouncer; every database of the cluster that is named goes through it.

    Attributes:
        port: its TCP port on 127.0.0.1.
    """

    def __init__(
        self,
        run: RunFolder,
        program: Path,
        cluster: Cluster,
        databases: Sequence[str],
        users: Sequence[str],
        pool_mode: str = "transaction",
        pool_size: int = 20,
        name: str = "pgbouncer",
        stats_users: Sequence[str] = (),
    ) -> None:
        self._run = run
        self._program = program
        self._cluster = cluster
        self._databases = tuple(databases)
        self._users = tuple(User(name, cluster.verifier(name)) for name in users)
        self._pool_mode = pool_mode
        self._pool_size = pool_size
        self._stats_users = tuple(stats_users)
        self._os_user = unprivileged_user()
        self._name = name
        self._folder = run.path / name
        self.port = 0
        self.child: Child | None = None
        self._folder.mkdir(mode=0o700)
        self._start_somewhere()

    def _start_somewhere(self) -> None:
        for attempt in range(5):
            self.port = free_port()
            try:
                self._write_config()
                self.start()
                return
            except CommandError as error:
                self.stop()
                if attempt == 4 or not isinstance(error, PortTaken):
                    raise

    def _write_config(self) -> None:
        inputs = PgBouncer(
            databases=tuple(Database(name, "127.0.0.1", self._cluster.port, name) for name in self._databases),
            users=self._users,
            listen_addr="127.0.0.1",
            listen_port=self.port,
            unix_socket_dir=str(self._folder),
            auth_file=str(self._folder / "userlist.txt"),
            logfile=str(self._folder / "pgbouncer.log"),
            pidfile=str(self._folder / "pgbouncer.pid"),
            pool_mode=self._pool_mode,
            default_pool_size=self._pool_size,
            reserve_pool_size=0,
            max_db_connections=self._pool_size,
            max_client_conn=1000,
            stats_users=self._stats_users,
        )
        owner = user_ids(self._os_user)
        os.chown(self._folder, *owner)
        write_files(self._folder, render_pgbouncer(inputs), owner=owner)

    def start(self) -> None:
        """Start it on its port."""
        self.child = Child(
            self._name,
            [str(self._program), str(self._folder / "pgbouncer.ini")],
            self._run,
            clean_environment(self._run, {}),
            user=self._os_user,
            stop_signal=signal.SIGQUIT,  # at once; in every version
            cwd=self._folder,
        )
        self.child.wait_until(self._answers, 15)

    def stop(self) -> None:
        """Stop it at once."""
        if self.child is not None:
            self.child.stop()

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def url(self, dbname: str, user: str) -> str:
        """Return the postgresql:// URL of a role, through this PgBouncer."""
        return self._cluster.url(dbname, user, self.port)

    def _answers(self) -> bool:
        # Its own word comes first: on a port that was taken, whoever took it might answer in its place.
        if self.child is None or not self.child.says("process up"):
            return False
        if self.child.says("address already in use"):  # it goes on, on its Unix socket alone
            raise PortTaken(f"port {self.port} was taken", self.child.log)
        try:
            with closing(psycopg2.connect(self.url(self._databases[0], self._users[0].name), connect_timeout=2)):
                return True
        except psycopg2.OperationalError as error:
            if "authentication" in str(error):
                raise CommandError(f"PgBouncer refused its user: {error}", self.child.log) from None
            return False
