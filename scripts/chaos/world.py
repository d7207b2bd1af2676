"""The hardened shop with everything it stands on, as durable as in production, and handles to hurt each part."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psutil

from ..demo import seed as seeding
from ..demo.sides import DATABASE, ROLE, TOKEN_KEY
from ..errors import CommandError
from ..stack import Stack
from ..stack.bouncer import Bouncer
from ..stack.postgres import Cluster
from ..stack.redis import Redis
from ..stack.web import Web
from . import held

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "100"}
WORKERS, THREADS, POOL_SIZE = 3, 4, 10
# Of the app's entry in PgBouncer; more at the database than this and its own lookups is a leak.
MOST_CONNECTIONS = POOL_SIZE + 5
APPOINTMENTS = "SELECT id, customer_id FROM appointments WHERE customer_id <= %s ORDER BY id"


@dataclass(frozen=True)
class World:
    """Everything that runs.

    Attributes:
        appointments: customer by appointment, of customers whose profiles show all of theirs.
        key, ops_token: what the shop signs with, and what its ops page wants.
    """

    cluster: Cluster
    bouncer: Bouncer
    redis: Redis
    web: Web
    appointments: dict[int, int]
    key: str = field(repr=False)
    ops_token: str = field(repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where Gunicorn answers."""
        return ("127.0.0.1", self.web.port)

    def held(self) -> list[str]:
        """Return what is held though nobody asks any more."""
        return [
            *held.leases(self.web.url, self.ops_token), *held.sessions(self, DATABASE, ROLE, MOST_CONNECTIONS),
        ]  # fmt: skip

    def rows(self, statement: str, values: Any = None) -> list[Any]:
        """Ask the shop's database as a superuser."""
        return self.cluster.execute(statement, values, dbname=DATABASE)

    def workers(self) -> list[psutil.Process]:
        """Return Gunicorn's workers."""
        return list(psutil.Process(self.web.child.pid).children())

    def postgres(self) -> list[psutil.Process]:
        """Return the postmaster and all its children."""
        child = self.cluster.child
        if child is None or not child.is_running():
            return []
        master = psutil.Process(child.pid)
        return [master, *master.children(recursive=True)]


def build(stack: Stack, progress: Callable[[str], None], more: Mapping[str, str] | None = None) -> World:
    """Start and seed everything.

    Args:
        more: settings of the app; HARDEN_APP names another one, such as a sabotaged one in the tests.

    Raises:
        CommandError: PgBouncer or Redis is not installed.
    """
    cluster = stack.postgres(DURABLE)
    cluster.create_role(ROLE)
    cluster.create_database(DATABASE, ROLE)
    dsn = cluster.dsn(DATABASE, ROLE)
    seeding.create_schema(dsn)
    seeding.seed(dsn, "small", 20)
    bouncer, redis = stack.pgbouncer(cluster, [DATABASE], [ROLE], pool_size=POOL_SIZE), stack.redis()
    if bouncer is None or redis is None:
        missing = "pgbouncer" if bouncer is None else "redis-server"
        raise CommandError(f"{missing} is not installed; apt-get install {missing}, and run it again")
    key, token = secrets.token_hex(32), secrets.token_hex(16)
    environ = {
        "DATABASE_URL": bouncer.url(DATABASE, ROLE), "DB_PGBOUNCER": "transaction", "WORKERS": str(WORKERS),
        "THREADS": str(THREADS), "REDIS_URL": redis.url, TOKEN_KEY: key, "HARDEN_OPS_TOKEN": token,
        "DB_POOL_TIMEOUT": "3", "DB_STATEMENT_TIMEOUT_MS": "10000",
        **(more or {}),
    }  # fmt: skip
    progress("starting the hardened shop on Gunicorn")
    web = stack.gunicorn(environ)
    web.wait_until_ready()
    with closing(cluster.connect(DATABASE)) as conn, conn.cursor() as cursor:
        cursor.execute(APPOINTMENTS, (seeding.COHORT,))
        appointments = dict(cursor.fetchall())
    return World(cluster, bouncer, redis, web, appointments, key, token)
