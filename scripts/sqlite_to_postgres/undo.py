"""Take an import back: drop exactly the tables that it made, after a look whether anybody wrote to them since."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection as Connection

from ..database import first_line
from ..errors import CommandError
from . import record
from .checksum import of_target
from .names import quoted
from .target import begin, check_writable


def roll_back(conn: Connection, schema: str, force: bool) -> list[str]:
    """Drop the import's tables; returns their names.

    Args:
        conn: not in autocommit.
        schema: where the import is.
        force: drop them even where rows were written since.

    Raises:
        CommandError: there is no import, the app wrote since, or something else depends on a table.
    """
    try:
        with conn.cursor() as cursor:
            begin(cursor, schema)
            check_writable(cursor)
            if not record.exists(cursor, schema):
                raise CommandError(
                    f"schema {schema} holds no import (no table {record.NAME}); nothing was dropped"
                )
            found = record.entries(cursor, schema)
            places = ", ".join(f"{quoted(schema)}.{quoted(entry.name)}" for entry in found)
            if places:  # nobody may write between the look and the drop
                cursor.execute(f"LOCK TABLE {places} IN ACCESS EXCLUSIVE MODE")
            written = [] if force else [entry.name for entry in found if not _unchanged(conn, schema, entry)]
            if written:
                raise CommandError(
                    f"{', '.join(written[:5])}: rows were written since the import ({len(written)} of "
                    f"{len(found)} tables); save them, then give --force; nothing was dropped"
                )
            # In one statement, and without CASCADE: what somebody else built on them stops it.
            cursor.execute(f"DROP TABLE {', '.join(filter(None, (places, f'{quoted(schema)}.{record.NAME}')))}")
        conn.commit()
    except psycopg2.Error as error:
        raise CommandError(f"rollback: {first_line(error)}; nothing was dropped") from None
    return [entry.name for entry in found]


def _unchanged(conn: Connection, schema: str, entry: record.Entry) -> bool:
    place = f"{quoted(schema)}.{quoted(entry.name)}"
    return of_target(conn, place, entry.columns, lambda rows: None) == entry.sum
