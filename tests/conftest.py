"""Real servers for all tests: one throw-away PostgreSQL and one PgBouncer per run, made by the kit's own stack."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg2.extensions import make_dsn
from pytest_postgresql import factories

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from backend import dropin, request_end, scope, sqlite_guard, startup, watch  # noqa: E402
from backend.database_helper import close_pool  # noqa: E402
from scripts.demo.seed import create_schema, seed  # noqa: E402
from scripts.stack import Stack  # noqa: E402
from scripts.stack.bouncer import Bouncer  # noqa: E402
from scripts.stack.postgres import Cluster  # noqa: E402
from scripts.stack.redis import Redis  # noqa: E402

ROLE = "app"
request_end.BATCH = 1  # here a test sees at once what its request did; servers of their own do as in production
HANG_AFTER = 400  # seconds; then every thread's stack is printed and the run ends


ALONE = (
    "backend/faults", "backend/gunicorn/test_gevent.py", "backend/test_gunicorn.py",
    "backend/test_streaming_gunicorn.py", "scripts/demo", "scripts/load/test_closed.py",
    "scripts/load/test_drive.py", "scripts/stack", "scripts/top", "lab",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what measures time or looks at the whole machine; see scripts/run_tests.py."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests").as_posix()
        if path.startswith(ALONE):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    faulthandler.dump_traceback_later(HANG_AFTER, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The servers of this run; everything is stopped at its end."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def cluster(stack: Stack) -> Cluster:
    """PostgreSQL, as it comes: 100 connections, pg_stat_statements on."""
    running = stack.postgres({"log_connections": "on"})
    running.create_role(ROLE, "pass word'\"%")  # every test goes through a password that needs care
    return running


@pytest.fixture(scope="session")
def postgresql_server(cluster: Cluster) -> SimpleNamespace:
    """The cluster, in the words of pytest-postgresql's noproc fixtures: PostgreSQL refuses to run as root,
    so the server is the stack's."""
    return SimpleNamespace(
        host="127.0.0.1",
        port=cluster.port,
        user=cluster.user,
        password=cluster.password,
        options="",
        maintenance_dbname="postgres",
        template_dbname="template1",
    )


def _load_shop(**server: Any) -> None:
    where = make_dsn(**{name: server[name] for name in ("host", "port", "user", "dbname", "password")})
    create_schema(where)
    seed(where, "small", 20)


# `shop_postgresql`: a psycopg 3 connection to a fresh copy of the seeded shop, one per test.
shop_noproc = factories.postgresql_noproc(depends_on="postgresql_server", dbname="shop_copy", load=[_load_shop])
shop_postgresql = factories.postgresql("shop_noproc")
postgresql_noproc = factories.postgresql_noproc(depends_on="postgresql_server", dbname="empty")
postgresql = factories.postgresql("postgresql_noproc")


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> str:
    """A database that the role `app` owns, shared by tests that leave nothing in it."""
    cluster.create_database("app", ROLE)
    return "app"


@pytest.fixture
def dsn(cluster: Cluster, database: str) -> str:
    """Straight to PostgreSQL, as the role `app`."""
    return cluster.dsn(database, ROLE)


@pytest.fixture
def url(cluster: Cluster, database: str) -> str:
    """The same as DATABASE_URL spells it."""
    return cluster.url(database, ROLE)


@pytest.fixture(scope="session")
def bouncer(stack: Stack, cluster: Cluster, database: str) -> Bouncer:
    """PgBouncer in transaction mode before the database `app`."""
    running = stack.pgbouncer(cluster, [database], [ROLE])
    if running is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    return running


@pytest.fixture(scope="session")
def redis_shared(stack: Stack) -> Redis:
    """One Redis for the whole run; `redis_server` is what tests ask for."""
    running = stack.redis()
    if running is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    return running


@pytest.fixture
def redis_server(redis_shared: Redis) -> Iterator[Redis]:
    """A running, empty Redis; a test may stop, kill, fill and start it."""
    redis_shared.start()
    redis_shared.empty()
    yield redis_shared
    redis_shared.start()


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    watch.stop()
    startup.stop()
    sqlite_guard.stop()
    dropin.uninstall()
    close_pool()
    scope.set_provider(None)


@pytest.fixture
def backends(cluster: Cluster, database: str) -> Any:
    """A function that counts the role's server connections, as PostgreSQL sees them."""

    def count() -> int:
        with closing(cluster.connect()) as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s", (database, ROLE)
            )
            return int(cursor.fetchone()[0])

    seen = -1
    while seen != (seen := count()):  # those of the test before may still be ending
        time.sleep(0.05)
    return count
