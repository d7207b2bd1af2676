"""The PostgreSQL side: one transaction's settings, what must be true before it, and what stands in it already.

Everything is SET LOCAL, so it holds for one transaction and works through PgBouncer in transaction mode.
"""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from ..errors import CommandError
from .names import quoted
from .plan import Plan

_SETTINGS = (
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
    "SET LOCAL lock_timeout = '10s'; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; "
    "SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'; SET LOCAL client_min_messages = warning"
)
_STATE = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), current_setting('server_encoding')"


def begin(cursor: Cursor, schema: str) -> None:
    """Start a transaction with its settings; with citext's own schema in the path."""
    cursor.execute(_SETTINGS)
    cursor.execute("SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                   "WHERE e.extname = 'citext'")  # fmt: skip
    row = cursor.fetchone()
    path = dict.fromkeys((schema, "public", *(row or ())))
    cursor.execute(f"SET LOCAL search_path = {', '.join(map(quoted, path))}")


def check_writable(cursor: Cursor) -> None:
    """See that this server takes writes and holds any text.

    Raises:
        CommandError: it does not.
    """
    cursor.execute(_STATE)
    recovering, read_only, encoding = cursor.fetchone() or (True, "on", "")
    if recovering:
        raise CommandError("this server is a replica (pg_is_in_recovery); give the DSN of its primary")
    if read_only == "on":
        raise CommandError(
            "transactions are read-only here (default_transaction_read_only); give another role or DSN"
        )
    if encoding != "UTF8":
        raise CommandError(
            f"the database's encoding is {encoding}; make one with ENCODING 'UTF8' TEMPLATE template0"
        )


def make_room(cursor: Cursor, plan: Plan, own: set[str]) -> None:
    """Make the schema and citext where they are missing, and see that no table is in the way.

    Args:
        cursor: inside the transaction.
        plan: what will be made.
        own: tables that this import made before.

    Raises:
        CommandError: a table of such a name exists.
    """
    schema = plan.wishes.schema
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
    if not cursor.fetchone():
        cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) "
        "AND relname = ANY(%s) ORDER BY relname", (schema, [table.name for table in plan.tables]),
    )  # fmt: skip
    taken = [str(row[0]) for row in cursor.fetchall() if row[0] not in own]
    if taken:
        raise CommandError(f"schema {schema} has {', '.join(taken[:5])} already ({len(taken)} of "
                           f"{len(plan.tables)}); "
                           "give --schema NAME, or --rollback for an earlier import")  # fmt: skip
    if any(column.type == "citext" for table in plan.tables for column in table.columns):
        cursor.execute(f"CREATE EXTENSION IF NOT EXISTS citext SCHEMA {quoted(schema)}")
