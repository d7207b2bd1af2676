"""/livez, /readyz and /health/database/pool: what they say, to whom, and what they never wait for."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from backend import Hardening, get_pool, health
from backend.readiness import Readiness


@pytest.fixture(autouse=True)
def _fresh_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_of_this_process", Readiness(health._pool_states))


def client(url: str, **settings: Any) -> Any:
    app = Flask(__name__)

    @app.before_request
    def guard() -> tuple[str, int]:
        return "log in first", 401

    Hardening(app, DATABASE_URL=url, **settings)
    return app.test_client()


def test_health_passes_by_the_app_s_own_login_guard(url: str) -> None:
    shop = client(url)
    assert shop.get("/").status_code == 401
    assert shop.get("/livez").get_json() == {"status": "ok"}
    assert shop.get("/readyz").get_json()["checks"] == {"database": ["ok"]}


def test_ready_says_503_when_the_database_cannot_be_reached() -> None:
    shop = client("postgresql://nobody@127.0.0.1:1/none")
    answer = shop.get("/readyz")
    assert (answer.status_code, answer.get_json()["checks"]["database"]) == (503, ["unreachable"])
    assert shop.get("/livez").status_code == 200


def test_ready_does_not_queue_behind_a_pool_that_is_all_in_use(url: str) -> None:
    shop = client(url, DB_POOL_MAX=1, DB_POOL_TIMEOUT=60)
    conn = get_pool().getconn()
    answer = shop.get("/readyz")
    assert (answer.status_code, answer.get_json()["checks"]["database"]) == (200, ["busy"])
    get_pool().putconn(conn)


def test_ready_asks_the_database_at_most_once_a_second(url: str) -> None:
    shop = client(url)
    for _ in range(5):
        shop.get("/readyz")
    assert get_pool().stats()["leased"] == 1


def test_a_process_that_drains_says_503_and_goes_on_serving(url: str) -> None:
    shop = client(url)
    assert shop.get("/readyz").status_code == 200
    health.drain()
    answer = shop.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "draining")
    assert (shop.head("/readyz").status_code, shop.head("/readyz").data) == (503, b"")
    assert shop.get("/").status_code == 401
    assert shop.get("/livez").status_code == 200
    health.undrain()
    assert shop.get("/readyz").status_code == 200


def test_head_and_post(url: str) -> None:
    shop = client(url)
    assert (shop.head("/livez").status_code, shop.head("/livez").data) == (200, b"")
    refused = shop.post("/livez")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")


FIGURES = "/health/database/pool"


def test_figures_are_for_this_machine(url: str) -> None:
    figures = client(url).get(FIGURES, environ_base={"REMOTE_ADDR": "127.0.0.1"})
    assert figures.get_json()["pools"][0]["maxconn"] == 8
    assert "pass" not in figures.get_data(as_text=True)
    assert figures.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("203.0.113.9", {}),
        ("", {}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}),
        ("203.0.113.9", {"X-Forwarded-For": "127.0.0.1"}),
        ("203.0.113.9", {"Authorization": "Bearer "}),
        ("203.0.113.9", {"Authorization": "Bearer None"}),
    ],
)
def test_figures_are_closed_to_the_world(url: str, address: str, headers: dict[str, str]) -> None:
    answer = client(url).get(FIGURES, environ_base={"REMOTE_ADDR": address}, headers=headers)
    assert answer.status_code == 404


def test_a_proxy_that_is_believed_does_not_open_them(url: str) -> None:
    answer = client(url, HARDEN_PROXIES=1).get(
        FIGURES, environ_base={"REMOTE_ADDR": "127.0.0.1"}, headers={"X-Forwarded-For": "127.0.0.1"}
    )
    assert answer.status_code == 404


def test_the_token_opens_them_and_nothing_near_it_does(url: str) -> None:
    shop = client(url, HARDEN_OPS_TOKEN="open-sesame")
    far = {"REMOTE_ADDR": "203.0.113.9"}
    for sent, status in (("Bearer open-sesame", 200), ("Bearer open-sesam", 404), ("Bearer é", 404)):
        assert shop.get(FIGURES, environ_base=far, headers={"Authorization": sent}).status_code == status


def test_a_full_pool_is_a_503_that_says_when_to_come_back(url: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=1, DB_POOL_TIMEOUT=0)

    @app.get("/")
    def view() -> str:
        get_pool().getconn()
        return "never"

    conn = get_pool().getconn()
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "DB_POOL_MAX" not in answer.get_data(as_text=True)
    get_pool().putconn(conn)
