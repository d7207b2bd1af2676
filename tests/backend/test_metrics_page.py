"""`/metrics`: who may see it, whose it is when the app has one, and what it says without the library."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from backend import Hardening, watch

TOKEN = "a token of this test"
FAR = {"REMOTE_ADDR": "203.0.113.9"}
Client = Callable[..., Any]


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """Makes a hardened app's client."""

    def make(app: Flask | None = None, **settings: Any) -> Any:
        hardened = app or Flask("app")
        Hardening(hardened, DATABASE_URL=url, HARDEN_OPS_TOKEN=TOKEN, **settings)
        return hardened.test_client()

    yield make
    watch.stop()


def test_it_is_for_loopback_and_for_the_token(client: Client) -> None:
    page = client()
    assert page.get("/metrics").status_code == 200
    assert page.get("/metrics", environ_base=FAR).status_code == 404
    assert page.get("/metrics", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404
    right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}
    assert page.get("/metrics", headers=right, environ_base=FAR).status_code == 200
    assert page.get("/metrics", headers=wrong, environ_base=FAR).status_code == 404


def test_what_is_closed_says_nothing_of_figures(client: Client) -> None:
    answer = client().get("/metrics", environ_base=FAR)
    assert answer.get_json() == {"error": "not found"}


def test_its_headers_are_a_scraper_s(client: Client) -> None:
    page = client()
    answer = page.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    open_metrics = page.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert open_metrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert page.head("/metrics").data == b""
    assert page.post("/metrics").status_code == 405


def test_an_app_s_own_metrics_stay_its_own(client: Client) -> None:
    app = Flask("app")
    app.add_url_rule("/metrics", view_func=lambda: "the app's own")
    page = client(app)
    assert page.get("/metrics").text == "the app's own"
    assert "harden_workers 1.0" in page.get("/health/metrics").text


def test_with_metrics_off_the_paths_are_the_app_s(client: Client) -> None:
    page = client(HARDEN_METRICS=False)
    assert page.get("/metrics").status_code == page.get("/health/metrics").status_code == 404


def test_without_the_library_it_says_what_to_install(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)  # as if it were not installed
    answer = client().get("/metrics")
    assert answer.status_code == 501
    assert answer.text.count("\n") == 1
    assert "pip install prometheus-client" in answer.text


@pytest.mark.parametrize("dsn", ["postgresql://nobody@127.0.0.1:1/pgbouncer", "host=/nowhere dbname=pgbouncer"])
def test_a_pgbouncer_that_is_down_is_a_figure(client: Client, dsn: str) -> None:
    page = client(HARDEN_PGBOUNCER_DSN=dsn).get("/metrics").text
    assert "harden_pgbouncer_up 0.0" in page
    assert "harden_workers 1.0" in page
