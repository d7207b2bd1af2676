"""Statements per request, counted by PostgreSQL (pg_stat_statements) and not by our own code."""

from __future__ import annotations

import time

import pytest

from scripts.demo.counting import STATEMENTS
from scripts.stack.postgres import Cluster
from tests.support.client import HttpClient

from .conftest import ROLE, Shop

PROFILE = "/api/admin/customers/{}?include=appointmentDetails"


def _statements(cluster: Cluster, shop: Shop) -> int:
    return int(cluster.execute(STATEMENTS, (shop.dbname, ROLE), dbname=shop.dbname)[0][0])


def _counted(cluster: Cluster, shop: Shop, method: str, path: str, json: object = None) -> int:
    client = HttpClient(shop.url)
    client.request("GET", "/api/vehicles/1")  # PgBouncer asks its rested server by SELECT 1
    before = -1
    while before != (before := _statements(cluster, shop)):  # a question of the start may still be under way
        time.sleep(0.1)
    status, _, body = client.request(method, path, json)
    client.close()
    assert status == 200, body
    return _statements(cluster, shop) - before


def _with_appointments(cluster: Cluster, shop: Shop, count: int) -> int:
    """Return a customer who has so many appointments."""
    rows = cluster.execute(
        "SELECT c.id FROM customers c LEFT JOIN appointments a ON a.customer_id = c.id"
        " GROUP BY c.id HAVING count(a.id) = %s ORDER BY c.id LIMIT 1",
        (count,),
        dbname=shop.dbname,
    )
    return int(rows[0][0])


@pytest.mark.parametrize("appointments", [0, 1, 20, 200, 2000])
def test_hardened_profile_is_one_statement_whatever_its_size(
    cluster: Cluster, hardened_shop: Shop, appointments: int
) -> None:
    customer = _with_appointments(cluster, hardened_shop, appointments)
    assert _counted(cluster, hardened_shop, "GET", PROFILE.format(customer)) == 1


@pytest.mark.parametrize("appointments", [0, 1, 20, 200])
def test_legacy_profile_is_one_and_three_per_appointment(
    cluster: Cluster, legacy_shop: Shop, appointments: int
) -> None:
    customer = _with_appointments(cluster, legacy_shop, appointments)
    assert _counted(cluster, legacy_shop, "GET", PROFILE.format(customer)) == 1 + 3 * appointments


@pytest.mark.parametrize(
    ("method", "path", "json", "legacy", "hardened"),
    [
        ("GET", "/api/customers/1/history", None, 1, 1),
        ("POST", "/api/vehicles/verify", {"customer_id": 1, "vehicle_ids": list(range(1, 21))}, 20, 1),
        ("GET", "/api/appointments?limit=20", None, 21, 1),
        ("GET", "/api/vehicles/1", None, 1, 1),
    ],
)
def test_statements_of_the_other_routes(
    cluster: Cluster,
    legacy_shop: Shop,
    hardened_shop: Shop,
    method: str,
    path: str,
    json: object,
    legacy: int,
    hardened: int,
) -> None:
    assert _counted(cluster, legacy_shop, method, path, json) == legacy
    assert _counted(cluster, hardened_shop, method, path, json) == hardened
