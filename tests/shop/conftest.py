"""The shop twice on real servers: legacy on Flask's, hardened on Gunicorn, on two equal copies of a database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from scripts.demo.seed import create_schema, seed
from scripts.demo.sides import LEGACY_APP
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from tests.support.client import HttpClient

ROLE = "shop"


@dataclass(frozen=True)
class Shop:
    """One running shop."""

    url: str
    dbname: str
    dsn: str = field(repr=False)


@pytest.fixture(scope="session")
def seeded(cluster: Cluster) -> str:
    """The template that both databases are copies of."""
    cluster.create_role(ROLE)
    cluster.create_database("shop_seeded", ROLE)
    create_schema(cluster.dsn("shop_seeded", ROLE))
    seed(cluster.dsn("shop_seeded", ROLE), "small", 20)
    return "shop_seeded"


@pytest.fixture(scope="session")
def legacy_shop(stack: Stack, cluster: Cluster, seeded: str) -> Shop:
    """The twin as its team runs it, straight to PostgreSQL."""
    cluster.create_database("shop_legacy", ROLE, template=seeded)
    url = cluster.url("shop_legacy", ROLE)
    web = stack.flask(LEGACY_APP, {"DATABASE_URL": url}, "legacy", "/api/vehicles/1")
    return Shop(web.url, "shop_legacy", cluster.dsn("shop_legacy", ROLE))


@pytest.fixture(scope="session")
def hardened_shop(stack: Stack, cluster: Cluster, seeded: str) -> Shop:
    """The shop under Gunicorn and, where it is installed, behind PgBouncer in transaction mode."""
    cluster.create_database("shop_hardened", ROLE, template=seeded)
    url, mode = cluster.url("shop_hardened", ROLE), "off"
    bouncer = stack.pgbouncer(cluster, ["shop_hardened"], [ROLE], name="pgbouncer-shop")
    if bouncer is not None:
        url, mode = bouncer.url("shop_hardened", ROLE), "transaction"
    web = stack.gunicorn({"DATABASE_URL": url, "DB_PGBOUNCER": mode, "WORKERS": "2", "THREADS": "4"}, name="shop")
    web.wait_until_ready()
    return Shop(web.url, "shop_hardened", cluster.dsn("shop_hardened", ROLE))


@pytest.fixture
def legacy_client(legacy_shop: Shop) -> Iterator[HttpClient]:
    client = HttpClient(legacy_shop.url, legacy_shop.dsn)
    yield client
    client.close()


@pytest.fixture
def hardened_client(hardened_shop: Shop) -> Iterator[HttpClient]:
    client = HttpClient(hardened_shop.url, hardened_shop.dsn)
    yield client
    client.close()
