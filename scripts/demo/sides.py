"""The two sides of the proof on one stack: the legacy twin on Flask's server, the shop hardened."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from itsdangerous import URLSafeTimedSerializer

from ..load import Request
from ..stack import Stack
from ..stack.postgres import Cluster
from ..stack.web import Web
from . import seed as seeding

LEGACY_APP = Path(__file__).resolve().parent / "legacy_shop.py"
DATABASE, ROLE = "shop", "shop"
TOKEN_KEY = "SHOP_TOKEN_KEY"
THREADS = 4  # more threads than that fight for the interpreter's lock: the shop's requests are short
ROUTES = ("profile", "verify", "appointments", "me")


@dataclass(frozen=True)
class Sides:
    """Everything that runs.

    Attributes:
        cluster: the PostgreSQL that both use.
        legacy, hardened: the web servers.
        settings: how they were started, for the report.
        workloads: requests by route.
        key: signs the tokens that both take.
    """

    cluster: Cluster
    legacy: Web
    hardened: Web
    settings: dict[str, Any]
    workloads: dict[str, list[Request]]
    key: str = field(repr=False)


def start(
    stack: Stack, size: str, appointments: int, progress: Callable[[str], None],
    more: Mapping[str, str] | None = None,
) -> Sides:  # fmt: skip
    """Start and seed everything, and check that both sides answer the same.

    Args:
        more: settings of the hardened side, beside its own.
    """
    cluster = stack.postgres({"log_connections": "on", "log_disconnections": "off"})
    cluster.create_role(ROLE)
    cluster.create_database(DATABASE, ROLE)
    progress(f"seeding the shop ({size}, {appointments} appointments in the measured profiles)")
    dsn = cluster.dsn(DATABASE, ROLE)
    seeding.create_schema(dsn)
    seeding.seed(dsn, size, appointments)
    direct = cluster.url(DATABASE, ROLE)
    bouncer = stack.pgbouncer(cluster, [DATABASE], [ROLE])
    cache, key = stack.redis(), secrets.token_hex(32)
    workers = max(2, len(os.sched_getaffinity(0)))
    environ = {
        "DATABASE_URL": bouncer.url(DATABASE, ROLE) if bouncer else direct,
        "DB_PGBOUNCER": "transaction" if bouncer else "off",
        "WORKERS": str(workers),
        "THREADS": str(THREADS),
        TOKEN_KEY: key,
        "REDIS_URL": cache.url if cache else "",
        **(more or {}),
    }
    progress("starting the legacy twin on Flask's server and the hardened shop on Gunicorn")
    hardened = stack.gunicorn(environ)
    legacy = stack.flask(LEGACY_APP, {"DATABASE_URL": direct, TOKEN_KEY: key}, "legacy", "/api/vehicles/1")
    hardened.wait_until_ready()
    settings = {
        "appointments": appointments, "size": size, "workers": workers, "threads": THREADS, "pool_max": THREADS,
        "pgbouncer": "transaction" if bouncer else "not installed", "max_connections": 100,
        "cache": "Redis" if cache else "each worker's memory, for 5 s",
    }  # fmt: skip
    return Sides(cluster, legacy, hardened, settings, _workloads(dsn, key), key)


def bearer(key: str, customer_id: int) -> dict[str, str]:
    """Return the header by which a customer asks either shop."""
    token = URLSafeTimedSerializer(key, salt="shop").dumps({"sub": customer_id})
    return {"Authorization": f"Bearer {token}"}


def _workloads(dsn: str, key: str) -> dict[str, list[Request]]:
    """Return the requests of each route, over the customers of the cohort."""
    ids = range(1, seeding.COHORT + 1)
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT id FROM vehicles ORDER BY id LIMIT 1000")
        vehicles = [row[0] for row in cursor.fetchall()]
    return {
        "profile": [Request(f"/api/admin/customers/{n}?include=appointmentDetails") for n in ids],
        "verify": [
            Request("/api/vehicles/verify", "POST", {"customer_id": n, "vehicle_ids": vehicles[n : n + 20]})
            for n in ids
        ],
        "appointments": [Request("/api/appointments?limit=20")],
        "me": [Request("/api/me?include=appointmentDetails", headers=bearer(key, n)) for n in ids],
    }
