"""The database that migrations run on: refused when it is a replica, behind a transaction pooler, or not ours.

Everything is looked at before anything is changed. If this is wrong, a SET goes to somebody else's session, or the
fourth of five migrations fails for a right that could have been asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from ..database import open_database, shown_dsn
from ..errors import CommandError
from .catalog import rows
from .folder import Migration
from .statements import Statement

NAME = "harden migrate"  # as pg_stat_activity shows it
_POOL_WAIT = 10.0  # seconds for a pooler to give a second session
_OWNER = """
    SELECT c.relkind, pg_catalog.pg_get_userbyid(c.relowner) AS owner, current_user AS role,
           pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE') AS is_ours,
           pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS may_create
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
"""


def opened(dsn: str) -> connection:
    """Return a session of its own, in autocommit, on a server that can be changed.

    Raises:
        CommandError: there is none; it is a replica, read-only, or behind a pooler in transaction mode.
    """
    conn = open_database(dsn, NAME)
    conn.autocommit = True
    try:
        _refuse_pooler(conn, dsn)
        _refuse_replica(conn, dsn)
    except BaseException:
        conn.close()
        raise
    return conn


def _refuse_replica(conn: connection, dsn: str) -> None:
    (row,) = rows(conn, "SELECT pg_catalog.pg_is_in_recovery() AS is_replica, "
                        "current_setting('transaction_read_only') = 'on' AS is_readonly, "
                        "current_setting('server_version_num')::int AS version")  # fmt: skip
    if row.is_replica:
        raise CommandError(f"{shown_dsn(dsn)} is a replica, which takes no changes; give the primary's DSN")
    if row.is_readonly:
        raise CommandError(f"{shown_dsn(dsn)} is read-only for this role (default_transaction_read_only); give "
                           "another role's DSN")  # fmt: skip
    if row.version < 120000:
        raise CommandError(f"the server is PostgreSQL {row.version // 10000}; 12 is the oldest that this runs on")


def _refuse_pooler(conn: connection, dsn: str) -> None:
    """A pooler answers with a pid of its own; whether it keeps sessions apart shows when two ask in turn."""
    pid = _pid(conn)
    if pid == conn.info.backend_pid:
        return
    if not _keeps_sessions(conn, dsn, pid):
        raise CommandError(f"{shown_dsn(dsn)} is a pooler in transaction mode: SET and locks would go to other "
                           "sessions; give PostgreSQL's own host and port")  # fmt: skip


def _keeps_sessions(conn: connection, dsn: str, pid: int) -> bool:
    seen: list[bool] = []

    def ask() -> None:
        try:
            with closing(open_database(dsn, NAME)) as other:  # not in autocommit: it holds what it was given
                seen.append(_pid(other) != pid and _pid(conn) == pid)
        except (CommandError, psycopg2.Error):
            seen.append(False)

    # In a thread, for a pooler without a free connection lets us wait as long as it likes.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_POOL_WAIT)
    return bool(seen) and seen[0]


def _pid(conn: connection) -> int:
    return int(rows(conn, "SELECT pg_catalog.pg_backend_pid() AS pid")[0].pid)


def refuse_strange(conn: connection, wanted: Iterable[tuple[Migration, tuple[Statement, ...]]]) -> None:
    """See that each table is there, is ours, and can have an index made while it is used.

    Raises:
        CommandError: with all that stands in the way.
    """
    faults: dict[str, None] = {}
    for migration, statements in wanted:
        for each in statements:
            name = each.table or each.name
            if not name:
                continue
            found = rows(conn, _OWNER, (each.schema, name))
            fault = _fault(each, found[0] if found else None)
            if fault:
                faults[f"{migration.name}: {fault}"] = None
    if faults:
        raise CommandError(f"nothing was done: {'; '.join(faults)}")


def _fault(statement: Statement, row: Any) -> str:
    what = f"{statement.schema}.{statement.table or statement.name}"
    if row is None:
        return f"there is no table {what}" if statement.table else ""
    if not row.is_ours:
        return f"{what} belongs to {row.owner}, and {row.role} is no member; connect as {row.owner}"
    if statement.kind == "create index" and not row.may_create:
        return f"{row.role} may not CREATE in the schema {statement.schema}; GRANT CREATE ON SCHEMA"
    if row.relkind in "pI" and statement.kind in ("create index", "drop index"):
        return (f"{what} is partitioned, and PostgreSQL has no CONCURRENTLY there; make the index on each "
                "partition, then on the table, which adopts them, and drop this migration")  # fmt: skip
    return ""
