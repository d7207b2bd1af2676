"""A customer's own page: both twins answer alike, and the hardened one never with what is no longer so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend import close_pool
from backend.shop import create_app
from scripts.demo.sides import LEGACY_APP, TOKEN_KEY, bearer
from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from scripts.stack.web import Web
from tests.support.client import HttpClient

SIGNED = "k" * 32
NESTED = "/api/me?include=appointmentDetails"


@pytest.fixture(scope="module")
def url(cluster: Cluster, seeded: str) -> str:
    cluster.create_database("shop_me", "shop", template=seeded)
    return cluster.url("shop_me", "shop")


@pytest.fixture(scope="module")
def webs(url: str, redis_shared: Any) -> Iterator[tuple[Web, Web]]:
    """The legacy shop, and the hardened one on two workers and Redis; both on one database."""
    redis_shared.empty()
    with Stack() as stack:
        legacy = stack.flask(LEGACY_APP, {"DATABASE_URL": url, TOKEN_KEY: SIGNED}, "legacy", "/api/vehicles/1")
        hardened = stack.gunicorn(
            {"DATABASE_URL": url, "WORKERS": "2", "THREADS": "4", TOKEN_KEY: SIGNED, "REDIS_URL": redis_shared.url}
        )
        hardened.wait_until_ready()
        yield legacy, hardened


def _ask(
    web: Web, path: str = NESTED, headers: dict[str, str] | None = None, method: str = "GET", body: Any = None
) -> tuple[int, Any]:
    client, sent = HttpClient(web.url), {"Connection": "close", **(headers or {})}
    try:
        status, _, answer = client.request(method, path, json=body, headers=sent)
        return status, json.loads(answer)
    finally:
        client.close()


@pytest.mark.parametrize("path", [NESTED, "/api/me"])
def test_both_twins_show_the_same_again_and_again(webs: tuple[Web, Web], path: str) -> None:
    legacy, hardened = webs
    for customer in (1, 2, 3):
        expected = _ask(legacy, path, bearer(SIGNED, customer))
        assert expected[0] == 200 and expected[1]["id"] == customer
        for _ in range(4):  # of either worker, cached and not
            assert _ask(hardened, path, bearer(SIGNED, customer)) == expected


STRANGERS = [
    {}, {"Authorization": "Bearer x"}, bearer("another" * 8, 1), bearer(SIGNED, 999_999),
    {"Authorization": "Basic eDp5"},
]  # fmt: skip


@pytest.mark.parametrize("headers", STRANGERS)
def test_who_is_not_known_gets_nothing_from_either(webs: tuple[Web, Web], headers: dict[str, str]) -> None:
    assert [_ask(web, NESTED, headers) for web in webs] == [(401, {"error": "unauthorized"})] * 2


def test_a_booking_and_a_payment_are_seen_at_once_by_every_worker(webs: tuple[Web, Web]) -> None:
    legacy, hardened = webs
    me = bearer(SIGNED, 5)
    for number in range(6):
        before = _ask(hardened, headers=me)[1]
        vehicle = before["appointments"][0]["vehicle_id"]
        booking = {
            "customer_id": 5, "vehicle_id": vehicle, "starts_at": f"2031-01-0{number + 1}T10:00:00+00:00",
            "service_ids": [1], "notes": None,
        }  # fmt: skip
        status, booked = _ask(hardened, "/api/appointments", method="POST", body=booking)
        assert status == 201
        seen = [_ask(hardened, headers=me)[1]["appointments"][0]["id"] for _ in range(4)]
        assert seen == [booked["id"]] * 4
        paid = {"appointment_id": booked["id"], "amount": "12.50", "method": "card"}
        assert _ask(hardened, "/api/payments", method="POST", body=paid)[0] == 201
        assert [len(_ask(hardened, headers=me)[1]["appointments"][0]["payments"]) for _ in range(4)] == [1] * 4
    assert _ask(hardened, headers=me) == _ask(legacy, headers=me)


def test_customers_who_ask_at_once_see_themselves(webs: tuple[Web, Web]) -> None:
    def ask(number: int) -> bool:
        customer = 1 + number % 20
        return bool(_ask(webs[1], headers=bearer(SIGNED, customer))[1]["id"] == customer)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


def test_without_a_key_nobody_s_token_is_good(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_KEY, raising=False)
    client = create_app({"DATABASE_URL": url}).test_client()
    assert client.get(NESTED, headers=bearer("", 1)).status_code == 401
    close_pool()
