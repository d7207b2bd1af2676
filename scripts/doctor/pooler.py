"""PgBouncer through its admin console: pools, who waits and how long, the pool mode, the version, the limits.

The console takes simple statements and nothing else: no parameters, no transaction. Columns are looked up by name,
for they came one after the other from 1.12 to 1.24. Without --pgbouncer nobody asks.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extras import RealDictCursor

from ..database import first_line, open_database
from ..errors import CommandError
from .session import NotSeen

if TYPE_CHECKING:
    from .target import Target

PATIENCE = 5  # seconds


@dataclass(frozen=True)
class Pool:
    """One pool.

    Attributes:
        name: database/user.
        active, waiting: Clients.
        maxwait: Seconds that the first of those waiting has waited.
        servers: Connections to the server, of any state.
    """

    name: str
    active: int
    waiting: int
    maxwait: float
    servers: int


@dataclass(frozen=True)
class Console:
    """What the console says.

    Attributes:
        pool_mode: "session", "transaction" or "statement"; the default for all databases. "" when nobody asked.
        most_servers: Server connections that its pools together may open.
    """

    pools: tuple[Pool, ...] = ()
    version: tuple[int, ...] = (99,)
    version_text: str = ""
    pool_mode: str = ""
    most_servers: int = 0


def console(target: Target) -> Console:
    """Return what PgBouncer says; an empty answer when it is not to be asked.

    Raises:
        NotSeen: it does not answer.
    """
    dsn = target.options.pgbouncer
    return target.once("console", lambda: _asked(dsn)) if dsn else Console()


def _asked(dsn: str) -> Console:
    try:
        with closing(open_database(dsn, "harden doctor", connect_timeout=str(PATIENCE))) as conn:
            conn.autocommit = True
            pools, config, databases = (_rows(conn, f"SHOW {what}") for what in ("POOLS", "CONFIG", "DATABASES"))
            version = str(next(iter(_rows(conn, "SHOW VERSION")[0].values())))
    except CommandError as error:
        raise NotSeen(f"PgBouncer: {error}") from None
    except psycopg2.Error as error:
        raise NotSeen(f"PgBouncer's console: {first_line(error, dsn)}") from None
    settings = {str(each["key"]): str(each["value"]) for each in config}
    found = re.search(r"(\d+)\.(\d+)", version)
    return Console(
        tuple(_pool(each) for each in pools if each["database"] != "pgbouncer"),
        (int(found[1]), int(found[2])) if found else (99,), found[0] if found else version,
        settings.get("pool_mode", ""), _most_servers(pools, databases, settings),
    )  # fmt: skip


def _rows(conn: Any, statement: str) -> list[dict[str, Any]]:
    with conn.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(statement)
        return [dict(each) for each in cursor.fetchall()]


def _pool(row: dict[str, Any]) -> Pool:
    wait = float(row.get("maxwait") or 0) + float(row.get("maxwait_us") or 0) / 1e6
    servers = sum(int(value or 0) for name, value in row.items() if name.startswith("sv_") and name != "sv_login")
    return Pool(f"{row['database']}/{row['user']}", int(row["cl_active"]), int(row["cl_waiting"]), wait, servers)


def _most_servers(pools: list[dict[str, Any]], databases: list[dict[str, Any]], settings: dict[str, str]) -> int:
    """Return how many server connections there may be: each pool's size, within the database's own limit."""
    sizes = {str(each["name"]): (int(each.get("pool_size") or 0), int(each.get("reserve_pool") or 0),
                                 int(each.get("max_connections") or 0)) for each in databases}  # fmt: skip
    by_database: dict[str, int] = {}
    for each in pools:
        name = str(each["database"])
        if name != "pgbouncer":
            size, reserve, _ = sizes.get(name, (int(settings.get("default_pool_size", 20)), 0, 0))
            by_database[name] = by_database.get(name, 0) + size + reserve
    return sum(min(count, sizes.get(name, (0, 0, 0))[2] or count) for name, count in by_database.items())
