"""Databases for a verification: made on one server, each a copy of a template, all dropped at the end.

Names are random, so that a server which somebody else uses is not in danger; nothing else of it is touched.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn, parse_dsn

from ..errors import CommandError
from ..stack import Stack
from ..stack.dump import roles_of_dump
from ..stack.postgres import Cluster

OWN_NAME = "harden verify"  # our own connections: they are left out of what is counted
SETTINGS = {"log_connections": "on", "log_line_prefix": "%d|", "max_connections": "200"}
STATEMENTS = """
    SELECT coalesce(sum(s.calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = %s AND s.query NOT LIKE '/* harden verify */%%'"""


class Databases:
    """A server on which databases are made.

    Args:
        stack: where an embedded server is started, and where psql is.
        dsn: a superuser's or a creating role's; None for the embedded server.

    Raises:
        CommandError: the server cannot be reached, or makes no databases.
    """

    def __init__(self, stack: Stack, dsn: str | None) -> None:
        self._stack = stack
        self._cluster: Cluster | None = None if dsn else stack.postgres(SETTINGS)
        self._dsn = dsn or (self._cluster.dsn() if self._cluster else "")
        self._prefix = f"harden_verify_{secrets.token_hex(4)}"
        self._made: list[str] = []
        self._log = self._cluster.child.log if self._cluster and self._cluster.child else None
        try:
            self._admin = self._connect(self._dsn)
        except psycopg2.Error as error:
            raise CommandError(f"cannot connect to --dsn: {str(error).strip()}") from None
        self._counter = self._counting()

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._counter is not None:
            self._counter.close()
        try:
            for name in list(self._made):
                self.drop(name)
            self._admin.close()
        except psycopg2.Error as problem:
            if error is None and self._cluster is None:  # an embedded server takes them with it
                raise CommandError(
                    f"{len(self._made)} databases could not be dropped ({str(problem).strip()}); "
                    f"drop those that begin with {self._prefix}"
                ) from None

    @property
    def counts_statements(self) -> bool:
        """Whether the server has pg_stat_statements, and we may read it."""
        return self._counter is not None

    def create(self, label: str, template: str = "template0") -> str:
        """Make a database and return its name.

        Raises:
            CommandError: the role may not make databases, or the template is in use.
        """
        name = f"{self._prefix}_{label}_{len(self._made)}_{secrets.token_hex(2)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        try:
            self._run(statement)
        except psycopg2.Error as error:
            raise CommandError(f"cannot make a database: {str(error).strip()}; let the role of --dsn") from None
        self._made.append(name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, with the connections to it."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._made.remove(name)

    def dsn(self, name: str) -> str:
        """Return a DSN of one database."""
        return str(make_dsn(self._dsn, dbname=name))

    def parts(self, name: str) -> dict[str, str]:
        """Return where one database is: host, port, dbname, user, password; "" for what is not known."""
        found = parse_dsn(self.dsn(name))
        parts = {key: str(found.get(key, "")) for key in ("host", "port", "dbname", "user", "password")}
        return {**parts, "host": parts["host"] or "localhost", "port": parts["port"] or "5432"}

    def connect(self, name: str) -> Any:
        """Return a connection in autocommit, left out of all counts."""
        return self._connect(self.dsn(name))

    def statements(self, name: str) -> int | None:
        """Return how many statements were executed in a database; None where the server does not count."""
        if self._counter is None:
            return None
        with self._counter.cursor() as cursor:
            cursor.execute(STATEMENTS, (name,))
            return int(cursor.fetchone()[0])

    def is_busy(self, name: str) -> bool:
        """Tell whether a statement runs in a database."""
        with self._admin.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state = 'active' "
                "AND application_name <> %s", (name, OWN_NAME),
            )  # fmt: skip
            return bool(cursor.fetchone()[0])

    def logged(self, name: str) -> tuple[int, list[str]] | None:
        """Return the connections let in and the errors so far; None for a server whose log is not ours."""
        if self._log is None:
            return None
        text = self._log.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines() if name in line]
        opened = [line for line in lines if "connection authorized:" in line and OWN_NAME not in line]
        errors = [line.partition("ERROR:")[2].strip() for line in lines if line.startswith(f"{name}|ERROR:")]
        return len(opened), errors

    def load(self, file: Path, name: str) -> None:
        """Load a plain SQL file, all of it or nothing, or a dump that pg_restore reads.

        Raises:
            CommandError: a statement failed; with its error.
        """
        if self._cluster is not None:
            self._make_roles(file)
        done = self._tool(_arguments(file, name), name)
        if done.returncode:
            lines = (done.stderr or done.stdout or "no output").splitlines()
            raise CommandError(f"{file.name} could not be loaded: {(_errors_of(lines) or lines)[0]}")

    def load_what_works(self, file: Path, name: str) -> list[str]:
        """Load a plain SQL file's statements one by one, and return the errors of those that failed."""
        done = self._tool(["psql", "--no-psqlrc", "--quiet", "--file", str(file)], name)
        return _errors_of(done.stderr.splitlines())

    def execute(self, text: str, name: str) -> None:
        """Run SQL in a database.

        Raises:
            CommandError: it failed.
        """
        with closing(self.connect(name)) as conn, conn.cursor() as cursor:
            try:
                cursor.execute(text)
            except psycopg2.Error as error:
                raise CommandError(f"the seed failed: {str(error).strip()}") from None

    def _make_roles(self, file: Path) -> None:
        for role in roles_of_dump(file):
            with self._admin.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))

    def _tool(self, arguments: list[str], name: str) -> subprocess.CompletedProcess[str]:
        program = self._stack.binaries.postgres / arguments[0]
        environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PG")},
            **{f"PG{key.upper()}": value for key, value in self.parts(name).items() if key != "dbname"},
            "PGDATABASE": name, "PGCLIENTENCODING": "UTF8",
        }  # fmt: skip
        return subprocess.run(
            [str(program), *arguments[1:]], capture_output=True, text=True, errors="replace", env=environ,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _counting(self) -> Any:
        """Return a connection to a database of ours that has pg_stat_statements, which shows all databases'."""
        conn = self.connect(self.create("counter"))
        try:
            with conn.cursor() as cursor:
                cursor.execute("CREATE EXTENSION pg_stat_statements")
                cursor.execute("SELECT 1 FROM pg_stat_statements LIMIT 1")
        except psycopg2.Error:
            conn.close()
            return None
        return conn

    def _run(self, statement: str | sql.Composable) -> None:
        with self._admin.cursor() as cursor:
            cursor.execute(statement)

    def _connect(self, dsn: str) -> Any:
        conn = psycopg2.connect(dsn, application_name=OWN_NAME, connect_timeout=10)
        conn.autocommit = True
        return conn


def _arguments(file: Path, name: str) -> list[str]:
    with file.open("rb") as handle:
        start = handle.read(5)
    if start == b"PGDMP":
        return ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--dbname", name,
                str(file)]  # fmt: skip
    return ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction", "--file",
            str(file)]  # fmt: skip


def _errors_of(lines: list[str]) -> list[str]:
    """Return the errors that a tool said, without the path of its file."""
    found = [line.partition(each)[2] for line in lines for each in ("ERROR:", "error:") if each in line]
    return [line.strip() for line in found]
