"""A throw-away PostgreSQL cluster: own folder, own socket, a free port on loopback, nothing durable."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password, make_dsn

from deploy.render import write_files

from ..errors import CommandError
from .binaries import Binaries
from .child import Child, PortTaken, as_user, clean_environment, unprivileged_user, user_ids
from .dump import roles_of_dump
from .ports import free_port
from .runfolder import RunFolder

# Durability is off because the cluster is thrown away; all else is what a server would have.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "pg_stat_statements.track_utility": "off",  # BEGIN and COMMIT are no queries of the app
    "pg_stat_statements.save": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "max_connections": "100",  # the default, and what breaks the unhardened app
    "unix_socket_permissions": "0777",
}
# A dump from a newer server sets what this one does not know.
NEWER = "unrecognized configuration parameter"


class Cluster:
    """A running PostgreSQL.

    Attributes:
        port: its TCP port on 127.0.0.1.
        socket_folder: where its Unix socket is.
        user, password: the superuser's.
    """

    user = "postgres"

    def __init__(self, run: RunFolder, binaries: Binaries, settings: Mapping[str, str]) -> None:
        self._run = run
        self._bin = binaries.postgres
        self._settings = {**SETTINGS, **settings}
        self._os_user = unprivileged_user()
        self.password = secrets.token_urlsafe(18)
        self._roles: dict[str, str] = {}
        self._folder = run.path / "postgres"
        self.socket_folder = run.path / "sockets"
        self.port = 0
        self.child: Child | None = None
        self._make()
        self._start_somewhere()

    def _make(self) -> None:
        owner = user_ids(self._os_user)
        # Clients run as somebody else than the server, so the socket's folder is open to all; the data is not.
        for folder, mode in ((self._folder, 0o700), (self.socket_folder, 0o755)):
            folder.mkdir()
            folder.chmod(mode)
            os.chown(folder, *owner)
        write_files(self._folder, {"password": self.password}, owner=owner)
        command = [
            str(self._bin / "initdb"), "--pgdata", str(self._folder / "data"), "--username", self.user,
            "--auth", "scram-sha-256", "--pwfile", str(self._folder / "password"), "--encoding", "UTF8",
            "--locale", "C", "--no-sync",
        ]  # fmt: skip
        done = subprocess.run(
            as_user(command, self._os_user), text=True, stdin=subprocess.DEVNULL, cwd=self._folder,
            capture_output=True, env=clean_environment(self._run, {"LC_ALL": "C"}),
        )  # fmt: skip
        (self._folder / "password").unlink()
        if done.returncode:
            log = self._run.logs / "initdb.log"
            log.write_text(done.stdout + done.stderr)
            last = (done.stderr.strip() or "no output").splitlines()[-1]
            raise CommandError(f"initdb failed: {last}", log)

    def _start_somewhere(self) -> None:
        for attempt in range(5):
            self.port = free_port()
            try:
                self.start()
                return
            except CommandError as error:
                self.kill()
                if attempt == 4 or not isinstance(error, PortTaken):
                    raise

    def start(self) -> None:
        """Start the server on its port."""
        settings = {
            **self._settings,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.socket_folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.child = Child(
            "postgres",
            [str(self._bin / "postgres"), "-D", str(self._folder / "data"), *options],
            self._run,
            clean_environment(self._run, {"LC_ALL": "C"}),
            user=self._os_user,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
        )
        self.child.wait_until(self._answers, 30)

    def stop(self) -> None:
        """Stop the server; its data stays for another `start`."""
        if self.child is not None:
            self.child.stop()

    def kill(self) -> None:
        """Stop the server as a crash would."""
        if self.child is not None and self.child.is_running():
            self.child.process.send_signal(signal.SIGQUIT)
            self.child.stop()

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            with closing(psycopg2.connect(self.dsn(), connect_timeout=2)):  # the port may be another's
                return True
        except psycopg2.OperationalError:
            return False

    def connect(self, dbname: str = "postgres") -> Any:
        """Return a superuser's connection in autocommit."""
        conn = psycopg2.connect(self.dsn(dbname))
        conn.autocommit = True
        return conn

    def dsn(self, dbname: str = "postgres", user: str | None = None) -> str:
        """Return a libpq DSN over loopback TCP; the superuser's when no user is named."""
        name = user or self.user
        password = self._roles[name] if user else self.password
        return str(
            make_dsn(host="127.0.0.1", port=self.port, dbname=dbname, user=name, password=password)
        )

    def url(self, dbname: str, user: str, port: int | None = None) -> str:
        """Return the postgresql:// URL of a role, as DATABASE_URL wants it; with PgBouncer's port, through it."""
        password = self.password if user == self.user else self._roles[user]
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{port or self.port}/{quote(dbname, safe='')}"

    def execute(self, statement: str | sql.Composable, values: Any = None, dbname: str = "postgres") -> list[Any]:
        """Run one statement as superuser and return its rows, if it has any."""
        with closing(self.connect(dbname)) as conn, conn.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def create_role(self, name: str, password: str | None = None, superuser: bool = False) -> str:
        """Make a role that may log in, and return its SCRAM verifier: the bytes the server holds."""
        password = password if password is not None else secrets.token_urlsafe(18)
        with closing(self.connect()) as conn, conn.cursor() as cursor:
            verifier = str(encrypt_password(password, name, conn, "scram-sha-256"))
            rights = sql.SQL("SUPERUSER" if superuser else "NOSUPERUSER")
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                    sql.Identifier(name), rights, sql.Literal(verifier)
                )
            )
        self._roles[name] = password
        return verifier

    def verifier(self, name: str) -> str:
        """Return the verifier that the server holds for a role."""
        return str(self.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (name,))[0][0])

    def create_database(self, name: str, owner: str, template: str | None = None) -> None:
        """Make a database, as a copy of another one when a template is named."""
        self.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template or "template0")
            )
        )
        self.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", dbname=name)

    def drop_database(self, name: str) -> None:
        """Drop a database, with the connections to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def load(self, file: Path, dbname: str) -> None:
        """Run an SQL file or a plain dump with psql, up to the first error.

        Raises:
            CommandError: a statement failed; with its line.
        """
        for role in roles_of_dump(file):
            if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)):
                self.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        done = subprocess.run(
            [str(self._bin / "psql"), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(file)],
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
            env=clean_environment(self._run, {
                "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.user, "PGDATABASE": dbname,
                "PGPASSWORD": self.password, "PGCLIENTENCODING": "UTF8",
            }),
        )  # fmt: skip
        if done.returncode:
            lines = (done.stderr or done.stdout or "psql failed").splitlines()
            error = ([line for line in lines if "ERROR" in line] or lines)[0].strip()
            hint = "; was it dumped from a newer PostgreSQL than this one?" if NEWER in error else ""
            raise CommandError(f"{file} could not be loaded: {error}{hint}")
