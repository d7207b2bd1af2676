"""The page /ops/ as WSGI: what it answers to whom, and with which headers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from backend import Hardening, watch
from backend.ops import STATIC, OpsPage
from backend.ops_data import in_flight
from backend.ops_publish import forget

TOKEN = "a token of the ops people"
FAR = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "shop.example"}
NEAR = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8000"}
SERVICE = dict.fromkeys(
    ("workers", "requests", "errors", "in_flight", "used", "maxconn", "waiting", "repeats", "slow"), 7
)
DATA = {
    "note": "", "service": {**SERVICE, "p95": 0.25}, "queries": [], "incidents": [], "slow": [], "routes": [],
    "workers": [],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_stays_watched() -> Iterator[None]:
    forget()
    yield
    watch.stop()
    forget()


def browser(token: str | None = None, environ: dict[str, str] | None = None) -> Any:
    """Return a function that asks the page: `ask(method, path, **more)`."""
    client = Client(OpsPage(lambda: json.dumps(DATA).encode(), token), use_cookies=False)

    def ask(method: str, path: str, **more: Any) -> TestResponse:
        return client.open(
            path, method=method, environ_overrides={**(environ or NEAR), **more.pop("environ", {})}, **more
        )

    return ask


def test_this_machine_sees_the_page_and_all_of_its_files() -> None:
    ask = browser()
    page = ask("GET", "/ops/")
    assert page.status_code == 200
    assert "<dd>250.0 ms</dd>" in page.text
    assert ask("GET", "/ops/data.json").get_json() == DATA
    assert ask("GET", "/ops/data.txt").mimetype == "text/plain"
    for name in STATIC:
        assert ask("GET", f"/ops/{name}").status_code == 200, name
        assert f'"{name}"' in page.text or name in ("ops_dom.js", "ops_parts.js")
    assert ask("GET", "/ops").headers["Location"] == "ops/"


@pytest.mark.parametrize(
    "path", ["", "/", "/data.json", "/data.txt", "/ops.css", "/ops.js", "/nothing", "/login", "/logout"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_without_a_token_the_world_finds_nothing(path: str, method: str) -> None:
    answer = browser(environ=FAR)(method, f"/ops{path}")
    assert answer.status_code == 404
    assert "7" not in answer.text


def test_with_a_token_the_world_finds_the_login_form_and_no_data() -> None:
    ask = browser(TOKEN, FAR)
    page = ask("GET", "/ops/")
    assert (page.status_code, 'action="login"' in page.text, "<dd>" in page.text) == (401, True, False)
    for path in ("/ops/data.json", "/ops/data.txt", "/ops/ops.js", "/ops/nothing"):
        answer = ask("GET", path)
        assert (answer.status_code, list(answer.get_json())) == (401, ["error"])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert ask("GET", "/ops/ops.css").status_code == 200


def test_the_token_opens_the_data_for_scripts() -> None:
    ask = browser(TOKEN, FAR)
    assert ask("GET", "/ops/data.json", headers={"Authorization": f"Bearer {TOKEN}"}).get_json() == DATA
    assert ask("GET", "/ops/data.json", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_browser_logs_in_looks_and_logs_out() -> None:
    ask = browser(TOKEN, FAR)
    done = ask("POST", "/ops/login", data={"token": TOKEN})
    assert (done.status_code, done.headers["Location"]) == (303, "./")
    assert TOKEN not in str(done.headers)
    assert ask("GET", "/ops/").status_code == 401
    sent = {"Cookie": done.headers["Set-Cookie"].partition(";")[0]}
    page = ask("GET", "/ops/", headers=sent)
    assert (page.status_code, 'action="logout"><button' in page.text) == (200, True)
    gone = ask("POST", "/ops/logout", headers=sent)
    assert (gone.status_code, "Max-Age=0" in gone.headers["Set-Cookie"]) == (303, True)


def test_a_wrong_token_is_logged_with_the_address_and_never_the_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        answer = browser(TOKEN, FAR)("POST", "/ops/login", data={"token": "my other secret"})
    assert (answer.status_code, "not the one" in answer.text) == (401, True)
    assert "203.0.113.9" in caplog.text
    assert "secret" not in caplog.text + answer.text


def test_after_a_few_wrong_tokens_the_right_one_has_to_wait() -> None:
    ask = browser(TOKEN, FAR)
    for _ in range(5):
        assert ask("POST", "/ops/login", data={"token": "guess"}).status_code == 401
    answer = ask("POST", "/ops/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    other = {"REMOTE_ADDR": "203.0.113.10"}
    assert ask("POST", "/ops/login", data={"token": TOKEN}, environ=other).status_code == 303


@pytest.mark.parametrize(
    "body", [b"", b"token=", b"token", b"&&&", b"\xff\xfe%zz", b"token=" + b"x" * 10_000, b"other=1", b"%00" * 50]
)
def test_a_login_that_is_none_is_refused(body: bytes) -> None:
    assert browser(TOKEN, FAR)("POST", "/ops/login", data=body).status_code == 401


@pytest.mark.parametrize("length", ["-1", "x", "", "99999999999999999999"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    answer = browser(TOKEN, FAR)("POST", "/ops/login", data=b"token=x", environ={"CONTENT_LENGTH": length})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["login", "logout"])
def test_another_site_s_page_cannot_send_the_forms(path: str) -> None:
    answer = browser(TOKEN, FAR)(
        "POST", f"/ops/{path}", data={"token": TOKEN}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)


def test_other_methods_are_refused() -> None:
    ask = browser(TOKEN)
    assert (ask("GET", "/ops/login").status_code, ask("POST", "/ops/").status_code) == (405, 405)
    assert ask("DELETE", "/ops/data.json").headers["Allow"] == "GET, HEAD"
    head = ask("HEAD", "/ops/data.json")
    assert (head.status_code, head.data, int(head.headers["Content-Length"]) > 100) == (200, b"", True)


@pytest.mark.parametrize(
    "path", ["ops.py", "../settings.py", "..%2f..%2fsetup.cfg", "%2e%2e/settings.py",
     "/etc/passwd", "ops.css/", "ops_login.html", "\x00", "."]
)  # fmt: skip
def test_no_path_leads_to_another_file(path: str) -> None:
    ask = browser()
    assert ask("GET", f"/ops/{path}").status_code == 404
    assert ask("GET", "/ops/", environ={"PATH_INFO": f"/ops/{path}"}).status_code == 404


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/ops/", 200), ("GET", "/ops/data.json", 200), ("GET", "/ops/ops.js", 200),
    ("GET", "/ops/nothing", 404),
    ("POST", "/ops/login", 401), ("POST", "/ops/logout", 303), ("PUT", "/ops/", 405), ("GET", "/ops", 308),
])  # fmt: skip
def test_every_answer_has_safe_headers(method: str, path: str, status: int) -> None:
    answer = browser(TOKEN)(method, path)
    assert answer.status_code == status
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
        "img-src": "'self'", "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'",
    }  # fmt: skip
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"


def hardened(url: str, **settings: Any) -> Flask:
    app = Flask(__name__)

    @app.before_request
    def guard() -> tuple[str, int]:
        return f"log in first, {in_flight()['in_flight']} in flight", 401

    Hardening(app, DATABASE_URL=url, **settings)
    return app


def test_it_is_in_front_of_the_app_and_counts_no_request_of_its_own(url: str) -> None:
    client = hardened(url).test_client()
    assert client.get("/").text == "log in first, 1 in flight"
    data = [client.get("/ops/data.json").get_json() for _ in range(2)][-1]
    assert (data["service"]["requests"], data["service"]["in_flight"], data["scope"]) == (1, 0, "worker")
    assert "HARDEN_RUN_DIR" in data["note"]
    assert client.get("/opsy").status_code == 401  # the app's


def test_without_metrics_the_path_is_the_app_s(url: str) -> None:
    assert hardened(url, HARDEN_METRICS=False).test_client().get("/ops/").status_code == 401


def test_a_streamed_body_is_in_flight_until_it_was_sent(url: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url)

    @app.get("/")
    def stream() -> Any:
        return (str(in_flight()["in_flight"]) for _ in range(2)), {"Content-Type": "text/plain"}

    answer = app.test_client().get("/")
    assert answer.text == "11"
    answer.close()
    assert in_flight()["in_flight"] == 0


def test_an_app_that_raises_leaves_nothing_in_flight(url: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url)
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.get("/")
    def fail() -> Any:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        app.test_client().get("/")
    assert in_flight()["in_flight"] == 0


def test_no_secret_is_in_the_data(url: str) -> None:
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, HARDEN_OPS_TOKEN=TOKEN, DB_SLOW_QUERY_MS=0.001, DB_QUERY_VALUES=True)

    @app.get("/")
    def ask() -> str:
        from backend import get_db_connection

        with get_db_connection() as conn, conn.cursor() as cursor:
            for number in range(12):
                cursor.execute("SELECT %s::text, 'literal secret'", (f"secret value {number}",))
        return "done"

    client = app.test_client()
    assert client.get("/").text == "done"
    text = client.get("/ops/data.json").text + client.get("/ops/").text + client.get("/ops/data.txt").text
    assert "select ?::text" in text.lower()
    for secret in (TOKEN, "secret value", "literal secret", "pass word", url):
        assert secret not in text


def test_the_docs_name_every_path_and_every_part_of_the_data(url: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "ops.md").read_text()
    data = hardened(url).test_client().get("/ops/data.json").get_json()
    for name in [*data, *data["service"], *data["series"], *data["workers"][0]]:
        assert f'"{name}"' in text, name
    for path in (
        "/ops/data.json",
        "/ops/data.txt",
        "/ops/login",
        "HARDEN_OPS_TOKEN",
        "HARDEN_RUN_DIR",
        "HARDEN_METRICS",
    ):
        assert path in text
