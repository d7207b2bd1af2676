"""Runs one migration until it stands: leftovers dropped, locks tried again, the result looked at.

Each statement is preceded by a look at the catalog, so that a run which was cut off at any point (kill -9, a lost
connection, a reboot) goes on by being run again. If this is wrong, an invalid index is taken for a good one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

from ..database import first_line
from ..errors import CommandError
from . import catalog, proof, space
from .execute import execute
from .folder import Migration
from .sqltext import LOCK_TIMEOUT, STATEMENT_TIMEOUT
from .statements import Statement
from .watch import Watch

_AGAIN = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)
_GONE = (errorcodes.ADMIN_SHUTDOWN, errorcodes.CRASH_SHUTDOWN, errorcodes.CANNOT_CONNECT_NOW)
_TIDY = 2.0  # seconds that dropping a leftover may wait; a further try or run drops it otherwise
LONGEST_PAUSE = 60.0  # seconds between two tries


@dataclass
class Runner:
    """What a run has at hand.

    Attributes:
        conn: a session in autocommit that has the runner's lock.
        watch: looks at it from outside.
        tries: for each migration, before a lock that is never free ends the run.
        pause: seconds before the second try; each further pause is twice as long.
    """

    conn: connection
    watch: Watch
    tries: int = 10
    pause: float = 1.0

    def __post_init__(self) -> None:
        # Behind a session pooler, libpq was told a pid that is not the server's.
        self._pid = int(catalog.rows(self.conn, "SELECT pg_catalog.pg_backend_pid() AS pid")[0].pid)

    def is_in_place(self, statements: tuple[Statement, ...]) -> bool | None:
        """Whether the catalog has all that statements make; None when it cannot tell, as of a rebuild."""
        answers = [self._stands(each) for each in statements]
        told = [each for each in answers if each is not None]
        return all(told) if told else None

    def _stands(self, statement: Statement) -> bool | None:
        if statement.kind == "validate constraint":
            return bool(catalog.is_validated(self.conn, statement))
        if statement.kind not in ("create index", "drop index"):
            return None
        there = catalog.standing(self.conn, statement.schema, statement.name)
        if statement.kind == "drop index":
            return there is None
        return there is not None and there.is_valid and catalog.is_wanted(self.conn, there, statement)

    def refuse_taken(self, statements: tuple[Statement, ...]) -> None:
        """See that each name is free or has what is wanted, and that constraints are there.

        Raises:
            CommandError: it is another thing's name, or there is no such constraint.
        """
        for each in statements:
            if each.kind == "create index":
                there = catalog.standing(self.conn, each.schema, each.name)
                if there is not None and not catalog.is_wanted(self.conn, there, each):
                    raise CommandError(f"{each.full} is there, and another thing: "
                                       f"{there.definition or 'no index'}; rename one of the two")  # fmt: skip
            if each.kind == "rebuild index" and not catalog.standing(self.conn, each.schema, each.name):
                raise CommandError(f"there is no index {each.full} to be rebuilt; drop this migration")
            if each.kind == "validate constraint" and catalog.is_validated(self.conn, each) is None:
                raise CommandError(
                    f"{each.schema}.{each.table} has no constraint {each.name}; drop this migration"
                )

    def do(self, title: str, statements: tuple[Statement, ...]) -> None:
        """Run statements until all of them stand.

        Raises:
            CommandError: they do not, after all tries or for a reason that stays; leftovers are dropped.
        """
        self.watch.forget()
        pause = self.pause
        for left in range(self.tries - 1, -1, -1):
            try:
                return self._once(title, statements)
            except psycopg2.Error as error:
                self._settle(error, title, statements)
                if error.pgcode not in _AGAIN or not left:
                    raise CommandError(self._words(error, title)) from None
                self.watch.progress(f"{title}: {first_line(error)}{self._behind()}; again in {pause:.3g} s, "
                                    f"{left} {'try' if left == 1 else 'tries'} left")  # fmt: skip
            except BaseException:
                self._tidy(title, statements)
                raise
            threading.Event().wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _once(self, title: str, statements: tuple[Statement, ...]) -> None:
        self._run(f"SET lock_timeout = '{LOCK_TIMEOUT:.0f}s'", title)
        self._run(f"SET statement_timeout = '{STATEMENT_TIMEOUT:.0f}s'", title)
        for each in statements:
            if each.kind in ("create index", "rebuild index"):
                self._clear(each, title)
            if self._stands(each) is not True:
                self._run(each.text, title)

    def _run(self, statement: str, title: str) -> None:
        try:
            execute(self.conn, statement, lambda: self.watch.look(self._pid, title))
        finally:
            self.watch.progress.clear()

    def _clear(self, statement: Statement, title: str) -> None:
        """Drop what an earlier build has left; what somebody builds right now is waited for."""
        for name in self._leftovers(statement, title):
            self.watch.progress(f"{title}: drops the invalid leftover {name}")
            self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", title)

    def _leftovers(self, statement: Statement, title: str) -> Iterator[str]:
        if statement.kind == "rebuild index":
            yield from catalog.rebuild_leftovers(self.conn, statement.schema, statement.name)
            return
        there = self._settled(statement, title)
        if there is not None and there.is_index and not there.is_valid and not there.is_partitioned:
            yield statement.full

    def _settled(self, statement: Statement, title: str) -> catalog.Standing | None:
        """Return what stands there once nobody builds it any more."""
        while True:
            there = catalog.standing(self.conn, statement.schema, statement.name)
            pid = catalog.builder(self.conn, there.oid) if there is not None and not there.is_valid else None
            if pid is None:
                return there
            self.watch.look(pid, f"{title}, built by pid {pid}")
            threading.Event().wait(0.25)

    def _settle(self, error: psycopg2.Error, title: str, statements: tuple[Statement, ...]) -> None:
        """After a failure: end the transaction, and drop what an index that was not finished has left.

        Raises:
            CommandError: the connection is gone.
        """
        if self.conn.closed or error.pgcode in _GONE or error.pgcode is None:
            raise CommandError(f"{title}: the connection was lost ({first_line(error)}); run it again: what is "
                               "done stays, and a half-made index is dropped first") from None  # fmt: skip
        self._tidy(title, statements)

    def _tidy(self, title: str, statements: tuple[Statement, ...]) -> None:
        """Drop leftovers if that goes quickly; a further run does it otherwise."""
        with suppress(psycopg2.Error):
            if self.conn.info.transaction_status != TRANSACTION_STATUS_IDLE:
                self._run("ROLLBACK", title)
            self._run(f"SET lock_timeout = '{_TIDY:.0f}s'", title)
            for each in statements:
                if each.kind in ("create index", "rebuild index"):
                    self._clear(each, title)

    def _behind(self) -> str:
        return f", behind {self.watch.last}" if self.watch.last else ""

    def _words(self, error: psycopg2.Error, title: str) -> str:
        if error.pgcode in _AGAIN:
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            return (f"{title}: {first_line(error)} in {tries}{self._behind()}; end that, and run this again, or "
                    "write it with a longer --lock-timeout")  # fmt: skip
        if error.pgcode == errorcodes.QUERY_CANCELED:
            return f"{title}: {first_line(error)}; run it again, which drops a half-made index first"
        if error.pgcode == errorcodes.UNIQUE_VIOLATION:
            return f"{title}: {first_line(error)}: rows have equal values; mend them, and run it again"
        return f"{title}: {first_line(error)} (SQLSTATE {error.pgcode}); mend that, and run it again"

    def checked(self, migration: Migration, statements: tuple[Statement, ...]) -> list[str]:
        """Look at what was made; return sentences on it.

        Raises:
            CommandError: something does not stand.
        """
        said = []
        for each in statements:
            if self._stands(each) is False:
                raise CommandError(f"{migration.name}: {each.kind} {each.full} ended without an error, and does "
                                   "not stand; somebody undid it meanwhile, run it again")  # fmt: skip
            if each.kind in ("create index", "rebuild index"):
                said.append(self._valid(migration, each))
            if each.kind == "create index":
                said += [proof.said(self.conn, probe, each.name) for probe in migration.probes]
        return said

    def _valid(self, migration: Migration, statement: Statement) -> str:
        there = catalog.standing(self.conn, statement.schema, statement.name)
        if there is None or not there.is_valid:
            raise CommandError(
                f"{migration.name}: {statement.full} is {'invalid' if there else 'gone'}; run it again"
            )
        return f"{statement.full} is valid, {space.shown(there.size)}"

    def foreseen(self, statements: tuple[Statement, ...]) -> list[str]:
        """Return how large new indexes will be.

        Raises:
            CommandError: the disk is too full for them.
        """
        said = []
        for each in statements:
            if each.kind == "create index" and not self._stands(each):
                size = space.estimate(self.conn, each)
                if size is not None:
                    space.refuse_full(self.conn, each, size)
                    said.append(f"up to about {space.shown(size)} on disk")
        return said


def seconds_since(start: float) -> str:
    """Return how long ago something was, for people."""
    return f"{time.monotonic() - start:.1f} s"
