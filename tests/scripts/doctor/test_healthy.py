"""A healthy shop on a healthy server: nothing is found, and everything was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from scripts.audit.finding import Finding
from scripts.bench.doctor.workload import STATEMENTS
from scripts.database import open_database
from scripts.demo.seed import create_schema, seed
from scripts.doctor.rules import RULES
from scripts.doctor.run import Examination, examined
from scripts.doctor.session import Session
from scripts.doctor.target import Options, Target
from scripts.stack import Stack
from scripts.stack.postgres import Cluster

SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "random_page_cost": "1.1",
    "statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min", "lock_timeout": "5s",
    "log_min_duration_statement": "1s",
}  # fmt: skip


@pytest.fixture(scope="module")
def healthy() -> Iterator[Cluster]:
    """A server as it should be, with a seeded shop that has been asked and written."""
    with Stack() as stack:
        cluster = stack.postgres(SETTINGS)
        cluster.create_role("shop")
        cluster.create_database("shop", "shop")
        create_schema(cluster.dsn("shop", "shop"))
        seed(cluster.dsn("shop", "shop"), "small", 20)
        with closing(psycopg2.connect(cluster.dsn("shop", "shop"))) as conn, conn.cursor() as cursor:
            for number in range(1, 21):
                for statement in STATEMENTS.values():
                    cursor.execute(statement, {"id": number})
            conn.commit()
        yield cluster


def _examined(cluster: Cluster, dsn: str) -> Examination:
    with closing(Session(open_database(dsn, "harden doctor"), 30.0)) as session:
        return examined(Target(session, Options(prove="off")), RULES)


def _said(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{each.rule} {each.message}" for each in findings]


def test_nothing_is_found_in_the_healthy_shop(healthy: Cluster) -> None:
    found = _examined(healthy, healthy.dsn("shop"))
    assert _said(found.findings) == []
    assert found.broken == ()
    assert not found.is_lost


def test_the_shops_own_role_sees_all_that_is_its_own(healthy: Cluster) -> None:
    found = _examined(healthy, healthy.dsn("shop", "shop"))
    assert _said(found.findings) == []
    assert not found.is_lost
