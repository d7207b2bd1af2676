"""DISCARD ALL without its DISCARD PLANS: a session like new, in which functions need not be planned again.

DISCARD ALL stands for eight commands, as its documentation lists them. One of them throws away every plan that the
session keeps, those of PL/pgSQL functions too, and planning a nested document takes a third to a half of its time.
Plans are no state that a later user could see: the server makes them anew when a role, a path or a table changes.
The other seven are one round trip as well, sent as one message, but take longer than the one command does; so this
is for leases that called such a function.

Knows nothing of pools. If this is wrong, one user's session state reaches the next user.
"""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection, cursor

# https://www.postgresql.org/docs/current/sql-discard.html, "DISCARD ALL"
COMMANDS = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; "
    "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)
_driver: Any = connection


def discard_but_plans(conn: Any) -> bool:
    """Clear the session of a connection that is in no transaction.

    Returns:
        False when `conn.reset()` has to follow, which also sets what psycopg2 itself wants of a session: the
        encoding or the style of dates is no longer as it was; or an isolation level of its own is set.

    Raises:
        psycopg2.Error: whatever the server said; the connection must be closed then.
    """
    if not (conn.isolation_level is conn.readonly is conn.deferrable is None):
        return False  # turning autocommit on and off would write them to the session, a round trip each
    encoding = conn.get_parameter_status("client_encoding")
    autocommit = conn.autocommit
    if not autocommit:
        _driver.autocommit.__set__(conn, True)  # no BEGIN around it, and no round trip
    try:
        with _driver.cursor(conn, cursor_factory=cursor) as plain:
            plain.execute(COMMANDS)
    finally:
        if not autocommit and not conn.closed:
            _driver.autocommit.__set__(conn, False)
    is_same = conn.get_parameter_status("client_encoding") == encoding
    return bool(is_same and conn.get_parameter_status("DateStyle").startswith("ISO"))
