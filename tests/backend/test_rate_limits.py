"""Rate limits hold over workers, by user or client, and over a Redis that goes away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, request

from backend import Hardening, needs_store, rate_limits
from backend.rate_limits import client_key
from scripts.stack.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def _app(url: str | None, *limits: str, who: Callable[[], object] | None = None, database: str = "") -> Any:
    """One worker's app; two of one Redis are two workers."""
    app = Flask("limited")
    if database:
        Hardening(app, DATABASE_URL=database, HARDEN_PROXIES=1)
    limiter = rate_limits(app, *limits, url=url, who=who, timeout=5.0 if url else 0.25)

    @app.get("/")
    def index() -> str:
        return "served"

    @app.post("/login")
    @limiter.limit("2/minute")
    @needs_store(limiter)
    def login() -> str:
        return "in"

    return app.test_client()


def _codes(client: Any, count: int, path: str = "/", **options: Any) -> list[int]:
    return [client.open(path, **options).status_code for _ in range(count)]


def test_two_workers_count_together(redis_server) -> None:
    one, two = _app(redis_server.url, "5/minute"), _app(redis_server.url, "5/minute")
    assert _codes(one, 3) + _codes(two, 3) == [200] * 5 + [429]
    refused = two.get("/")
    assert refused.status_code == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["X-RateLimit-Remaining"] == "0"


def test_a_route_s_own_limit_is_its_own(redis_server) -> None:
    client = _app(redis_server.url, "100/minute")
    assert _codes(client, 3, "/login", method="POST") == [200, 200, 429]
    assert _codes(client, 3) == [200] * 3


def test_clients_behind_the_proxy_are_told_apart_and_cannot_pretend(redis_server, url: str) -> None:
    client = _app(redis_server.url, "2/minute", database=url)
    for address in ("203.0.113.1", "203.0.113.2"):
        assert _codes(client, 3, headers={"X-Forwarded-For": address}) == [200, 200, 429]
    # What the client itself writes stands before what the proxy adds, and is not believed.
    forged = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1"}
    assert _codes(client, 1, headers=forged) == [429]


def test_a_user_is_counted_wherever_he_comes_from(redis_server) -> None:
    client = _app(redis_server.url, "2/minute", who=lambda: request.headers.get("X-User"))
    for number in range(2):
        environ = {"REMOTE_ADDR": f"203.0.113.{number}"}
        assert _codes(client, 1, headers={"X-User": "7"}, environ_overrides=environ) == [200]
    assert _codes(client, 1, headers={"X-User": "7"}) == [429]
    assert _codes(client, 1, headers={"X-User": "8"}) == [200]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "address:203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "address:2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "address:203.0.113.9"),
        ("", "address:unknown"),
        ("unix:", "address:unix:"),
    ],
)
def test_one_who_owns_a_network_is_one(address: str, key: str) -> None:
    with Flask("x").test_request_context(environ_overrides={"REMOTE_ADDR": address}):
        assert client_key() == key
        assert client_key(lambda: "203.0.113.9") == "user:203.0.113.9"  # no user can be taken for an address
        assert client_key(lambda: getattr(g, "user", None)) == key


def test_while_redis_is_away_each_worker_counts_and_a_login_is_refused(redis_server) -> None:
    client = _app(redis_server.url, "4/minute")
    assert _codes(client, 1) == [200]
    redis_server.kill()
    codes = _codes(client, 6)
    assert codes.count(200) == 4 and set(codes) == {200, 429}
    assert _codes(client, 1, "/login", method="POST") == [503]
    redis_server.start()


def test_a_login_is_refused_until_it_is_counted_in_redis_again(redis_server) -> None:
    """After an outage Flask-Limiter goes on counting in memory for a while, though Redis answers a ping."""
    app = Flask("limited")
    limiter = rate_limits(app, "1000/second", url=redis_server.url, timeout=5.0)
    app.add_url_rule("/login", view_func=needs_store(limiter)(lambda: "in"))
    client = app.test_client()
    redis_server.kill()
    assert _codes(client, 1, "/login") == [503]
    redis_server.start()
    limiter._Limiter__last_check_backend = time.time() + 3600  # its next look at Redis is far away
    assert limiter.storage.check() and _codes(client, 1, "/login") == [503]
    limiter._Limiter__last_check_backend = 0.0  # it is now
    assert _codes(client, 2, "/login") == [200, 200]


def test_an_option_of_the_limiter_s_own_may_differ_from_ours() -> None:
    app = Flask("limited")
    rate_limits(app, "1/minute", headers_enabled=False, strategy="fixed-window", key_prefix="x")
    app.add_url_rule("/", view_func=lambda: "served")
    client = app.test_client()
    assert _codes(client, 2) == [200, 429]
    assert "X-RateLimit-Limit" not in client.get("/").headers


def test_a_redis_that_was_never_there_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    client = _app(f"redis://127.0.0.1:{free_port()}/0", "3/minute")
    assert _codes(client, 4) == [200, 200, 200, 429]


def test_without_redis_it_says_that_each_worker_counts_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    assert _codes(_app(None, "2/minute"), 3) == [200, 200, 429]
    assert "counted in each worker for itself" in caplog.text


def test_health_and_static_files_are_never_counted(redis_server, url: str) -> None:
    client = _app(redis_server.url, "1/minute", database=url)
    assert _codes(client, 5, "/livez") == [200] * 5
    assert _codes(client, 2) == [200, 429]
    assert _codes(client, 3, "/static/none.css") == [404] * 3


def test_a_missing_package_is_said() -> None:
    script = (
        "import sys; sys.modules['flask_limiter'] = None\n"
        "from flask import Flask\nfrom backend import rate_limits\n"
        "try: rate_limits(Flask('x'), '1/minute')\nexcept RuntimeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "pip install flask-limiter" in done.stdout, done.stderr
