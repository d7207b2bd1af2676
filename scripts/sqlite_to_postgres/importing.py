"""The import: tables and data, then keys and the rest, then the check, then one COMMIT.

Until that COMMIT the target is as it was. With `resume`, each table is committed by itself and remembered,
so a run that was cut off goes on behind the last whole table; keys, indexes and the check still come in one
transaction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from ..database import first_line
from ..errors import CommandError
from ..progress import Progress
from . import record
from .checksum import Sum, of_source, of_target
from .copying import copy_table
from .ddl import create_table, extras, place
from .names import quoted as pg_quoted
from .pace import Pace
from .plan import NewTable, Plan
from .schema import quoted
from .source import Source
from .target import begin, check_writable, make_room

PASSES = 3  # copied, hashed, checked


@dataclass
class Outcome:
    """What was done: rows by table, statements that hold, and those that PostgreSQL refused."""

    sums: dict[str, Sum] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    committed: bool = False


class Import:
    """One import of a plan.

    Args:
        source, plan: what is moved.
        conn: a connection of its own, not in autocommit.
        resume: commit each table by itself.
        allow_missing: go on without what could not be translated.
        batch: rows read at once.
    """

    def __init__(
        self, source: Source, plan: Plan, conn: Connection, resume: bool, allow_missing: bool, batch: int
    ) -> None:
        self._source, self._plan, self._conn = source, plan, conn
        self._resume, self._allow_missing, self._batch = resume, allow_missing, batch
        self._schema = plan.wishes.schema
        self._progress = Progress()
        self._pace = Pace(self._progress, plan.rows, PASSES)
        self._where = "before the first table"
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Do all of it; nothing is committed where something is refused and was not allowed to be missing.

        Raises:
            CommandError: the target is not fit, the copy is not equal, or the connection broke.
        """
        try:
            with self._conn.cursor() as cursor:
                self._all(cursor)
        except (psycopg2.Error, sqlite3.Error) as error:
            # A broken connection has rolled back on the server's side.
            if not self._conn.closed:
                self._conn.rollback()
            raise CommandError(f"{self._where}: {first_line(error)}; {self._after()}") from None
        finally:
            self._progress.clear()
        return self.outcome

    def _after(self) -> str:
        if self._resume:
            return "whole tables are kept; run it again with --resume"
        return "all was rolled back, the target is as it was and the source was only read"

    def _all(self, cursor: Cursor) -> None:
        begin(cursor, self._schema)
        check_writable(cursor)
        kept = self._kept(cursor)
        make_room(cursor, self._plan, set(kept))
        record.create(cursor, self._schema)
        for table in self._plan.tables:
            self._where = f"table {table.name}"
            if table.name in kept:
                self._pace.skipped(table.rows * (PASSES - 1))
            self.outcome.sums[table.name] = kept.get(table.name) or self._table(cursor, table)
            if self._resume:
                self._conn.commit()
                begin(cursor, self._schema)
        self._finish(cursor)

    def _kept(self, cursor: Cursor) -> dict[str, Sum]:
        if not record.exists(cursor, self._schema):
            return {}
        found = record.entries(cursor, self._schema)
        if not self._resume or any(entry.complete for entry in found):
            raise CommandError(f"schema {self._schema} holds an import of {len(found)} tables already; give "
                               "--verify-only, --rollback, or --resume for one that was cut off")  # fmt: skip
        if any(entry.identity != self._source.identity for entry in found):
            raise CommandError("the file has changed since the import that --resume would go on with; give "
                               "--rollback, then start again")  # fmt: skip
        planned = {table.name: table.kinds() for table in self._plan.tables}
        other = [entry.name for entry in found if planned.get(entry.name) != entry.columns]
        if other:
            raise CommandError(f"{', '.join(other[:5])}: the import that --resume would go on with had other "
                               "options; give those again, or --rollback")  # fmt: skip
        return {entry.name: entry.sum for entry in found}

    def _table(self, cursor: Cursor, table: NewTable) -> Sum:
        cursor.execute(create_table(self._plan, table))
        copy_table(
            self._source.connection, cursor, place(self._plan, table), table,
            self._pace.step(f"copy {table.name}"), self._batch,
        )  # fmt: skip
        self._pace.passed(table.rows)
        found = of_source(self._source.connection, table, self._pace.step(f"hash {table.name}"))
        self._pace.passed(table.rows)
        record.add(cursor, self._schema, table, self._source.identity, found)
        return found

    def _finish(self, cursor: Cursor) -> None:
        for extra in extras(self._plan):
            self._where = extra.what
            self._extra(cursor, extra.what, extra.statement, extra.reason)
        if self.outcome.refused and not self._allow_missing:
            self._conn.rollback()
            return
        for table in self._plan.tables:
            self._sequence(cursor, table)
        for table in self._plan.tables:
            self._verify(table)
            cursor.execute(f"ANALYZE {place(self._plan, table)}")
        if self._source.changed():
            self._conn.rollback()
            raise CommandError(f"{self._source.path} was written to meanwhile; stop the app (or copy from a "
                               f".backup) and run this again; {self._after()}")  # fmt: skip
        record.complete(cursor, self._schema)
        self._conn.commit()
        self.outcome.committed = True

    def _extra(self, cursor: Cursor, what: str, statement: str, reason: str) -> None:
        if not statement:
            self.outcome.refused.append(f"{what}: {reason}")
            return
        self._progress(what)
        cursor.execute("SAVEPOINT harden_extra")
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            if self._conn.closed:
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT harden_extra")
            self.outcome.refused.append(f"{what}: {first_line(error)}")
        else:
            self.outcome.made.append(what)
        cursor.execute("RELEASE SAVEPOINT harden_extra")

    def _sequence(self, cursor: Cursor, table: NewTable) -> None:
        column = next((column for column in table.columns if column.identity), None)
        if column is None:
            return
        text = f"SELECT max({quoted(column.source.name)}) FROM {quoted(table.source.name)}"
        highest = self._source.connection.execute(text).fetchone()[0] or 0
        last = max(int(highest), self._plan.schema.counters.get(table.source.name, 0))
        if last > 0:
            names = (place(self._plan, table), column.name)
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", (*names, last))
            self.outcome.made.append(f"sequence of {table.source.name} at {last}")

    def _verify(self, table: NewTable) -> None:
        self._where = f"check of {table.name}"
        say = self._pace.step(f"check {table.name}")
        found = of_target(self._conn, place(self._plan, table), table.kinds(), say)
        self._pace.passed(table.rows)
        wanted = self.outcome.sums[table.name]
        if found != wanted:
            self._conn.rollback()
            raise CommandError(
                f"{table.name} is not equal: {wanted.rows:,} rows ({wanted.checksum[:8]}) in SQLite, "
                f"{found.rows:,} ({found.checksum[:8]}) in PostgreSQL; {self._after()}"
            )


def verify(source: Source, plan: Plan, conn: Connection) -> list[str]:
    """Compare an import with its file again; returns the differences.

    Raises:
        CommandError: there is no import.
    """
    schema = plan.wishes.schema
    progress = Progress()
    with conn.cursor() as cursor:
        begin(cursor, schema)
        if not record.exists(cursor, schema):
            raise CommandError(f"schema {schema} holds no import (no table {record.NAME})")
        found = record.entries(cursor, schema)
    differences = []
    pace = Pace(progress, plan.rows, 2)
    for entry in found:
        table = plan.table(entry.source)
        if table is None or table.kinds() != entry.columns:
            differences.append(f"{entry.name}: the file or the options are not those of the import")
            continue
        wanted = of_source(source.connection, table, pace.step(f"hash {entry.name}"))
        pace.passed(table.rows)
        where = f"{pg_quoted(schema)}.{pg_quoted(entry.name)}"
        there = of_target(conn, where, entry.columns, pace.step(f"check {entry.name}"))
        pace.passed(table.rows)
        if wanted != there:
            differences.append(f"{entry.name}: {wanted.rows:,} rows ({wanted.checksum[:8]}) in SQLite, "
                               f"{there.rows:,} "
                               f"({there.checksum[:8]}) in PostgreSQL")  # fmt: skip
    progress.clear()
    return differences
