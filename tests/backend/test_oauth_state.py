"""A login at another site: the whole dance over HTTP and two workers, and everything that must not finish it."""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2
import pytest
from flask import Flask, jsonify, redirect, request

from backend import Hardening, OAuthStates, OneTimeSecrets, PostgresSecrets, close_pool
from backend.oauth_state import own_path
from scripts.stack import Stack
from scripts.stack.web import Web

EVIL = (
    "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "", None,
    "/a\nSet-Cookie: x", "/%0d\r", "evil", " /x", "/x y", "/a\\..\\b", "x" * 3000, "/\x7f", "http:/x", "///x",
)  # fmt: skip


class Provider(BaseHTTPRequestHandler):
    """A provider in few lines: it remembers each code's challenge, and checks the verifier against it."""

    codes: dict[str, str] = {}

    def do_GET(self) -> None:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if self.path.startswith("/authorize"):
            assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code"
            code = f"code{len(self.codes)}"
            self.codes[code] = asked["code_challenge"]
            answer = urllib.parse.urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
            self.end_headers()
            return
        digest = hashlib.sha256(asked["verifier"].encode()).digest()
        is_good = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.codes.pop(asked["code"], None)
        self.send_response(200 if is_good else 400)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Browser:
    """Follows redirects and keeps its cookies; each request is a connection of its own, so of any worker."""

    def __init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies), _Stops())

    def get(self, url: str) -> tuple[int, str, str]:
        """Return status, Location and body; redirects are the caller's."""
        try:
            with self._opener.open(url, timeout=20) as answer:
                return answer.status, answer.headers.get("Location", ""), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location", ""), error.read().decode()


class _Stops(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@pytest.fixture(params=["postgres", "redis"])
def web(request: pytest.FixtureRequest, url: str, provider: str) -> Iterator[Web]:
    redis_url = request.getfixturevalue("redis_server").url if request.param == "redis" else ""
    with Stack() as stack:
        started = stack.gunicorn(
            {
                "DATABASE_URL": url, "WORKERS": "2", "THREADS": "4",
                "HARDEN_APP": "tests/support/apps/login.py:app", "PROVIDER": provider, "STORE_URL": redis_url,
            }
        )  # fmt: skip
        started.wait_until_ready()
        yield started


def test_the_whole_dance_over_two_workers(web: Web) -> None:
    workers = set()
    for number in range(200):
        browser = Browser()
        _, to_provider, _ = browser.get(f"{web.url}/login?next=/orders/{number}")
        _, back, _ = browser.get(to_provider)
        status, went_on, pids = browser.get(back)
        assert (status, went_on) == (302, f"/orders/{number}"), pids
        began, _, ended = pids.partition(" ")
        workers.add(began == ended)
        if number >= 5 and len(workers) == 2:
            break
        again = browser.get(back)
        assert again[0] == 400 and "start again" in again[2] and "used" not in again[2]
    assert workers == {True, False}  # some came back to the worker that they began at, some to the other


def test_a_stolen_answer_is_worth_nothing_elsewhere_and_the_owner_still_gets_in(web: Web) -> None:
    owner, thief = Browser(), Browser()
    _, to_provider, _ = owner.get(f"{web.url}/login")
    _, back, _ = owner.get(to_provider)
    assert thief.get(back)[0] == 400
    thief.get(f"{web.url}/login")  # now he has a cookie of his own
    assert thief.get(back)[0] == 400
    assert owner.get(back)[:2] == (302, "/")


def test_two_tabs_of_one_browser_do_not_disturb_each_other(web: Web) -> None:
    browser = Browser()
    first = browser.get(browser.get(f"{web.url}/login?next=/a")[1])[1]
    second = browser.get(browser.get(f"{web.url}/login?next=/b")[1])[1]
    assert browser.get(second)[:2] == (302, "/b") and browser.get(first)[:2] == (302, "/a")


def test_a_made_up_answer_is_refused(web: Web) -> None:
    browser = Browser()
    browser.get(f"{web.url}/login")
    for state in ("", "?state=", "?state=x", "?state=" + "x" * 3000, "?code=x"):
        assert browser.get(f"{web.url}/callback{state}")[0] == 400


@pytest.fixture
def app(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.setenv("DATABASE_URL", url)
    made = Flask("login")
    Hardening(made)
    store = PostgresSecrets()
    store.create_table()
    logins = OAuthStates(OneTimeSecrets(store))

    @made.get("/login")
    def login() -> Any:
        return redirect("/?" + urllib.parse.urlencode(logins.begin(request.args.get("next")).parameters()))

    @made.get("/callback")
    def callback() -> Any:
        return jsonify(vars(logins.finish()))

    yield made
    close_pool()


def test_the_cookie_is_the_browser_s_alone_and_never_cached(app: Flask) -> None:
    answer = app.test_client().get("/login", base_url="https://shop.example")
    cookie = answer.headers["Set-Cookie"]
    name, _, rest = cookie.partition("=")
    assert name == "__Host-login" and len(rest.partition(";")[0]) == 43
    for part in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"):
        assert part in cookie
    assert "Domain" not in cookie and answer.headers["Cache-Control"] == "no-store"


def test_a_login_without_its_cookie_tells_the_log_why(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """In production over plain HTTP browsers drop the cookie, and each login fails; the log names the cause."""
    client = app.test_client(use_cookies=False)
    sent = dict(urllib.parse.parse_qsl(client.get("/login").headers["Location"][2:]))
    answer = client.get(f"/callback?state={sent['state']}")
    assert answer.status_code == 400 and "cookie" not in answer.get_data(as_text=True)
    assert "without its cookie __Host-login; it needs HTTPS" in caplog.text and sent["state"] not in caplog.text


def test_in_development_it_works_over_plain_http(app: Flask) -> None:
    app.debug = True
    client = app.test_client()
    sent = dict(urllib.parse.parse_qsl(client.get("/login").headers["Location"][2:]))
    assert client.get(f"/callback?state={sent['state']}").json["next_url"] == "/"


@pytest.mark.parametrize("next_url", EVIL)
def test_nobody_is_led_to_another_site(app: Flask, next_url: str | None) -> None:
    assert own_path(next_url) == "/"


@pytest.mark.parametrize("next_url", ["/", "/orders/7?tab=open&x=%2F%2Fy#top", "/a//b", "/ä"])
def test_a_path_of_this_site_stays(next_url: str) -> None:
    assert own_path(next_url) == next_url


def test_a_planted_cookie_of_another_form_is_not_taken(app: Flask) -> None:
    client = app.test_client()
    client.set_cookie("__Host-login", "attacker", domain="shop.example", secure=True)
    answer = client.get("/login", base_url="https://shop.example")
    assert "attacker" not in answer.headers["Set-Cookie"]


def test_without_its_store_a_login_is_503_and_nothing_is_accepted(app: Flask, url: str) -> None:
    with psycopg2.connect(url) as conn, conn.cursor() as cursor:
        cursor.execute("DROP TABLE one_time_secrets")
    conn.close()
    client = app.test_client()
    assert client.get("/login").status_code == 503
    assert client.get("/callback?state=x").status_code == 503
